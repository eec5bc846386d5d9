"""How far a model keeps relevant documents apart from others: cosines of both, as histograms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.evaluation.runs import Encoded
from haystack_lrl.evaluation.testset import TestSet

_NEGATIVES = 20  # documents drawn for each query
_BINS = 40
_SEED = 13


@dataclass(frozen=True)
class Separation:
    """Cosines of queries with their relevant documents and with documents drawn at random from the others."""

    positives: npt.NDArray[np.float64]
    negatives: npt.NDArray[np.float64]

    @property
    def chance(self) -> float | None:
        """How often a relevant document is more similar than a random other one (area under the ROC curve)."""
        if not len(self.positives) or not len(self.negatives):
            return None
        wins = mannwhitneyu(self.positives, self.negatives).statistic
        return float(wins / (len(self.positives) * len(self.negatives)))

    def to_json(self) -> dict[str, Any]:
        """Return shares by bin, over edges that both kinds have in common."""
        both = np.concatenate([self.positives, self.negatives])
        edges = np.linspace(both.min(), max(both.max(), both.min() + 1e-3), _BINS + 1)
        shares = {
            name: (np.histogram(values, edges)[0] / max(1, len(values))).tolist()
            for name, values in (("positives", self.positives), ("negatives", self.negatives))
        }
        return {"edges": edges.tolist(), **shares, "chance": self.chance}


def separation(test_set: TestSet, vectors: Encoded) -> Separation:
    """Return the cosines of every relevant document and of some that are not judged relevant."""
    rng = np.random.default_rng(_SEED)
    row = {document: number for number, document in enumerate(test_set.documents)}
    positives: list[float] = []
    negatives: list[float] = []
    for query, vector in zip(test_set.queries, vectors.queries, strict=True):
        relevant = [row[document] for document in test_set.qrels[query]]
        drawn = np.setdiff1d(rng.integers(len(row), size=_NEGATIVES), relevant)
        positives += [_best(vector, vectors, document) for document in relevant]
        negatives += [_best(vector, vectors, int(document)) for document in drawn]
    return Separation(np.array(positives), np.array(negatives))


def _best(query: Vectors, vectors: Encoded, document: int) -> float:
    """Return the cosine of the document's best passage."""
    start = vectors.starts[document]
    end = vectors.starts[document + 1] if document + 1 < len(vectors.starts) else len(vectors.passages)
    return float((vectors.passages[start:end] @ query).max())
