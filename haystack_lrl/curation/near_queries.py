"""Queries that are nearly the same: of a test set's own, one of them counts twice; of training, it was seen."""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from more_itertools import chunked
from scipy.sparse import csr_matrix  # comes without stubs
from sklearn.feature_extraction.text import HashingVectorizer

from haystack_lrl.curation.leaks import without_marks

_SHARE = 0.7  # of the runs of five letters of both together: one changed letter in forty leaves 0.76
_BLOCK = 4096  # others compared at a time
# runs of five letters, without what is between words: the same in scripts that are written without spaces
_RUNS = HashingVectorizer(analyzer="char", ngram_range=(5, 5), binary=True, norm=None, alternate_sign=False)


def near_copies(queries: Sequence[str], others: Iterable[str]) -> set[int]:
    """Return the positions of the queries that are nearly one of the others.

    Two queries that differ in a number ask different things and are no copies.

    :param others: read once, in blocks.
    """
    if not queries:
        return set()
    own = _runs(queries)
    found: set[int] = set()
    for block in chunked(others, _BLOCK):
        found.update(row for row, _ in _alike(queries, own, block, _runs(block)))
    return found


def repeated(queries: Sequence[str]) -> set[int]:
    """Return the positions of the queries that are nearly one before them that stays."""
    if not queries:
        return set()
    own = _runs(queries)
    gone: set[int] = set()
    for row, column in sorted(_alike(queries, own, queries, own)):
        if column < row and column not in gone:
            gone.add(row)
    return gone


def _runs(texts: Sequence[str]) -> csr_matrix:
    return _RUNS.transform([without_marks(text).replace(" ", "") for text in texts])


def _alike(
    queries: Sequence[str], own: csr_matrix, others: Sequence[str], theirs: csr_matrix
) -> Iterator[tuple[int, int]]:
    """Yield (position among the queries, position among the others) of those that are nearly the same."""
    common = (own @ theirs.T).tocoo()
    sizes, sizes_of_others = own.getnnz(axis=1), theirs.getnnz(axis=1)
    shares = common.data / (sizes[common.row] + sizes_of_others[common.col] - common.data)
    for row, column in np.stack([common.row, common.col], axis=1)[shares >= _SHARE].tolist():
        if re.findall(r"\d+", queries[row]) == re.findall(r"\d+", others[column]):
            yield row, column
