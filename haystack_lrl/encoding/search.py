"""Exact search: no approximate index, so that no index noise enters a measurement."""

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import Vectors

_CHUNK_FLOATS = 32 * 2**20  # scores held at a time: 128 MiB


def top_k(
    queries: Vectors, passages: Vectors, k: int, starts: npt.NDArray[np.intp] | None = None
) -> tuple[Vectors, npt.NDArray[np.intp]]:
    """Return the k best documents of every query by inner product, best first, ties by position.

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
    step = max(1, _CHUNK_FLOATS // max(1, len(passages)))
    for start in range(0, len(queries), step):
        chunk = queries[start : start + step] @ passages.T
        if starts is not None:
            chunk = np.maximum.reduceat(chunk, starts, axis=1)
        scores[start : start + step], found[start : start + step] = _best(chunk, k)
    return scores, found


def _best(scores: Vectors, k: int) -> tuple[Vectors, npt.NDArray[np.intp]]:
    """Return the k highest of each row, best first; equal scores in order of position."""
    if k < scores.shape[1]:
        candidates = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
        last = np.take_along_axis(scores, candidates, axis=1).min(axis=1, keepdims=True)
        for row in np.flatnonzero((scores >= last).sum(axis=1) > k):  # which of the equal ones is left out is chance
            candidates[row] = np.sort(np.argsort(-scores[row], kind="stable")[:k])
    else:
        candidates = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    values = np.take_along_axis(scores, candidates, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(candidates, order, axis=1)
