"""The share of the dense score in a hybrid, chosen on dev queries, and how sure the choice is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import Run, hybrid_run
from haystack_lrl.evaluation.statistics import Difference, Interval, bootstrap, paired
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError

EQUAL = 0.5
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))

_FOLDS = 5
_RESAMPLES = 2000


@dataclass(frozen=True)
class TunedWeight:
    """A weight and what it is worth on queries that did not choose it.

    :param weight: the best share of the dense score over all dev queries; among equals, the one nearest to a half.
    :param low: lower end of its 95% interval: what other dev queries of the same kind would have chosen.
    :param high: upper end.
    :param curve: nDCG@10 by weight; 0 is BM25 alone, 1 the dense ranking alone.
    :param against_equal: nDCG@10 of weights chosen on other queries minus that of equal shares. Keep equal shares
        unless it is above zero and `distinguishable`.
    :param against_lexical: the same minus BM25.
    """

    weight: float
    low: float
    high: float
    curve: Mapping[float, Interval]
    against_equal: Difference
    against_lexical: Difference

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a result file."""
        return {
            "weight": self.weight,
            "low": self.low,
            "high": self.high,
            "curve": {str(weight): interval.to_json() for weight, interval in self.curve.items()},
            "against equal shares": self.against_equal.to_json(),
            "against BM25": self.against_lexical.to_json(),
        }


def tune_weight(test_set: TestSet, lexical: Run, dense: Run, seed: int = 13) -> TunedWeight:
    """Choose the share of the dense score that ranks the dev queries best.

    Use queries as your users ask them, judged by people: translated pairs choose a weight that loses to BM25 on
    people's own text. A choice looks better on the queries that made it, so the differences are cross-fitted: each
    query is ranked with the weight that four fifths of the others chose.

    :param test_set: dev queries and their judgements.
    :param lexical: their ranking by words.
    :param dense: their ranking by vectors.
    :raises InputError: when there are fewer than ten queries.
    """
    queries = len(test_set.queries)
    if queries < 2 * _FOLDS:
        raise InputError(f"{test_set.name} has {queries} queries, too few to choose a weight: keep equal shares.")
    values = np.stack([measure(test_set, hybrid_run(lexical, dense, weight))[PRIMARY] for weight in WEIGHTS])
    rng = np.random.default_rng(seed)
    fitted = _cross_fitted(values, rng.permutation(queries) % _FOLDS)
    draws = rng.multinomial(queries, np.full(queries, 1 / queries), size=_RESAMPLES)
    low, high = np.quantile([WEIGHTS[_best(values @ draw)] for draw in draws], [0.025, 0.975])
    return TunedWeight(
        weight=WEIGHTS[_best(values.sum(axis=1))],
        low=float(low),
        high=float(high),
        curve={weight: bootstrap(row) for weight, row in zip(WEIGHTS, values, strict=True)},
        against_equal=paired(fitted, values[WEIGHTS.index(EQUAL)]),
        against_lexical=paired(fitted, measure(test_set, lexical)[PRIMARY]),
    )


def _cross_fitted(values: NDArray[np.float64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each query's value under the weight that the other folds chose, shape (queries,).

    :param values: by weight and query, shape (weights, queries).
    :param folds: of each query, shape (queries,).
    """
    fitted = np.zeros(values.shape[1])
    for fold in range(_FOLDS):
        inside = folds == fold
        fitted[inside] = values[_best(values[:, ~inside].sum(axis=1)), inside]
    return fitted


def _best(sums: NDArray[np.floating]) -> int:
    """Return the index of the largest; of equal ones that nearest to equal shares."""
    order = sorted(range(len(WEIGHTS)), key=lambda row: (-round(float(sums[row]), 9), abs(WEIGHTS[row] - EQUAL)))
    return order[0]
