"""The page that a run ends with: one file, without scripts or anything fetched from elsewhere."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from haystack_lrl.evaluation import comparison_plots, plots, table
from haystack_lrl.languages.table import LANGUAGES
from haystack_lrl.records.jsonl import writing


def duration(seconds: object) -> str:
    """Return a time as people say it: `12.3 s`, `4 min 05 s`, `1 h 02 min`."""
    known = table.number(seconds)
    if known is None:
        return table.NO_FIGURE
    if known < 60:
        return f"{known:.1f} s"
    minutes, rest = divmod(round(known), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def percent(share: object) -> str:
    """Return a share as a percentage, with a decimal below one percent."""
    known = table.number(share)
    return table.figure(share, ".1%" if known is not None and 0 < known < 0.01 else ".0%")


def plain(value: object) -> str:
    """Return a setting as it would be written in YAML: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def minus(text: str) -> str:
    """Return figures with the typographic minus sign, which is as wide as a plus."""
    return text.replace("-", "−")


def spoken(code: str) -> str:
    """Return the name of a language, or its code where it is not one that the package knows."""
    return next((known.name for known in LANGUAGES if known.code == code), code)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(HEADLINE=table.HEADLINE, FURTHER=table.FURTHER, plots=plots, charts=comparison_plots)
    words = (duration, percent, plain, minus, spoken, table.setting, table.judgement)
    figures = (table.figure, table.count, table.bracket, table.estimate)
    environment.filters.update({function.__name__: function for function in (*words, *figures)})
    return environment.get_template("report.html.j2")


def write_report(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write the report as one HTML page, complete or not at all.

    :param path: where the page will lie, usually `report.html` in the run's folder.
    :param metrics: what metrics.json or comparison.json holds; a section whose key is absent is left out.
    """
    with writing(path) as file:
        file.writelines(_template().generate(m=metrics))
