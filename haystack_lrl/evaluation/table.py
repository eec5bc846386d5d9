"""The results as text: the figures that the terminal and the page print alike."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEADLINE = "nDCG@10"  # what differences and the verdict are about
FURTHER = ("R@100", "RR@10")
ROLES = {
    "test": "test set",
    "retention": "retention: what the model could do before",
    "held-out": "held-out part of the training data",
}
NO_FIGURE = "–"
_ALPHA = 0.05


def number(value: object) -> float | None:
    """Return a finite number, or None for everything that is not one (null, nan, absent, text)."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None  # type: ignore[arg-type]  # usable says that it is a number


def figure(value: object, form: str = ".3f") -> str:
    """Return the number as the report prints it, a dash where there is none."""
    known = number(value)
    return NO_FIGURE if known is None else format(known, form)


def count(value: object) -> str:
    """Return a whole number with thousands separated: `12,345`."""
    return figure(value, ",.0f")


def bracket(interval: Mapping[str, Any], form: str = ".3f") -> str:
    """Return the ends of an interval, `[0.481, 0.543]`, or nothing where they are not known."""
    ends = [interval.get("low"), interval.get("high")]
    return "" if None in map(number, ends) else f"[{', '.join(figure(end, form) for end in ends)}]"


def estimate(interval: Mapping[str, Any] | None, form: str = ".3f") -> str:
    """Return a mean with its interval: `0.512 [0.481, 0.543]`."""
    interval = interval or {}
    return f"{figure(interval.get('mean'), form)} {bracket(interval, form)}".rstrip()


def judgement(difference: Mapping[str, Any]) -> str:
    """Say in words what a corrected test of a difference allows to say, or else its interval."""
    against = difference.get("against") or "base"
    low, high = number(difference.get("low")), number(difference.get("high"))
    corrected, mean = number(difference.get("holm")), number(difference.get("mean"))
    if corrected is not None:
        low, high = (None, None) if corrected > _ALPHA or mean is None else (mean, mean)
    if low is not None and low > 0:
        return f"better than {against}"
    if high is not None and high < 0:
        return f"worse than {against}"
    return f"not distinguishable from {against}"


def setting(test_set: Mapping[str, Any]) -> str:
    """Describe a test set in one line: role, language, size and whether documents were split."""
    role = str(test_set.get("role") or "")
    units = {"queries": "query", "documents": "document"}
    sizes = [f"{count(test_set[u])} {one if test_set[u] == 1 else u}" for u, one in units.items() if u in test_set]
    split = "split into passages" if test_set.get("split") else ""
    return " · ".join(str(part) for part in [ROLES.get(role, role), test_set.get("language"), *sizes, split] if part)


def _row(system: Mapping[str, Any], shown: Sequence[str], deploy: str | None) -> list[str]:
    metrics, difference = system.get("metrics") or {}, system.get("difference")
    further = [figure((metrics.get(name) or {}).get("mean")) for name in shown[1:]]
    compared = f"{estimate(difference, '+.3f')}  {judgement(difference)}" if difference else ""
    name = str(system["name"])
    first = f"{estimate(metrics.get(shown[0]))} {system.get('letters', '')}".rstrip()
    return ["*" if name == deploy else " ", name, first, *further, compared]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def text_table(metrics: Mapping[str, Any]) -> str:
    """Return one block of aligned columns per test set; `*` marks the system to deploy.

    Letters after the first figure are those that systems share which cannot be told apart.

    :param metrics: what metrics.json holds.
    """
    deploy = (metrics.get("verdict") or {}).get("deploy")
    shown = metrics.get("metrics") or [HEADLINE, *FURTHER]
    blocks = []
    for test_set in metrics["test_sets"]:
        header = [" ", "system", f"{shown[0]} [95%]", *shown[1:], f"difference in {shown[0]} [95%]"]
        rows = [header, *(_row(system, shown, deploy) for system in test_set["systems"])]
        blocks.append("\n".join([f"{test_set['name']}: {setting(test_set)}", *_aligned(rows)]))
    marked = any(system["name"] == deploy for test_set in metrics["test_sets"] for system in test_set["systems"])
    return "\n\n".join([*blocks, *(["* the system to deploy"] if marked else [])]) + "\n"
