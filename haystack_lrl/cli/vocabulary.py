"""A model's vocabulary: how it fits a language, and a smaller model with only what the language needs."""

import functools
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.engine.settings import Engine

_REPORTED = 20_000  # texts of a corpus that the report reads: its shares do not move any more


@click.command("tokenizer-report")
@click.option("--model", "name", required=True, metavar="PATH_OR_HUB_ID", help="The embedder.")
@click.option("--pairs", type=options.INPUT, metavar="FILE", help="Translated pairs, with their English sides.")
@click.option("--corpus", type=options.INPUT, metavar="FILE", help="Text in the language, JSONL or lines.")
@click.option("--english", type=options.INPUT, metavar="FILE", help="English text; the package's own by default.")
def tokenizer_report_command(name: str, pairs: Path | None, corpus: Path | None, english: Path | None) -> None:
    """Report pieces per word, unknown pieces and truncated texts, for a language against English."""
    from haystack_lrl.adaptation.vocabulary.report import tokenizer_report
    from haystack_lrl.encoding.encoder import load_model
    from haystack_lrl.records.corpus import read_texts, sample_english
    from haystack_lrl.records.pair import read_pairs

    source = pairs or corpus
    if source is None or (pairs and corpus):
        raise click.UsageError("Give either --pairs or --corpus.")
    theirs = read_texts(english) if english else sample_english()
    if pairs and not english and any(pair.english_passage for pair in read_pairs(pairs)):
        theirs = (text for pair in read_pairs(pairs) for text in (pair.english_query, pair.english_passage) if text)
    read = (itertools.islice(texts, _REPORTED) for texts in (read_texts(source), theirs))
    report = tokenizer_report(load_model(name, device="cpu"), *read)
    click.echo(report.to_text(), err=True)
    click.echo(json.dumps(report.to_json()))


@click.command("trim-vocabulary")
@click.option("--language", "code", required=True, metavar="CODE", help="ISO 639-3 code of the language.")
@click.option("--model", "name", required=True, metavar="PATH_OR_HUB_ID", help="The embedder to trim.")
@click.option(
    "--corpus", required=True, type=options.INPUT, metavar="FILE", help="Text in the language, JSONL or lines."
)
@click.option("--english", type=options.INPUT, metavar="FILE", help="English text; the package's few by default.")
@click.option("--most", type=click.IntRange(min=1), metavar="N", help="Keep at most so many pieces, the most frequent.")
@click.option("--output", required=True, type=options.FOLDER, metavar="FOLDER", help="Where the trimmed model goes.")
def trim_vocabulary_command(
    code: str, name: str, corpus: Path, english: Path | None, most: int | None, output: Path
) -> None:
    """Keep the pieces that a language and English use, and prove on held-out text that embeddings are the same."""
    from haystack_lrl.adaptation.vocabulary.trimming import trim_vocabulary
    from haystack_lrl.encoding.encoder import load_model
    from haystack_lrl.languages.table import language
    from haystack_lrl.records.corpus import read_texts, sample_english
    from haystack_lrl.records.folders import writing_folder

    spoken, model = language(code), load_model(name, device="cpu")
    theirs = read_texts(english) if english else sample_english()
    trimmed, result = trim_vocabulary(model, spoken, read_texts(corpus), theirs, most=most)
    with writing_folder(output) as partial:
        trimmed.save_pretrained(str(partial), create_model_card=False)
    click.echo(json.dumps(result.to_json(), ensure_ascii=False))


@click.command("grow-vocabulary")
@click.option("--language", "code", required=True, metavar="CODE", help="ISO 639-3 code of the language.")
@click.option("--model", "name", required=True, metavar="PATH_OR_HUB_ID", help="The embedder to grow.")
@click.option("--pairs", type=options.INPUT, metavar="FILE", help="Translated pairs, with their English sides.")
@click.option("--parallel", type=options.INPUT, metavar="FILE", help='Parallel sentences: {"hye": ..., "eng": ...}.')
@click.option("--dictionary", type=options.INPUT, metavar="FILE", help="word<TAB>English word; English word ...")
@click.option("--documents", type=options.INPUT, metavar="FILE", help="Text in the language alone, JSONL or lines.")
@click.option("--output", required=True, type=options.FOLDER, metavar="FOLDER", help="Where the grown model goes.")
@options.engine_options
def grow_vocabulary_command(
    code: str,
    name: str,
    pairs: Path | None,
    parallel: Path | None,
    dictionary: Path | None,
    documents: Path | None,
    output: Path,
    engine: "Engine | None",
) -> None:
    """Give a model the words of a language, with the meanings of their English counterparts; nothing is trained."""
    from haystack_lrl.adaptation.vocabulary.growing import grow_vocabulary
    from haystack_lrl.encoding.encoder import load_model
    from haystack_lrl.engine.counting import count_words
    from haystack_lrl.languages.table import language
    from haystack_lrl.records.folders import writing_folder
    from haystack_lrl.records.lexicon import read_sources

    sources = read_sources(language(code).code, pairs, parallel, dictionary, documents)
    model = load_model(name, device="cpu")
    counts = functools.partial(count_words, source=documents, engine=engine) if documents and engine else None
    grown, growth = grow_vocabulary(
        model, sources.pairs, dictionary=sources.dictionary, documents=sources.documents, counts=counts
    )
    with writing_folder(output) as partial:
        grown.save_pretrained(str(partial), create_model_card=False)
    click.echo(json.dumps(growth.to_json()))
