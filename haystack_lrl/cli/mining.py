"""Hard negatives for pairs, over files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.engine.settings import Engine


@click.command("mine")
@options.required_language_option
@options.source_option("--pairs", help="kept.jsonl or pairs of your own: a file, folder, glob or URL.")
@options.model_option("--teacher", help='The model that says what looks relevant, or "bm25".')
@click.option("--output", required=True, type=options.OUTPUT, metavar="FILE", help="Where the triplets go.")
@click.option("--negatives", default=7, show_default=True, help="Hard negatives a pair, at most.")
@click.option(
    "--corpus",
    metavar="SOURCE",
    help="Further passages to choose from: rows with text. Needs --set mining.side=own for translated pairs.",
)
@click.option("--review", type=options.OUTPUT, metavar="FILE.html", help="Where 30 examples go, also as FILE.csv.")
@options.set_option
@options.quiet_option
@options.engine_options
def mine_command(
    language: str,
    pairs: str,
    teacher: str,
    output: Path,
    negatives: int,
    corpus: str | None,
    review: Path | None,
    assignments: tuple[str, ...],
    engine: "Engine | None",
    *,
    quiet: bool,
) -> None:
    """Give every pair passages that look relevant to its query and are not.

    \b
    haystack-lrl mine --language epo --pairs kept.jsonl --teacher ./model \\
        --output triplets.jsonl --review review.html
    """
    from haystack_lrl.curation.mining import mine_file
    from haystack_lrl.engine.encoding import teacher_on
    from haystack_lrl.languages.table import language as language_of
    from haystack_lrl.records.pair import read_pairs
    from haystack_lrl.records.passage import read_passages

    mining = {"teacher": teacher, "negatives": negatives}
    recipe = options.recipe_of(assignments, language=language, mining=mining)
    with teacher_on(recipe.mining.teacher, language_of(language), engine, progress=not quiet) as chosen:
        counts = mine_file(
            read_pairs(pairs),
            output,
            chosen,
            recipe.mining,
            corpus=read_passages(corpus) if corpus else (),
            seed=recipe.seed,
            review=review,
        )
    click.echo(json.dumps(counts.to_json(), ensure_ascii=False))
