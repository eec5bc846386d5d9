"""Text in whatever file holds it: lines, or the texts of records."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl, read_lines
from haystack_lrl.records.parts import Part, part_lines, read_part
from haystack_lrl.records.text import text_of

_COLUMNS = ("title", "text", "query", "passage")


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a JSONL file (title, text, query and passage of each line), or the lines of any other.

    :raises InputError: with path and line for a line that has none of them, or a value that is not text.
    """
    if ".jsonl" not in path.suffixes:
        for _, line in read_lines(path):
            yield line.strip()
        return
    for number, row in read_jsonl(path):
        yield from _texts_of(row, f"{path} line {number}")


def texts_in(part: Part) -> Iterator[str]:
    """Yield the texts of a part of such a file, or of a Parquet file's.

    :raises InputError: as `read_texts` does.
    """
    if ".jsonl" in part.path or part.path.endswith(".parquet"):
        for row in read_part(part):
            yield from _texts_of(row.values, row.where)
        return
    for where, line in part_lines(part):
        try:
            yield line.decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(f"{where} is not UTF-8: convert the file, e.g. with iconv.") from error


def _texts_of(row: Mapping[str, Any], where: str) -> Iterator[str]:
    columns = [column for column in _COLUMNS if column in row]
    if not columns:
        raise InputError(f"{where} has none of the columns {', '.join(_COLUMNS)}: rename its text to one of them.")
    for column in columns:
        if text := text_of(row, column, where).strip():
            yield text


def sample_english() -> Iterator[str]:
    """Yield the texts of the English pairs that come with the package."""
    with resources.as_file(resources.files("haystack_lrl.samples").joinpath("seeds.jsonl")) as path:
        yield from read_texts(path)
