"""What to deploy, and what the adaptation itself contributed, in one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haystack_lrl.evaluation.contenders import BM25
from haystack_lrl.evaluation.pairwise import Contrast
from haystack_lrl.evaluation.statistics import Difference
from haystack_lrl.evaluation.systems import Scored, simplest

CONTROL = "control"
"""The name of a model that was trained on the same pairs left in English."""


@dataclass(frozen=True)
class Judged:
    """A table with the tests of every pair.

    :param exports: systems that are exported models.
    """

    table: Scored
    found: Sequence[Contrast]
    exports: frozenset[str] = frozenset()

    def contrast(self, one: str, other: str) -> Contrast:
        """Return the two systems' pair."""
        return next(row for row in self.found if {row.first, row.second} == {one, other})

    def difference(self, one: str, other: str) -> Difference:
        """Return `one` minus `other`."""
        pair = self.contrast(one, other)
        return pair.difference if pair.first == one else pair.difference.reversed()

    def apart(self, one: str, other: str) -> bool:
        """Say whether the two can be told apart."""
        return self.contrast(one, other).apart


def verdict(compared: Judged) -> dict[str, Any]:
    """Say in one sentence which system to deploy and what the adaptation itself contributed.

    The simplest is deployed of those that cannot be told apart from the best: BM25, then the reference, exported
    models, other models as they were given, rankings from files, the hybrid. The untranslated control is none of them.
    """
    table = compared.table
    kinds = {system.name: system.kind for system in table.systems}
    order = {"lexical": 0, "dense": 3, "run": 4, "hybrid": 5}
    places = {name: order[kind] for name, kind in kinds.items() if name != CONTROL or name == table.reference}
    places |= dict.fromkeys(compared.exports & places.keys(), 2)
    places[table.reference] = min(1, places[table.reference])
    deploy = simplest(sorted(places, key=places.__getitem__), table.mean, compared.apart)
    adapted = _adapted(compared, kinds)
    best = adapted if deploy == BM25 else deploy
    parts = [_against(compared, adapted, table.reference)] if adapted else ["no adapted model was compared"]
    if adapted and CONTROL in kinds:
        parts.append(_language(compared, adapted))
    if best and (best, BM25) != (adapted, table.reference):
        parts.append(_against(compared, best, BM25))
    return {
        "deploy": deploy,
        "sentence": f"Deploy {deploy} ({table.metrics[0]} {table.mean(deploy):.3f}): {_list(parts)}.",
    }


def _adapted(compared: Judged, kinds: Mapping[str, str]) -> str | None:
    """Return the system that stands for the adaptation: `merged`, else `adapted`, else the last model in torch."""
    apart = {compared.table.reference, CONTROL, "base"}
    models = [name for name, kind in kinds.items() if kind == "dense" and name not in apart]
    plain = [name for name in models if name not in compared.exports] or models
    return next((name for name in ("merged", "adapted") if name in plain), plain[-1] if plain else None)


def _figures(compared: Judged, one: str, other: str) -> tuple[bool, float, str]:
    """Return whether the two are apart, the difference, and it with its interval in words."""
    difference = compared.difference(one, other)
    said = f"{difference.mean:+.3f}"
    if difference.low == difference.low:
        said += f", 95% interval {difference.low:+.3f} to {difference.high:+.3f}"
    return compared.apart(one, other), difference.mean, f"({said})"


def _against(compared: Judged, one: str, other: str) -> str:
    apart, mean, figures = _figures(compared, one, other)
    said = ("better than" if mean > 0 else "worse than") if apart else "not distinguishable from"
    return f"{one} is {said} {other} {figures}"


def _language(compared: Judged, adapted: str) -> str:
    apart, mean, figures = _figures(compared, adapted, CONTROL)
    if not apart:
        return f"not distinguishable from the same training on untranslated pairs {figures}"
    return f"{'better' if mean > 0 else 'worse'} than the same training on untranslated pairs {figures}"


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
