"""One table: every system on one test set, with statistics beside each number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from haystack_lrl.evaluation.metrics import METRICS, PRIMARY, PerQuery, best_rank, measure
from haystack_lrl.evaluation.runs import Run
from haystack_lrl.evaluation.statistics import Difference, bootstrap, or_none, paired, smallest_gain
from haystack_lrl.evaluation.testset import TestSet


@dataclass(frozen=True)
class System:
    """A ranking and what the table says of it.

    :param name: `BM25`, `base`, `control`, `adapted`, `merged`, `hybrid`, or a model's path.
    :param passages: pieces that were indexed.
    :param cut: share of the text that the model would cut off if documents were not split; None where it reads all.
    """

    name: str
    kind: Literal["lexical", "dense", "hybrid"]
    run: Run
    note: str = ""
    passages: int | None = None
    cut: float | None = None


@dataclass(frozen=True)
class Scored:
    """The systems of one test set with their values per query."""

    test_set: TestSet
    role: str
    split: bool
    systems: Sequence[System]
    values: Mapping[str, PerQuery]

    def difference(self, name: str, against: str = "base") -> Difference:
        """Return the paired difference in nDCG@10 between two systems."""
        return paired(self.values[name][PRIMARY], self.values[against][PRIMARY])

    def mean(self, name: str) -> float:
        """Return a system's mean nDCG@10."""
        return float(self.values[name][PRIMARY].mean())

    def to_json(self) -> dict[str, Any]:
        """Return the table as metrics.json holds it."""
        base = self.values.get("base")
        best = max((name for name in self.values if name != "base"), key=self.mean, default=None)
        return {
            "name": self.test_set.name,
            "role": self.role,
            "language": self.test_set.language,
            "queries": len(self.test_set.queries),
            "documents": len(self.test_set.documents),
            "split": self.split,
            "smallest_gain": or_none(smallest_gain(self.values[best][PRIMARY], base[PRIMARY]))
            if base and best
            else None,
            "systems": [self._row(system) for system in self.systems],
        }

    def _row(self, system: System) -> dict[str, Any]:
        against = None if system.name == "base" or "base" not in self.values else self.difference(system.name)
        return {
            "name": system.name,
            "kind": system.kind,
            "note": system.note,
            "passages": system.passages,
            "cut": system.cut,
            "metrics": {metric: bootstrap(self.values[system.name][metric]).to_json() for metric in METRICS},
            "difference": {"against": "base", **against.to_json()} if against else None,
        }


def score(test_set: TestSet, role: str, systems: Sequence[System], *, split: bool = True) -> Scored:
    """Measure every system on the test set."""
    return Scored(test_set, role, split, systems, {system.name: measure(test_set, system.run) for system in systems})


def changes(scored: Scored, name: str, most: int = 10) -> dict[str, Any]:
    """Return how many queries the system won, lost and tied against the base, and those that changed most."""
    gains = scored.values[name][PRIMARY] - scored.values["base"][PRIMARY]
    order = np.argsort(-gains, kind="stable")
    queries = list(scored.test_set.queries)
    runs = {system.name: system.run for system in scored.systems}
    return {
        "test_set": scored.test_set.name,
        "improved": [_change(scored.test_set, runs, name, queries[i]) for i in order[:most] if gains[i] > 0],
        "harmed": [_change(scored.test_set, runs, name, queries[i]) for i in order[::-1][:most] if gains[i] < 0],
        "won": int((gains > 0).sum()),
        "lost": int((gains < 0).sum()),
        "tied": int((gains == 0).sum()),
    }


def _change(test_set: TestSet, runs: Mapping[str, Run], name: str, query: str) -> dict[str, Any]:
    relevant = next(iter(test_set.qrels[query]))
    return {
        "query": test_set.queries[query],
        "base_rank": best_rank(test_set, runs["base"], query),
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
    """Return the simplest system that the best one is not distinguishably better than, simplest first."""
    simplest_first = [name for name in ("BM25", "base", "merged", "hybrid") if name in scored.values]
    best = max(simplest_first, key=scored.mean)
    return next(name for name in simplest_first if name == best or not scored.difference(best, name).distinguishable)
