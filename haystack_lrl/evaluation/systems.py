"""One table: every system on one test set, with statistics beside each number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.metrics import METRICS, PerQuery, best_rank, measure
from haystack_lrl.evaluation.runs import Run
from haystack_lrl.evaluation.statistics import Difference, bootstrap, or_none, paired, smallest_gain
from haystack_lrl.evaluation.testset import TestSet


@dataclass(frozen=True)
class System:
    """A ranking and what the table says of it.

    :param name: `BM25`, `base`, `control`, `adapted`, `merged`, `hybrid`, or what the user calls it.
    :param kind: `run` where another program ranked.
    :param seeds: rankings of the same training with other seeds; the system's values are means over all of them.
    :param passages: pieces that were indexed.
    :param cut: share of the text that the model would cut off if documents were not split; None where it reads all.
    """

    name: str
    kind: Literal["lexical", "dense", "hybrid", "run"]
    run: Run
    note: str = ""
    passages: int | None = None
    cut: float | None = None
    seeds: Sequence[Run] = ()


@dataclass(frozen=True)
class Scored:
    """The systems of one test set with their values per query.

    :param metrics: the first is what systems are compared by.
    :param reference: what the others are compared with.
    """

    test_set: TestSet
    role: str
    split: bool
    systems: Sequence[System]
    values: Mapping[str, PerQuery]
    metrics: Sequence[str] = METRICS
    reference: str = "base"

    def primary(self, name: str) -> npt.NDArray[np.float64]:
        """Return a system's values per query by which it is compared."""
        return self.values[name][self.metrics[0]]

    def difference(self, name: str, against: str = "") -> Difference:
        """Return the paired difference in the first metric between two systems.

        :param against: the reference by default.
        """
        return paired(self.primary(name), self.primary(against or self.reference))

    def mean(self, name: str) -> float:
        """Return a system's mean in the first metric."""
        return float(self.primary(name).mean())

    def to_json(self) -> dict[str, Any]:
        """Return the table as metrics.json holds it."""
        return {
            "name": self.test_set.name,
            "role": self.role,
            "language": self.test_set.language,
            "queries": len(self.test_set.queries),
            "documents": len(self.test_set.documents),
            "split": self.split,
            "smallest_gain": self._smallest_gain(),
            "systems": [self._row(system) for system in self.systems],
        }

    def _smallest_gain(self) -> float | None:
        """Return what these queries could detect, for the best system that is not the reference query by query."""
        if self.reference not in self.values:
            return None
        before = self.primary(self.reference)
        others = [name for name in self.values if (self.primary(name) != before).any()]
        return or_none(smallest_gain(self.primary(max(others, key=self.mean)), before)) if others else None

    def _row(self, system: System) -> dict[str, Any]:
        comparable = self.reference in self.values and system.name != self.reference
        return {
            "name": system.name,
            "kind": system.kind,
            "note": system.note,
            "passages": system.passages,
            "cut": system.cut,
            "metrics": {metric: bootstrap(self.values[system.name][metric]).to_json() for metric in self.metrics},
            "difference": {"against": self.reference, **self.difference(system.name).to_json()} if comparable else None,
            **self._seeds(system),
        }

    def _seeds(self, system: System) -> dict[str, Any]:
        """Return the means of a system's seeds, and their standard deviation over trainings, not over queries."""
        if not system.seeds:
            return {}
        metric = self.metrics[0]
        runs = (system.run, *system.seeds)
        means = [float(measure(self.test_set, run, (metric,))[metric].mean()) for run in runs]
        return {"seeds": {"means": means, "spread": float(np.std(means, ddof=1))}}


def score(
    test_set: TestSet,
    role: str,
    systems: Sequence[System],
    *,
    split: bool = True,
    metrics: Sequence[str] = METRICS,
    reference: str = "base",
) -> Scored:
    """Measure every system on the test set; a system of several seeds has the mean of theirs, query by query."""
    values = {system.name: _values(test_set, system, metrics) for system in systems}
    return Scored(test_set, role, split, systems, values, metrics, reference)


def _values(test_set: TestSet, system: System, metrics: Sequence[str]) -> PerQuery:
    seeds = [measure(test_set, run, metrics) for run in (system.run, *system.seeds)]
    return {metric: np.mean([values[metric] for values in seeds], axis=0) for metric in metrics}


def changes(scored: Scored, name: str, most: int = 10) -> dict[str, Any]:
    """Return how many queries the system won, lost and tied against the reference, and those that changed most."""
    gains = scored.primary(name) - scored.primary(scored.reference)
    order = np.argsort(-gains, kind="stable")
    queries = list(scored.test_set.queries)
    runs = {system.name: system.run for system in scored.systems}
    return {
        "test_set": scored.test_set.name,
        "improved": [_change(scored, runs, name, queries[i]) for i in order[:most] if gains[i] > 0],
        "harmed": [_change(scored, runs, name, queries[i]) for i in order[::-1][:most] if gains[i] < 0],
        "won": int((gains > 0).sum()),
        "lost": int((gains < 0).sum()),
        "tied": int((gains == 0).sum()),
    }


def _change(scored: Scored, runs: Mapping[str, Run], name: str, query: str) -> dict[str, Any]:
    test_set = scored.test_set
    relevant = max(test_set.qrels[query], key=test_set.qrels[query].__getitem__)
    return {
        "id": query,
        "query": test_set.queries[query],
        "base_rank": best_rank(test_set, runs[scored.reference], query),
        "rank": best_rank(test_set, runs[name], query),
        "passage": test_set.documents[relevant][:300],
    }


def verdict(scored: Scored) -> dict[str, Any]:
    """Say which system to deploy and what the adaptation itself contributed.

    Success means that the merged model beats the base with an interval that excludes zero. The hybrid is deployed
    only when it is distinguishably better than BM25 and the merged model; otherwise the simplest of those that are
    not distinguishable from the best.
    """
    gain = scored.difference("merged")
    success = gain.mean > 0 and gain.distinguishable
    deploy = _to_deploy(scored)
    parts = [
        f"Deploy {deploy} (nDCG@10 {scored.mean(deploy):.3f}).",
        f"Adaptation {'moved' if gain.distinguishable else 'did not distinguishably move'} the model from "
        f"{scored.mean('base'):.3f} to {scored.mean('merged'):.3f} ({gain.mean:+.3f}, 95% interval "
        f"{gain.low:+.3f} to {gain.high:+.3f}).",
    ]
    if "grown" in scored.values:
        parts.append(f"Its new words alone, before any training, reached {scored.mean('grown'):.3f}.")
    if "control" in scored.values:
        language = scored.difference("merged", "control")
        said = "but the language did not distinguishably add to it:"
        if language.distinguishable:
            said = "of which the language" if language.mean > 0 else "and the language made it worse:"
        parts.append(
            f"The same training on untranslated pairs reached {scored.mean('control'):.3f}, {said} "
            f"{language.mean:+.3f} ({language.low:+.3f} to {language.high:+.3f})."
        )
    return {"success": success, "deploy": deploy, "sentence": " ".join(parts)}


def _to_deploy(scored: Scored) -> str:
    """Return the simplest system that the best one is not distinguishably better than."""
    simplest_first = [name for name in ("BM25", "base", "merged", "hybrid") if name in scored.values]
    return simplest(simplest_first, scored.mean, lambda best, name: scored.difference(best, name).distinguishable)


def simplest(names: Sequence[str], mean: Callable[[str], float], apart: Callable[[str, str], bool]) -> str:
    """Return the first of the systems that the best one is not distinguishable from.

    :param names: simplest first.
    :param apart: says whether two systems can be told apart.
    """
    best = max(names, key=mean)
    return next(name for name in names if name == best or not apart(best, name))
