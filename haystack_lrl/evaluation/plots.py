"""Where things lie in the report's charts: pure geometry, drawn by report.html.j2.

Lengths are SVG user units, y grows downwards, and a point that is not a finite number is left out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from haystack_lrl.evaluation.table import HEADLINE, count, figure, number

LEFT, RIGHT, WIDTH = 44, 330, 420  # the plot's sides; names of horizontal lines stand between RIGHT and WIDTH
_TOP, _HEIGHT = 14, 170
BAR_LEFT, BAR_RIGHT, BAR_WIDTH = 10, 210, 220  # an in-row interval
_LINE = 14  # user units that one line of text needs
_LABEL = 40  # user units that one label of the x axis needs

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Map values from low..high to positions from start..end, evenly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    step: float = 0.0
    log: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value, to a tenth of a unit."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[Tick]:
        """Return a tick at every step, with as many decimals as the step has."""
        decimals = max(0, -math.floor(math.log10(self.step)))
        values = [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]
        return [Tick(self.at(value), f"{value:,.{decimals}f}") for value in values]


def fitted(values: Iterable[float | None], start: float, end: float, intervals: int = 4) -> Scale:
    """Return an even scale around the values with round ends and steps (1, 2 or 5 times a power of ten)."""
    known = [value for value in values if value is not None] or [0.0, 1.0]
    least, most = min(known), max(known)
    rough = max(most - least, 0.02) / intervals  # a flat line is not worth finer ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    low, high = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return Scale(low * step, max(high, low + 1) * step, start, end, step)


@dataclass(frozen=True)
class Whisker:
    """An estimate on a horizontal axis; low and high are None where the interval is not known."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forest:
    """The intervals of a test set's systems on one axis; `reference` is where the base model's mean lies."""

    ticks: list[Tick]
    rows: list[Whisker]
    reference: float | None


def _ends(interval: Row) -> list[float | None]:
    return [number(interval.get(name)) for name in ("mean", "low", "high")]


def forest(systems: Sequence[Row], metric: str = HEADLINE) -> Forest:
    """Lay the intervals of the systems in one metric on one axis."""
    ends = [_ends((system.get("metrics") or {}).get(metric) or {}) for system in systems]
    scale = fitted([end for row in ends for end in row], BAR_LEFT, BAR_RIGHT, intervals=3)
    rows = [Whisker(*(None if end is None else scale.at(end) for end in row)) for row in ends]
    base = {(system.get("difference") or {}).get("against") for system in systems} - {None}
    reference = next((row.mean for row, system in zip(rows, systems, strict=True) if system["name"] in base), None)
    return Forest(scale.ticks(), rows, reference)


@dataclass(frozen=True)
class Dot:
    """A point with its whisker and what it says when pointed at."""

    x: float
    y: float
    low: float | None
    high: float | None
    label: str
    marked: bool


@dataclass(frozen=True)
class Rule:
    """A horizontal line across the plot whose name stands at `label_y`, clear of the other names."""

    y: float
    label_y: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One plot: axes, a line through dots, and named horizontal lines."""

    top: float
    bottom: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    dots: list[Dot]
    rules: list[Rule]

    @property
    def line(self) -> str:
        """Return the points of the line through the dots, as SVG wants them."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move positions apart to at least `gap`, each as little as can be (isotonic regression, least squares)."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    groups: list[list[float]] = []
    for rank, index in enumerate(order):
        groups.append([positions[index] - rank * gap])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = [fmean(group) for group in groups for _ in group]
    return [round(moved[rank] + rank * gap, 1) for rank in map(order.index, range(len(positions)))]


def thinned(ticks: Sequence[Tick], gap: float = _LABEL) -> list[Tick]:
    """Leave out the labels that would touch the one after, so that the last one stays."""
    kept: list[Tick] = []
    for tick in reversed(ticks):
        if not kept or kept[-1].at - tick.at >= gap:
            kept.append(tick)
    return kept[::-1]


@dataclass(frozen=True)
class Point:
    """An estimate at a place on the x axis."""

    x: float
    mean: float
    low: float | None = None
    high: float | None = None


def points(rows: Sequence[Row], across: str, value: str = "mean") -> list[Point]:
    """Return the rows that have both numbers as points, from left to right."""
    found = [(number(row.get(across)), number(row.get(value)), *_ends(row)[1:]) for row in rows]
    known = [Point(x, mean, low, high) for x, mean, low, high in found if x is not None and mean is not None]
    return sorted(known, key=lambda point: point.x)


def _dot(point: Point, x: Scale, y: Scale, marked: float | None) -> Dot:
    low, high = (None if end is None else y.at(end) for end in (point.low, point.high))
    label = f"{count(point.x) if point.x > 1 else figure(point.x, 'g')}: {figure(point.mean)}"
    chosen = marked is not None and math.isclose(point.x, marked, abs_tol=1e-9)
    return Dot(x.at(point.x), y.at(point.mean), low, high, label, chosen)


def _panel(
    drawn: Sequence[Point], x: Scale, x_ticks: list[Tick], height: float, marked: float | None, rules: Row | None = None
) -> Panel:
    known = {name: value for name, raw in (rules or {}).items() if (value := number(raw)) is not None}
    reached = [*known.values(), *(end for point in drawn for end in (point.mean, point.low, point.high))]
    y = fitted(reached, _TOP + height, _TOP)
    heights = [y.at(value) for value in known.values()]
    labels = [f"{name} {figure(value)}" for name, value in known.items()]
    lines = [Rule(*rule) for rule in zip(heights, spread(heights, _LINE), labels, strict=True)]
    dots = [_dot(point, x, y, marked) for point in drawn]
    return Panel(_TOP, _TOP + height, thinned(x_ticks), y.ticks(), dots, lines)


def merge_panels(merge: Row) -> dict[str, Panel]:
    """Return plots over the weight of the adapted model, the chosen weight marked.

    :returns: `dev`, and the code of each language that must not be forgotten, in which the interval says how far the
        fall below the base may go, and the line how far the mean may.
    """
    x = Scale(0.0, 1.0, LEFT, RIGHT, 0.2)
    chosen, rows = number(merge.get("chosen")), merge.get("points") or []
    series = {"dev": points(rows, "weight", "dev")}
    for code in merge.get("floors") or {}:
        series[code] = points([_retained(row, rows[0], code) for row in rows], "weight")
    floors = {code: {"floor": floor} for code, floor in (merge.get("floors") or {}).items()}
    return {
        name: _panel(drawn, x, x.ticks(), 0.6 * _HEIGHT, chosen, floors.get(name))
        for name, drawn in series.items()
        if drawn
    }


def _retained(row: Row, base: Row, code: str) -> Row:
    """Return a language's mean at a weight; what its difference to the base may at least be becomes a value."""
    kept, before = (point.get("retained", {}).get(code) or {} for point in (row, base))
    mean, start, low = number(kept.get("mean")), number(before.get("mean")), number(kept.get("low"))
    worst = None if start is None or low is None else start + low
    return {"weight": row.get("weight"), "mean": mean, "low": worst, "high": mean}


def curve_panel(curve: Sequence[Row], baselines: Row | None) -> Panel | None:
    """Return the plot of the score over the number of pairs (logarithmic), or None where there is no point."""
    drawn = [point for point in points(curve, "pairs") if point.x > 0]
    if not drawn:
        return None
    least, most = drawn[0].x, drawn[-1].x
    margin = (most / least) ** 0.05 if most > least else 2.0
    x = Scale(least / margin, most * margin, LEFT, RIGHT, log=True)
    ticks = [Tick(x.at(point.x), count(point.x)) for point in drawn]
    return _panel(drawn, x, ticks, _HEIGHT, None, baselines)


def history_panel(history: Sequence[Row]) -> Panel | None:
    """Return the plot of the dev score over the training steps, the best one marked, or None where there is none."""
    drawn = points(history, "step", "dev")
    if not drawn:
        return None
    x = fitted([0.0, drawn[-1].x], LEFT, RIGHT)
    best = max(drawn, key=lambda point: point.mean)
    return _panel(drawn, x, x.ticks(), 0.7 * _HEIGHT, best.x)


@dataclass(frozen=True)
class Part:
    """Rows with one fate, and their share of the widest stage in percent."""

    label: str
    rows: int
    share: float
    kept: bool


def funnel(stages: Mapping[str, Row]) -> dict[str, list[Part]]:
    """Return the parts of every stage: kept and each reason, or the named parts where a stage only divides rows."""
    fates = {name: _fates(stage) for name, stage in stages.items()}
    widest = max((sum(rows for _, rows, _ in parts) for parts in fates.values()), default=0) or 1
    return {
        name: [Part(label, rows, round(100 * rows / widest, 2), kept) for label, rows, kept in parts]
        for name, parts in fates.items()
    }


def _fates(stage: Row) -> list[tuple[str, int, bool]]:
    rejected = stage.get("rejected") or {}
    kept = {"kept": stage["kept"]} if "kept" in stage else {k: v for k, v in stage.items() if k != "rejected"}
    fates = [*((label, rows, True) for label, rows in kept.items()), *((r, n, False) for r, n in rejected.items())]
    return [(label, int(rows), fate) for label, raw, fate in fates if (rows := number(raw)) is not None]
