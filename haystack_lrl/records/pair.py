"""The records that every stage reads and writes."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from haystack_lrl.records.jsonl import dump_line, writing
from haystack_lrl.records.parts import Row, read_rows
from haystack_lrl.records.text import text_hash, text_of


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it.

    :param query: title, question or claim.
    :param passage: body text; never empty in a seed.
    :param id: the id that the seed file gave, or its line number.
    :param source: name of the data set the seed comes from.
    :param english_query: the seed's query where `query` is its translation, otherwise empty.
    :param english_passage: the seed's passage where `passage` is its translation, otherwise empty.
    """

    query: str
    passage: str
    id: str = ""
    source: str = ""
    english_query: str = ""
    english_passage: str = ""

    @property
    def group(self) -> str:
        """Identify the passage: pairs of a group are not each other's negatives, nor split between train and dev."""
        return text_hash(" ".join((self.english_passage or self.passage).split()))

    def to_json(self) -> dict[str, Any]:
        """Return query, passage and the other fields that are set, for a JSON line."""
        return {name: value for name, value in asdict(self).items() if value or name in {"query", "passage"}}

    def in_english(self) -> "Pair":
        """Return the untranslated pair: the control, and the check of what adaptation makes the model forget."""
        return Pair(self.english_query, self.english_passage, id=self.id, source=self.source)


@dataclass(frozen=True, slots=True)
class Triplet:
    """A pair with its hard negatives: passages that look relevant and are not."""

    pair: Pair
    negatives: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the pair's fields plus `negatives`, for a JSON line."""
        return {**self.pair.to_json(), "negatives": list(self.negatives)}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A pair that ends here.

    :param pair: what is known of the pair; its texts may be empty where they could not be made.
    :param reason: a short stable phrase, one per rule, by which rows are counted.
    :param raw: the answer of a generator that could not be used, word for word.
    """

    pair: Pair
    reason: str
    raw: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the pair's fields plus `reason` and, where there is one, `raw`, for a JSON line."""
        return {**self.pair.to_json(), "reason": self.reason, **({"raw": self.raw} if self.raw else {})}


_FIELDS = tuple(field.name for field in fields(Pair))


def read_pairs(source: str | Path, query_column: str = "query", passage_column: str = "passage") -> Iterator[Pair]:
    """Yield the pairs of a file, folder, glob or URL, NFC-normalised, with their line number where they have no id.

    :param source: JSONL (`.gz` too) or Parquet; see `haystack_lrl.records.parts`.
    :raises InputError: with path and line for a missing column or a value that is not text.
    """
    return (pair_of(row, query_column, passage_column) for row in read_rows(source))


def pair_of(row: Row, query_column: str = "query", passage_column: str = "passage") -> Pair:
    """Return the pair that a row holds.

    :raises InputError: with file and line for a missing column or a value that is not text.
    """
    where, number, values = row
    texts = {"query": text_of(values, query_column, where), "passage": text_of(values, passage_column, where)}
    rest = {name: str(values[name]) for name in _FIELDS if name in values and name not in texts}
    return Pair(**{"id": str(number), **rest, **texts})


def read_triplets(source: str | Path) -> Iterator[Triplet]:
    """Yield the triplets of a source; a line without `negatives` is a triplet without any."""
    for row in read_rows(source):
        yield Triplet(pair_of(row), tuple(row.values.get("negatives", ())))


def read_outcomes(source: str | Path) -> Iterator[Pair | Rejected]:
    """Yield what a stage wrote: pairs, and the pairs that it rejected."""
    return map(outcome_of, read_rows(source))


def outcome_of(row: Row) -> Pair | Rejected:
    """Return the pair that a row holds, or the rejected one."""
    pair, values = pair_of(row), row.values
    return Rejected(pair, str(values["reason"]), str(values.get("raw", ""))) if values.get("reason") else pair


def write_rows(path: Path, rows: Iterable[Pair | Rejected | Triplet]) -> int:
    """Write records as JSON lines, complete or not at all, and return how many."""
    count = 0
    with writing(path) as file:
        for row in rows:
            file.write(dump_line(row.to_json()))
            count += 1
    return count
