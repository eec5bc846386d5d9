"""Many queries through a search pipeline: rankings that can be measured, tuned on, and written to a file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from haystack import Document, Pipeline

from haystack_lrl.evaluation.runs import Run
from pipelines.retrieval import CANDIDATES, search


@dataclass(frozen=True)
class Rankings:
    """Scores by query and document id; a document that was cut into passages has the score of its best one.

    :param documents: the pipeline's answers.
    :param lexical: the rankings by words; empty ones where the pipeline has none.
    :param dense: the rankings by vectors; empty ones where the pipeline has none.
    """

    documents: Run
    lexical: Run
    dense: Run


def rank_queries(
    pipeline: Pipeline, queries: Mapping[str, str], *, filters: Mapping[str, Any] | None = None, top_k: int = 10
) -> Rankings:
    """Ask every query; what is retrieved of each is what a user gets, to `top_k` documents.

    :param queries: text by query id.
    :raises InputError: as `search`.
    """
    documents, lexical, dense = {}, {}, {}
    for name, text in queries.items():
        # several passages may be of one document
        found = search(pipeline, text, filters=filters, top_k=max(top_k, CANDIDATES))
        documents[name] = dict(list(by_document(found.documents).items())[:top_k])
        lexical[name], dense[name] = by_document(found.lexical), by_document(found.dense)
    return Rankings(documents, lexical, dense)


def by_document(passages: Iterable[Document]) -> dict[str, float]:
    """Return the score of each document's first passage, in the order of the ranking."""
    scores: dict[str, float] = {}
    for passage in passages:
        scores.setdefault(str(passage.meta.get("source_id") or passage.id), passage.score or 0.0)
    return scores
