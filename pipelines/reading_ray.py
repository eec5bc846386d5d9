"""What Ray's readers do: documents in blocks, and before that what decides which documents are indexed.

Apart from `pipelines.indexing_ray`, since readers are many processes, which load no model.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from haystack import Document
from more_itertools import chunked

from haystack_lrl.engine.flow import Batch, told, values_of
from haystack_lrl.records.parts import Part
from pipelines.indexing import Facts, blocks_of, facts_of
from pipelines.reading import read_source

_FACTS = 10_000  # documents whose ids and hashes come at once: two megabytes


class Source(NamedTuple):
    """What is read at once.

    :param number: its place in the order of the files.
    """

    number: int
    part: Part | str


LeftOut = Mapping[int, frozenset[int]]
"""Source by source, the documents that are not indexed, by their place in it."""


def read_facts(batch: Batch) -> Iterator[Batch]:
    """Yield number of the source, place of the first document, and what decides about each document."""
    return told(_facts(batch))


def _facts(batch: Batch) -> Iterator[tuple[int, int, list[Facts]]]:
    for source in values_of(batch):
        for chunk, documents in enumerate(chunked(read_source(source.part), _FACTS)):
            yield source.number, chunk * _FACTS, [facts_of(document) for document in documents]


def read_blocks(batch: Batch, left_out: LeftOut) -> Iterator[Batch]:
    """Yield the documents that are indexed, in blocks."""
    return told(_blocks(batch, left_out))


def _blocks(batch: Batch, left_out: LeftOut) -> Iterator[list[Document]]:
    for source in values_of(batch):
        others = left_out.get(source.number, frozenset())
        documents = enumerate(read_source(source.part))
        yield from blocks_of(document for place, document in documents if place not in others)
