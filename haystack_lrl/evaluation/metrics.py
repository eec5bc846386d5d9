"""Metrics per query, from ir-measures."""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.runs import Run
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError

PRIMARY = "nDCG@10"
"""The metric by which models are chosen and compared."""

METRICS = (PRIMARY, "R@100", "RR@10")

PerQuery = Mapping[str, npt.NDArray[np.float64]]
"""Values by metric, in the order of the test set's queries."""


def metric_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics as ir-measures writes them, each once, in their order.

    :param names: such as `nDCG@10`, `R@100`, `RR@10`, `AP`, `P@5` or `Success@1`.
    :raises InputError: for a name that ir-measures does not know.
    """
    found = {}
    for name in names:
        try:
            found[str(ir_measures.parse_measure(name))] = True
        except (NameError, ValueError, KeyError) as error:
            raise InputError(
                f"{name!r} is not a metric of ir-measures: give one such as nDCG@10, R@100, RR@10, AP, P@5, Success@1."
            ) from error
    return tuple(found)


def measure(test_set: TestSet, run: Run, metrics: Sequence[str] = METRICS) -> PerQuery:
    """Return every metric of every query; a query without a ranking scores 0.

    Ties are broken by document id, as trec_eval does.

    :param metrics: names as `metric_names` returns them.
    """
    row = {query: number for number, query in enumerate(test_set.queries)}
    values = {name: np.zeros(len(row)) for name in metrics}
    qrels = {query: dict(judged) for query, judged in test_set.qrels.items()}
    ranked = {query: dict(scores) for query, scores in run.items() if scores}
    if ranked:
        for metric in ir_measures.iter_calc([ir_measures.parse_measure(name) for name in metrics], qrels, ranked):
            values[str(metric.measure)][row[metric.query_id]] = metric.value
    return values


def ndcg(test_set: TestSet, run: Run) -> float:
    """Return the mean nDCG@10."""
    return float(measure(test_set, run, (PRIMARY,))[PRIMARY].mean())


def best_rank(test_set: TestSet, run: Run, query: str) -> int | None:
    """Return the rank of the best-placed relevant document, from 1; None where none was found."""
    ranking = sorted(run.get(query, {}).items(), key=lambda item: -item[1])
    ranks = (rank for rank, (document, _) in enumerate(ranking, start=1) if document in test_set.qrels[query])
    return next(ranks, None)
