"""Passages that questions are asked about."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from haystack_lrl.records.parts import Row, read_rows
from haystack_lrl.records.text import text_of


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    :param text: title and text of a BEIR document, joined as a test set joins them.
    :param id: the id that the file gave, or its line number.
    """

    text: str
    id: str = ""


def read_passages(source: str | Path, column: str = "text") -> Iterator[Passage]:
    """Yield the passages of a file, folder, glob or URL, such as a BEIR corpus.

    :param source: JSONL (`.gz` too) or Parquet; see `haystack_lrl.records.parts`.
    :param column: what holds the text; a `title` beside it comes first.
    :raises InputError: with path and line for a missing column or a value that is not text.
    """
    return (passage_of(row, column) for row in read_rows(source))


def passage_of(row: Row, column: str = "text") -> Passage:
    """Return the passage that a row holds.

    :raises InputError: with file and line for a missing column or a value that is not text.
    """
    where, number, values = row
    title = text_of(values, "title", where) if values.get("title") else ""
    text = text_of(values, column, where)
    return Passage(f"{title} {text}".strip(), str(values.get("_id", values.get("id", number))))
