"""Every system against every other one: paired tests, corrected for their number, and letters that sum them up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_lowercase
from typing import Any

import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.statistics import Difference, or_none, paired, smallest_gain

ALPHA = 0.05


@dataclass(frozen=True)
class Contrast:
    """Two systems on the same queries.

    :param difference: `first` minus `second`.
    :param holm: p of the randomisation test, corrected by Holm for the number of pairs.
    :param smallest_gain: the least true difference that these queries detect with 80% power at 5%; nan with one query.
    """

    first: str
    second: str
    difference: Difference
    holm: float
    smallest_gain: float

    @property
    def apart(self) -> bool:
        """Say whether the two can be told apart."""
        return self.holm <= ALPHA

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the report."""
        return {
            "first": self.first,
            "second": self.second,
            **self.difference.to_json(),
            "holm": self.holm,
            "smallest_gain": or_none(self.smallest_gain),
        }


def contrasts(values: Mapping[str, npt.NDArray[np.float64]], resamples: int = 10_000) -> list[Contrast]:
    """Compare every pair of systems, the better one first.

    :param values: one value per query by system, in the same order of queries.
    """
    ordered = sorted(values, key=lambda name: -values[name].mean())
    pairs = list(combinations(ordered, 2))
    differences = [paired(values[first], values[second], resamples) for first, second in pairs]
    corrected = holm([difference.p for difference in differences])
    return [
        Contrast(first, second, difference, p, smallest_gain(values[first], values[second]))
        for (first, second), difference, p in zip(pairs, differences, corrected, strict=True)
    ]


def holm(p: Sequence[float]) -> list[float]:
    """Return p corrected for many comparisons (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    corrected = [0.0] * len(p)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = highest
    return corrected


def letters(names: Sequence[str], found: Sequence[Contrast]) -> dict[str, str]:
    """Return letters such that two systems share one exactly if they cannot be told apart.

    By insertion and absorption (Piepho, Journal of Computational and Graphical Statistics 13, 2004).

    :param names: best first; the best has an `a`.
    """
    groups = [frozenset(names)]
    for contrast in found:
        pair = {contrast.first, contrast.second}
        if contrast.apart:
            halves = [group - {one} for group in groups if pair <= group for one in sorted(pair)]
            groups = _absorbed([*(group for group in groups if not pair <= group), *halves])
    groups.sort(key=lambda group: sorted(map(names.index, group)))
    return {name: "".join(_letter(i) for i, group in enumerate(groups) if name in group) for name in names}


def _absorbed(groups: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Leave out groups that lie within others."""
    different = list(dict.fromkeys(groups))
    return [group for group in different if not any(group < other for other in different)]


def _letter(number: int) -> str:
    return ascii_lowercase[number % 26] + "'" * (number // 26)
