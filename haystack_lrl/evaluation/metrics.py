"""Metrics per query, from ir-measures."""

from collections.abc import Mapping

import ir_measures
import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.runs import Run
from haystack_lrl.evaluation.testset import TestSet

PRIMARY = "nDCG@10"
"""The metric by which models are chosen and compared."""

METRICS = (PRIMARY, "R@100", "RR@10")

PerQuery = Mapping[str, npt.NDArray[np.float64]]
"""Values by metric, in the order of the test set's queries."""


def measure(test_set: TestSet, run: Run) -> PerQuery:
    """Return every metric of every query; a query without a ranking scores 0.

    Ties are broken by document id, as trec_eval does.
    """
    row = {query: number for number, query in enumerate(test_set.queries)}
    values = {name: np.zeros(len(row)) for name in METRICS}
    qrels = {query: dict(judged) for query, judged in test_set.qrels.items()}
    ranked = {query: dict(scores) for query, scores in run.items() if scores}
    if ranked:
        for metric in ir_measures.iter_calc([ir_measures.parse_measure(name) for name in METRICS], qrels, ranked):
            values[str(metric.measure)][row[metric.query_id]] = metric.value
    return values


def ndcg(test_set: TestSet, run: Run) -> float:
    """Return the mean nDCG@10."""
    return float(measure(test_set, run)[PRIMARY].mean())


def best_rank(test_set: TestSet, run: Run, query: str) -> int | None:
    """Return the rank of the best-placed relevant document, from 1; None where none was found."""
    ranking = sorted(run.get(query, {}).items(), key=lambda item: -item[1])
    ranks = (rank for rank, (document, _) in enumerate(ranking, start=1) if document in test_set.qrels[query])
    return next(ranks, None)
