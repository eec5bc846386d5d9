"""What an approximate index misses: kept apart from how good a model is, which exact search measures."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.runs import Run


def approximate_recall(exact: Run, approximate: Run, k: int = 10) -> npt.NDArray[np.float64]:
    """Return, for each query, the share of the k best documents that an approximate index found among its own k best.

    A document that scores as the last of the k best is as good as that one. `bootstrap` says how sure the mean is.

    :param exact: scores by exact search, over at least k documents where there are so many.
    :param approximate: scores of the same vectors by the index; a query that it lacks has recall 0.
    :returns: shape (queries,), in the order of `exact`.
    :raises ValueError: when k is below 1, or exact search found nothing for a query.
    """
    if k < 1 or not all(exact.values()):
        raise ValueError(f"recall of the {k} best needs an exact ranking of every query and k of at least 1")
    return np.array([_recall(best, approximate.get(query, {}), k) for query, best in exact.items()])


def _recall(exact: Mapping[str, float], approximate: Mapping[str, float], k: int) -> float:
    last = sorted(exact.values(), reverse=True)[:k][-1]
    found = sorted(approximate, key=lambda document: -approximate[document])[:k]
    good = sum(exact.get(document, -np.inf) >= last for document in found)
    return good / min(k, len(exact))
