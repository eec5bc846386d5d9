"""Training texts that a model must not have seen: those that choose it (dev pairs) or judge it (test sets).

Two texts are the same when they differ in case, punctuation and spaces alone. Two passages are nearly the same when
half of the runs of 20 letters of one are in the other: the longer may hold the shorter one. Among natural texts that
share no sentence, hardly any such run is common.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from haystack_lrl.records.pair import Pair

Runs = npt.NDArray[np.uint64]

_RUN = 20  # letters: three or four words, which texts of their own seldom share
_SHARE = 0.5  # of the runs: a copy in which every tenth word was changed has about 0.6
_LEAST = 40  # runs in common: a phrase that many texts repeat is no copy
_BITS = 24  # of the table that tells at once which runs are nowhere in the unseen texts: 16 MiB
_WEIGHTS = np.random.default_rng(20).integers(1, 1 << 63, _RUN, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class Leak:
    """A training row with a text that should be unseen.

    :param unseen: name of the unseen text.
    :param row: the training pair.
    :param side: which of the row's texts.
    :param same: whether the texts are equal, or nearly so.
    """

    unseen: str
    row: Pair
    side: Literal["query", "passage"]
    same: bool

    @property
    def described(self) -> str:
        """Say what the unseen text is."""
        return f"{'' if self.same else 'nearly '}the {self.side} of the training row {self.row.id or '?'}"


class Unseen:
    """Texts that no training row may have, indexed by their runs of letters.

    Memory: 16 bytes a letter of the passages, more for a moment at first, and 16 MiB.

    :param queries: (name, text); compared for equality alone, since short texts are alike without being copies.
    :param passages: (name, text); a name may have several.
    """

    def __init__(self, queries: Iterable[tuple[str, str]], passages: Iterable[tuple[str, str]]) -> None:
        plain = [(name, without_marks(text)) for name, text in passages]
        self._queries = _by_text((name, without_marks(text)) for name, text in queries)
        self._passages = _by_text(plain)
        self._names = [name for name, _ in plain]
        runs = [np.unique(_runs(text)) for _, text in plain]
        self._sizes = [len(own) for own in runs]
        joined = np.concatenate([*runs, np.empty(0, np.uint64)])
        order = np.argsort(joined, kind="stable")
        self._runs: Runs = joined[order]
        self._owners = np.repeat(np.arange(len(runs)), self._sizes)[order]
        self._known = np.zeros(1 << _BITS, dtype=np.bool_)
        self._known[_high(self._runs)] = True

    def leaks(self, rows: Iterable[Pair]) -> Iterator[Leak]:
        """Yield what training rows, read once, have in common with these texts, in the language or in English."""
        for row in rows:
            for query in {row.query, row.english_query} - {""}:
                yield from (Leak(name, row, "query", True) for name in self._queries.get(without_marks(query), ()))
            for passage in {row.passage, row.english_passage} - {""}:
                plain = without_marks(passage)
                same = self._passages.get(plain, [])
                yield from (Leak(name, row, "passage", True) for name in same)
                yield from (Leak(name, row, "passage", False) for name in self._near(plain) if name not in same)

    def _near(self, plain: str) -> Iterator[str]:
        runs = _runs(plain)
        found = np.unique(runs[self._known[_high(runs)]])  # with a few others, whose high bits are the same
        first, last = (np.searchsorted(self._runs, found, side) for side in ("left", "right"))
        if np.count_nonzero(last > first) < _LEAST:
            return
        runs = np.unique(runs)
        owners = np.concatenate([self._owners[start:stop] for start, stop in zip(first, last, strict=True)])
        for owner, common in zip(*np.unique(owners, return_counts=True), strict=True):
            if common >= max(_LEAST, _SHARE * min(self._sizes[owner], len(runs))):
                yield self._names[owner]


def without_marks(text: str) -> str:
    """Return a text without case, punctuation and repeated spaces, in which copies are equal."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def _by_text(texts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, text in texts:
        if text:
            names.setdefault(text, []).append(name)
    return names


def _runs(text: str) -> Runs:
    """Return a hash of every run of letters, shape (letters - 19,): multilinear, whose high bits are even."""
    letters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    return np.convolve(letters, _WEIGHTS, "valid") if len(letters) >= _RUN else letters[:0]


def _high(runs: Runs) -> npt.NDArray[np.int64]:
    return (runs >> np.uint64(64 - _BITS)).astype(np.int64)
