"""Exact search: no approximate index, so that no index noise enters a measurement."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.encoding.nearest import Nearest, block_length

_QUERIES = 1024  # searched at a time: enough to keep the matrix product busy


def top_k(
    queries: Vectors, passages: Vectors, k: int, starts: npt.NDArray[np.intp] | None = None
) -> tuple[Vectors, npt.NDArray[np.intp]]:
    """Return the k best documents of every query by inner product, best first, ties by position.

    Memory beyond the vectors and the result: a block of scores, and some 50 bytes for each of k places of 1,024
    queries.

    :param queries: shape (queries, dimensions).
    :param passages: shape (passages, dimensions).
    :param starts: position of each document's first passage; a document scores as its best passage. By default
        every passage is a document.
    :returns: scores and document positions, both of shape (queries, min(k, documents)).
    """
    documents = len(passages) if starts is None else len(starts)
    k = min(k, documents)
    scores = np.empty((len(queries), k), dtype=np.float32)
    found = np.empty((len(queries), k), dtype=np.intp)
    for start in range(0, len(queries) if k else 0, _QUERIES):
        some = queries[start : start + _QUERIES]
        nearest = Nearest(len(some), k)
        for first, block in _blocks(some, passages, starts):
            nearest.add(first, block)
        scores[start : start + _QUERIES], found[start : start + _QUERIES] = nearest.scores, nearest.found
    return scores, found


def _blocks(queries: Vectors, passages: Vectors, starts: npt.NDArray[np.intp] | None) -> Iterator[tuple[int, Vectors]]:
    """Yield (number of the block's first document, scores of shape (queries, documents of the block))."""
    step = block_length(len(queries))
    if starts is None:
        for first in range(0, len(passages), step):
            yield first, queries @ passages[first : first + step].T
        return
    ends = np.append(starts[1:], len(passages))
    first = 0
    while first < len(starts):  # a block holds whole documents, and at least one
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + step, side="right")))
        block = queries @ passages[starts[first] : ends[last - 1]].T
        yield first, np.maximum.reduceat(block, starts[first:last] - starts[first], axis=1)
        first = last
