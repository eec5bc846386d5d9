"""The review sheet: some pairs with their hard negatives, for a person who reads the language."""

import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from haystack_lrl.curation.mined import Mined, Negative
from haystack_lrl.records.jsonl import writing
from haystack_lrl.records.sheets import write_sheet

_EXAMPLES = 30
_COLUMNS = ("row", "id", "query", "positive", "positive score", "negative", "score", "rank", "reason")


class Review:
    """Thirty of all rows that go by, each as likely as any other, drawn with the seed.

    :param seed: the same rows give the same sheet.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._rows = 0
        self._drawn: dict[int, tuple[int, Mined]] = {}

    def add(self, mined: Mined) -> None:
        """Let a row go by, and keep it with the probability that its turn gives it (reservoir sampling)."""
        self._rows += 1
        place = len(self._drawn) if len(self._drawn) < _EXAMPLES else self._random.randrange(self._rows)
        if place < _EXAMPLES:
            self._drawn[place] = (self._rows, mined)

    def examples(self) -> list[tuple[int, Mined]]:
        """Return (number of the row from 1, row), in order."""
        return sorted(self._drawn.values(), key=lambda drawn: drawn[0])

    def write(self, path: Path, margin: float, counts: Mapping[str, Any]) -> None:
        """Write the sheet as one HTML page, and the same as CSV beside it, each complete or not at all.

        :param margin: share of the positive's score that negatives stay below.
        :param counts: what became of all rows.
        """
        examples = self.examples()
        write_sheet(path.with_suffix(".csv"), _COLUMNS, _cells(examples))
        with writing(path) as file:
            file.writelines(_template().generate(examples=examples, margin=margin, counts=counts))


def reason(negative: Negative) -> str:
    """Say why a negative counts as hard."""
    return f"number {negative.rank} for the query, {negative.closeness:.0%} of the positive's score"


def _cells(examples: list[tuple[int, Mined]]) -> Iterator[list[object]]:
    """Yield one line a negative, and one for a pair that has none."""
    for row, mined in examples:
        start = [row, mined.pair.id, mined.pair.query, mined.pair.passage, round(mined.positive, 4)]
        if not mined.negatives:
            yield [*start, "", "", "", mined.lacking]
        for negative in mined.negatives:
            yield [*start, negative.source.passage, round(negative.score, 4), negative.rank, reason(negative)]


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["reason"] = reason
    return environment.get_template("review.html.j2")
