"""Rows of JSONL and Parquet files wherever they lie, whole or part by part.

Parts are what workers read: runs of bytes, each line belonging to the part that it begins in, or the row groups of a
Parquet file.
"""

import contextlib
import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import parse_row, read_jsonl
from haystack_lrl.records.places import file_system, files_of, is_url, telling

_PART = 4 * 2**20  # bytes: a second's reading at most, and some thousand rows
_READ = 1024  # rows of a Parquet file in memory


class Row(NamedTuple):
    """One row of a file.

    :param where: file and line, for errors.
    :param number: its line, or its place in a Parquet file, from 1.
    """

    where: str
    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A run of rows of one file.

    :param path: a file's path or URL.
    :param start: its first byte; in a Parquet file its first row group.
    :param stop: the byte or row group that it ends before; None for the end of the file.
    :param first: lines or rows of the file before it.
    """

    path: str
    start: int = 0
    stop: int | None = None
    first: int = 0


def read_rows(source: str | Path) -> Iterator[Row]:
    """Yield every row of a source, file by file.

    :raises InputError: with file and line (row of a Parquet file) for what cannot be read.
    """
    for path in files_of(source):
        if is_url(path) or path.endswith(".parquet"):
            yield from read_part(Part(path))
        else:
            yield from (Row(f"{path} line {number}", number, row) for number, row in read_jsonl(Path(path)))


def parts_of(path: str, size: int = _PART) -> Iterator[Part]:
    """Yield the parts of one file: so many bytes each, a Parquet file's row groups, a gzipped file as a whole.

    :raises InputError: when the file cannot be read.
    """
    if path.endswith(".gz"):
        yield Part(path)
    elif path.endswith(".parquet"):
        yield from _row_groups(path)
    else:
        system, inner = file_system(path)
        with telling(path):
            length = system.get_file_info(inner).size
        if length is None:
            raise InputError(f"{path} is not a file: check the path.")
        for start in range(0, length, size):
            yield Part(path, start, min(length, start + size))


def _row_groups(path: str) -> Iterator[Part]:
    from pyarrow.parquet import read_metadata

    system, inner = file_system(path)
    with telling(path):
        metadata = read_metadata(inner, filesystem=system)
    first = 0
    for group in range(metadata.num_row_groups):
        yield Part(path, group, group + 1, first)
        first += metadata.row_group(group).num_rows


def read_part(part: Part) -> Generator[Row, None, int]:
    """Yield the rows of a part, and return the number of its last line, be it blank.

    :raises InputError: with file and line (row of a Parquet file) for what cannot be read.
    """
    number = part.first
    if part.path.endswith(".parquet"):
        for number, row in enumerate(_parquet_rows(part), start=part.first + 1):
            present = {name: value for name, value in row.items() if value is not None}
            yield Row(f"{part.path} row {number}", number, present)
        return number
    for number, line in _lines(part):
        if line.strip():
            where = f"{part.path} line {number}"
            yield Row(where, number, parse_row(line, where))
    return number


def part_lines(part: Part) -> Iterator[tuple[str, bytes]]:
    """Yield (file and line, line) of a part of any text file, without blank ones."""
    return ((f"{part.path} line {number}", line) for number, line in _lines(part) if line.strip())


def _parquet_rows(part: Part) -> Iterator[dict[str, Any]]:
    from pyarrow.parquet import ParquetFile

    system, inner = file_system(part.path)
    with telling(part.path), system.open_input_file(inner) as raw, ParquetFile(raw) as file:
        groups = range(part.start, file.num_row_groups if part.stop is None else part.stop)
        batches = file.iter_batches(_READ, row_groups=list(groups), use_threads=False)
        while True:
            batch = next(batches, None)
            if batch is None:
                return
            yield from batch.to_pylist()


def _lines(part: Part) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) for every line that begins in the part."""
    number = part.first
    with _opened(part.path) as file:
        if part.start:  # the line that is under way there belongs to the part before
            file.seek(part.start - 1)
            file.readline()
        place = file.tell() if part.start else 0
        try:
            while (part.stop is None or place < part.stop) and (line := file.readline()):
                place += len(line)
                number += 1
                yield number, line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"{part.path} after line {number} is not whole gzip: fetch or write the file again."
            ) from error


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    if is_url(path):
        system, inner = file_system(path)
        with telling(path):
            raw: Any = io.BufferedReader(system.open_input_file(inner), 2**20)
    elif Path(path).is_file():
        raw = Path(path).open("rb")  # noqa: SIM115 - closed below
    else:
        raise InputError(f"{path} is not a file: check the path.")
    with raw:
        if path.endswith(".gz"):
            with gzip.open(raw, "rb") as file:
                yield file
        else:
            yield raw


def lines_before(part: Part) -> int:
    """Return how many lines of its file begin before a part."""
    if part.start == 0 or part.path.endswith(".parquet"):
        return part.first
    count = 0
    with _opened(part.path) as file:
        left = part.start - 1  # a line that ends with the last byte before the part is one too
        while left > 0 and (block := file.read(min(2**20, left))):
            left -= len(block)
            count += block.count(b"\n")
        return count + 1
