"""The best of what is scored block by block: exact, however many documents there are."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import Vectors

BLOCK_FLOATS = 16 * 2**20  # scores in a block: 64 MiB

Blocks = Iterable[tuple[int, Vectors]]
"""(position of the block's first document, scores of shape (queries, documents of the block)), in order."""


def block_length(queries: int) -> int:
    """Return how many documents a block has, so that its scores fit into the memory set aside for them."""
    return max(1, BLOCK_FLOATS // max(1, queries))


class Nearest:
    """The k best documents of some queries among the blocks seen so far, best first, ties by position.

    What beats a query's last place waits until there is as much of it as there are places: sorting it then, and not
    block by block, costs little beside the scores themselves.

    :param queries: how many.
    :param k: documents kept for each of them, 8 bytes each.
    :param floor: a document must score above this to be found.
    """

    def __init__(self, queries: int, k: int, floor: float = -np.inf) -> None:
        self._scores: Vectors = np.full((queries, k), floor, dtype=np.float32)
        self._found: npt.NDArray[np.int32] = np.full((queries, k), -1, dtype=np.int32)  # -1: no document
        self._least: Vectors = np.full((queries, 1), np.nextafter(np.float32(floor), np.float32(np.inf)))
        self._waiting: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Vectors]] = []
        self._count = 0

    @property
    def scores(self) -> Vectors:
        """Scores of the documents found, shape (queries, k); the floor where there is none."""
        self._settle()
        return self._scores

    @property
    def found(self) -> npt.NDArray[np.int32]:
        """Positions of the documents found, shape (queries, k); -1 where there is none."""
        self._settle()
        return self._found

    def add(self, start: int, block: Vectors) -> None:
        """Look at a block of scores, of shape (queries, documents), whose first document is number `start`."""
        (queries, k), width = self._scores.shape, block.shape[1]
        least = self._least
        if width > k and not self._count and (self._found < 0).all():  # without this all of it would be sorted
            least = np.maximum(least, np.partition(block, width - k, axis=1)[:, width - k, None])
        places = np.flatnonzero(block >= least)
        if not len(places):
            return
        rows, columns = np.divmod(places, width)
        self._waiting.append((rows.astype(np.int32), (start + columns).astype(np.int32), block.ravel()[places]))
        self._count += len(places)
        if self._count >= queries * k:
            self._settle()

    def _settle(self) -> None:
        """Put what waits into its place; what was there before is first among equals, as its position says."""
        if not self._count:
            return
        known, places = np.nonzero(self._found >= 0)
        before = (known.astype(np.int32), self._found[known, places], self._scores[known, places])
        rows, found, scores = map(np.concatenate, zip(before, *self._waiting, strict=True))
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum(np.bincount(rows, minlength=len(self._scores)))
        for row, part in enumerate(np.split(order, ends[:-1])):
            best = part[np.argsort(-scores[part], kind="stable")[: self._scores.shape[1]]]
            self._scores[row, : len(best)], self._found[row, : len(best)] = scores[best], found[best]
        self._least = np.nextafter(self._scores[:, -1:], np.float32(np.inf))  # who only equals the last comes too late
        self._waiting, self._count = [], 0
