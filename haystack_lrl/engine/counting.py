"""How often words come in a corpus, counted part by part on Ray's workers and summed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from haystack_lrl.adaptation.vocabulary.tokenizer import words_of
from haystack_lrl.engine.cluster import on_cluster
from haystack_lrl.engine.flow import Batch, dataset, streamed, told, values_of
from haystack_lrl.engine.settings import Engine
from haystack_lrl.records.corpus import texts_in
from haystack_lrl.records.parts import parts_of
from haystack_lrl.records.places import absolute, files_of


def count_words(backend: Tokenizer, source: str | Path, engine: Engine) -> Counter[str]:
    """Return how often each word comes in the texts of a source, cut as the tokenizer cuts them.

    :param source: see `read_texts`.
    :raises InputError: with file and line for what cannot be read.
    """
    tokenizer, place = backend.to_str(), absolute(source)
    return on_cluster(lambda _: _sum(tokenizer, place), engine)


def _sum(tokenizer: str, source: str) -> Counter[str]:
    parts = [part for file in files_of(source) for part in parts_of(file)]
    total: Counter[str] = Counter()
    given = {"tokenizer": tokenizer}
    for counts in streamed(dataset(parts).map_batches(_count, fn_kwargs=given, batch_size=None)) if parts else ():
        total.update(counts)
    return total


def _count(batch: Batch, *, tokenizer: str) -> Iterator[Batch]:
    backend = Tokenizer.from_str(tokenizer)
    return told(
        Counter(word for text in texts_in(part) for word in words_of(backend, text)) for part in values_of(batch)
    )
