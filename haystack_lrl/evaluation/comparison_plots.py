"""Where things lie in the charts of a comparison: pure geometry, drawn by comparison.html.j2."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from haystack_lrl.evaluation.plots import Row, Scale, Tick, fitted
from haystack_lrl.evaluation.table import count, figure

WIDTH, SCATTER, HISTOGRAM = 300, 300, 190  # user units: both charts' width, and their heights
LEFT, RIGHT, TOP = 40, 288, 12
_BELOW = 44  # for the axis and its name
_LARGEST = 13  # radius of the dot of all queries


@dataclass(frozen=True)
class Bubble:
    """Queries with the same two values; `fate` is `won`, `lost` or `tied`."""

    x: float
    y: float
    radius: float
    fate: str
    label: str


@dataclass(frozen=True)
class Scatter:
    """One system's values over the reference's, query by query."""

    bottom: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    bubbles: list[Bubble]


def scatter(points: Sequence[tuple[float, float, int]]) -> Scatter:
    """Lay out (reference, system, queries); area says how many, and the largest are drawn first."""
    bottom = SCATTER - _BELOW
    x, y = Scale(0.0, 1.0, LEFT, RIGHT, 0.2), Scale(0.0, 1.0, bottom, TOP, 0.2)
    total = sum(queries for _, _, queries in points) or 1
    bubbles = [
        Bubble(
            x.at(before),
            y.at(after),
            round(max(1.8, _LARGEST * math.sqrt(queries / total)), 1),
            "won" if after > before else "lost" if after < before else "tied",
            f"{figure(before, '.2f')} to {figure(after, '.2f')}: {count(queries)}",
        )
        for before, after, queries in sorted(points, key=lambda point: -point[2])
    ]
    return Scatter(bottom, x.ticks(), y.ticks(), bubbles)


@dataclass(frozen=True)
class Histogram:
    """Two outlines over one axis, as SVG paths."""

    bottom: float
    x_ticks: list[Tick]
    positives: str
    negatives: str


def histograms(similarities: Row) -> dict[str, Histogram]:
    """Lay the histograms of all systems on one cosine axis; each has a vertical axis of its own."""
    edges = [edge for row in similarities.values() for edge in row["edges"]]
    x = fitted(edges, LEFT, RIGHT, intervals=5)
    return {name: _histogram(row, x) for name, row in similarities.items()}


def _histogram(row: Row, x: Scale) -> Histogram:
    bottom = HISTOGRAM - _BELOW
    highest = max([*row["positives"], *row["negatives"]], default=0) or 1
    y = Scale(0.0, highest, bottom, TOP)
    return Histogram(
        bottom, x.ticks(), *(_outline(row["edges"], row[kind], x, y) for kind in ("positives", "negatives"))
    )


def _outline(edges: Sequence[float], shares: Sequence[float], x: Scale, y: Scale) -> str:
    """Return the steps over the bins, closed along the axis."""
    steps = [f"V{y.at(share)}H{x.at(edge)}" for share, edge in zip(shares, edges[1:], strict=True)]
    return f"M{x.at(edges[0])},{y.at(0.0)}{''.join(steps)}V{y.at(0.0)}Z"
