"""Passages that questions are asked about."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.text import text_of


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    :param text: title and text of a BEIR document, joined as a test set joins them.
    :param id: the id that the file gave, or its line number.
    """

    text: str
    id: str = ""


def read_passages(path: Path, column: str = "text") -> Iterator[Passage]:
    """Yield the passages of a JSONL file, such as a BEIR corpus.

    :param column: what holds the text; a `title` beside it comes first.
    :raises InputError: with path and line for a missing column or a value that is not text.
    """
    for number, row in read_jsonl(path):
        where = f"{path} line {number}"
        title = text_of(row, "title", where) if row.get("title") else ""
        text = text_of(row, column, where)
        yield Passage(f"{title} {text}".strip(), str(row.get("_id", row.get("id", number))))
