"""Any number of systems on one test set: what comparison.json holds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.contenders import HYBRID, Contest
from haystack_lrl.evaluation.deploying import CONTROL, Judged, verdict
from haystack_lrl.evaluation.leaks import leak_warnings
from haystack_lrl.evaluation.pairwise import contrasts, letters
from haystack_lrl.evaluation.per_query import breakdown, changed, points, query_rows
from haystack_lrl.evaluation.ranked import Ranked, rank, reference_of
from haystack_lrl.evaluation.statistics import or_none
from haystack_lrl.evaluation.systems import Scored, score
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError

_OF_A_RUN = ("merge", "curve", "curve_baselines", "rows", "training", "timings", "recipe", "versions", "machine")


@dataclass(frozen=True)
class Settings:
    """How systems are compared.

    :param metrics: as `metric_names` returns them; the first decides.
    :param reference: what the others are compared with; `base` by default, else the first system.
    :param hybrid_weight: share of the dense score.
    :param split: score long documents by their best passage, or else as the model cuts them.
    """

    metrics: Sequence[str]
    reference: str = ""
    hybrid_weight: float = 0.5
    split: bool = True


@dataclass(frozen=True)
class Compared:
    """The systems of all test sets, the first of which decides."""

    judged: Judged
    retention: Sequence[Judged]
    ranked: Ranked

    def query_rows(self) -> Iterable[dict[str, Any]]:
        """Return one row a query of the first test set."""
        return query_rows(self.judged.table, self.ranked.features)

    def to_json(self, leaks: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what comparison.json holds and the report shows.

        :param leaks: what `check_leaks` found; None where nobody looked.
        """
        first = self.judged.table
        spoken = language(first.test_set.language)
        others = [name for name in first.values if name != first.reference]
        return {
            "version": 1,
            "language": {"code": spoken.code, "name": spoken.name},
            "title": f"{first.test_set.name}: {', '.join(first.values)}",
            "metrics": list(first.metrics),
            "reference": first.reference,
            "verdict": verdict(self.judged),
            "test_sets": [_table(judged) for judged in (self.judged, *self.retention)],
            "pairs": [row.to_json() for row in self.judged.found],
            "forgetting": [row for judged in self.retention for row in _forgetting(judged)],
            "similarities": self.ranked.separations,
            "dimensions": self.ranked.dimensions,
            "per_query": [
                {
                    **changed(first, name),
                    "points": points(first, name),
                    "breakdown": breakdown(first, name, self.ranked.features),
                }
                for name in others
            ],
            "warnings": [*leak_warnings(leaks or {}), *_warnings(self)],
        }


def compare(
    test_set: TestSet, retention: Sequence[TestSet], asked: Contest, settings: Settings, *, progress: bool = True
) -> Compared:
    """Rank and measure every system on the test set and on those of other languages.

    :raises InputError: for what is wrong with a model, a ranking or the reference.
    """
    reference = reference_of(asked, settings.reference)
    sets = [test_set, *retention]
    ranked = rank(
        sets,
        asked,
        reference=reference,
        hybrid_weight=settings.hybrid_weight,
        split=settings.split,
        progress=progress,
    )
    tables = [
        score(
            one,
            "retention" if place else "test",
            ranked.systems[place],
            split=settings.split,
            metrics=settings.metrics,
            reference=reference,
        )
        for place, one in enumerate(sets)
    ]
    judged = [Judged(table, contrasts(_primary(table)), frozenset(ranked.exports)) for table in tables]
    return Compared(judged[0], judged[1:], ranked)


def _primary(table: Scored) -> dict[str, npt.NDArray[np.float64]]:
    return {name: table.primary(name) for name in table.values}


def _table(judged: Judged) -> dict[str, Any]:
    """Return a table with the corrected p beside each difference, and with letters."""
    table = judged.table
    given = table.to_json()
    marks = letters(sorted(table.values, key=table.mean, reverse=True), judged.found)
    for row in given["systems"]:
        row["letters"] = marks[row["name"]]
        if row["difference"]:
            row["difference"] = _difference(judged, row["name"])
    return given


def _difference(judged: Judged, name: str) -> dict[str, Any]:
    """Return a system's difference to the reference with the p that is corrected for all pairs of the table."""
    reference = judged.table.reference
    pair = judged.contrast(name, reference)
    difference = judged.difference(name, reference).to_json()
    return {"against": reference, **difference, "holm": pair.holm, "smallest_gain": or_none(pair.smallest_gain)}


def _forgetting(judged: Judged) -> Iterable[dict[str, Any]]:
    """Yield what each model does in another language, beside the reference."""
    table = judged.table
    for system in table.systems:
        if system.kind == "dense" and system.name != table.reference and table.reference in table.values:
            yield {
                "language": language(table.test_set.language).name,
                "test_set": table.test_set.name,
                "system": system.name,
                "before": table.mean(table.reference),
                "after": table.mean(system.name),
                "difference": _difference(judged, system.name),
            }


def _warnings(compared: Compared) -> list[str]:
    first = compared.judged.table
    queries = len(first.test_set.queries)
    found = []
    if queries == 1:
        found.append("One query: nobody can say how much it varies, so that there is no interval and no test.")
    elif queries < 100:
        found.append(f"{queries} queries are few: only large differences can be told from chance.")
    if not compared.retention:
        found.append("No other language was measured: give test sets of them with --retention CODE=FOLDER.")
    if CONTROL not in first.values:
        found.append(
            "No untranslated control was compared, so that the gain may come from training as such and not from the "
            f"language: give --system {CONTROL}=PATH."
        )
    if HYBRID not in first.values:
        found.append("No model was compared, so that there is no hybrid.")
    return found


def run_parts(folder: Path) -> dict[str, Any]:
    """Return what a run directory adds to the report: its curves, and where its rows went.

    :raises InputError: when it has no metrics.json.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise InputError(f"{path} is missing: give the folder of a run that has ended.")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {error.lineno} is not valid JSON ({error.msg}): run the stage again.") from error
    return {name: metrics[name] for name in _OF_A_RUN if metrics.get(name)}


def retention_of(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return language code and test set of what the recipe of a run says must not be forgotten."""
    evaluation = (parts.get("recipe") or {}).get("evaluation") or {}
    return list((evaluation.get("retention") or {}).items())
