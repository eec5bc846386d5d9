"""Rankings of a test set by BM25, by an encoder, and by both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import SentenceEncoder, Vectors
from haystack_lrl.encoding.exported import ExportedEncoder
from haystack_lrl.encoding.fusion import fuse_scores
from haystack_lrl.encoding.lexical import LexicalIndex
from haystack_lrl.encoding.nearest import Nearest
from haystack_lrl.encoding.search import top_k
from haystack_lrl.evaluation.checks import check_vectors
from haystack_lrl.evaluation.passages import split_documents
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.languages.table import language
from haystack_lrl.languages.tokens import search_tokens

Run = Mapping[str, Mapping[str, float]]
"""Score by query id and document id; a document that is not in it was not found."""

_DEPTH = 1000  # documents a ranking holds: what fusion may bring up


@dataclass(frozen=True)
class DenseRun:
    """A ranking by an encoder, with what the reader must know of it."""

    run: Run
    passages: int
    cut: float


def bm25_run(test_set: TestSet) -> Run:
    """Rank whole documents by BM25 (k1 1.2, b 0.75, as OpenSearch) over the language's search tokens."""
    table = language(test_set.language)
    ids = list(test_set.documents)
    index = LexicalIndex(search_tokens(text, table) for text in test_set.documents.values())
    best = Nearest(len(test_set.queries), _DEPTH, floor=0)
    for start, scores in index.blocks([search_tokens(text, table) for text in test_set.queries.values()]):
        best.add(start, scores)
    return {
        query: {ids[i]: float(score) for i, score in zip(best.found[row], best.scores[row], strict=True) if i >= 0}
        for row, query in enumerate(test_set.queries)
    }


@dataclass(frozen=True)
class Encoded:
    """A test set as vectors.

    :param queries: shape (queries, dimensions).
    :param passages: shape (passages, dimensions).
    :param starts: position of each document's first passage.
    :param cut: share of the text that the model would cut off if documents were not split.
    """

    queries: Vectors
    passages: Vectors
    starts: npt.NDArray[np.intp]
    cut: float


def encoded(
    test_set: TestSet, encoder: SentenceEncoder | ExportedEncoder, *, split: bool = True, name: str = "The model"
) -> Encoded:
    """Encode queries and documents.

    :param split: False leaves documents whole, to be cut by the model.
    :param name: what an error calls the model.
    :raises InputError: for vectors from which no ranking can be made.
    """
    documents = list(test_set.documents.values())
    passages = split_documents(documents, cast(SentenceEncoder, encoder), language(test_set.language), split=split)
    queries = encoder.encode(list(test_set.queries.values()), "query")
    vectors = encoder.encode(passages.texts, "passage")
    check_vectors(name, queries, vectors)
    return Encoded(queries, vectors, passages.starts, passages.cut)


def exact_run(test_set: TestSet, vectors: Encoded) -> Run:
    """Rank documents by the inner product of their best passage, over all of them."""
    ids = list(test_set.documents)
    scores, found = top_k(vectors.queries, vectors.passages, _DEPTH, vectors.starts)
    return {
        query: {ids[i]: float(score) for i, score in zip(found[row], scores[row], strict=True)}
        for row, query in enumerate(test_set.queries)
    }


def dense_run(test_set: TestSet, encoder: SentenceEncoder, *, split: bool = True, name: str = "The model") -> DenseRun:
    """Rank documents by the cosine of their best passage, over all of them; parameters are those of `encoded`.

    :raises InputError: for vectors from which no ranking can be made.
    """
    vectors = encoded(test_set, encoder, split=split, name=name)
    return DenseRun(exact_run(test_set, vectors), len(vectors.passages), vectors.cut)


def hybrid_run(lexical: Run, dense: Run, weight: float) -> Run:
    """Add both scores, as `fuse_scores` says.

    :param weight: share of the dense score.
    """
    return {query: fuse_scores(lexical.get(query, {}), found, weight) for query, found in dense.items()}
