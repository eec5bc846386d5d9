"""JSON lines in and out: plain or gzipped, streamed, and complete or absent."""

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from haystack_lrl.records.errors import InputError


def open_text(path: Path) -> IO[str]:
    """Open a UTF-8 text file for reading, gzipped or not.

    :raises InputError: when the file does not exist or is a folder.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file: check the path.")
    return cast(
        IO[str], gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    )


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) for every line that is not blank.

    :raises InputError: with path and line for what is not UTF-8 or whole gzip.
    """
    number = 0
    with open_text(path) as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
        except UnicodeDecodeError as error:
            raise InputError(f"{path} after line {number} is not UTF-8: convert the file, e.g. with iconv.") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path} after line {number} is not whole gzip: fetch or write the file again.") from error


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every line that is not blank.

    :raises InputError: with path and line for what is not a JSON object, UTF-8 or whole gzip.
    """
    for number, line in read_lines(path):
        yield number, parse_row(line, f"{path} line {number}")


def parse_row(line: str | bytes, where: str) -> dict[str, Any]:
    """Return the object that a line holds.

    :param where: file and line, for the error.
    :raises InputError: for what is not a JSON object or UTF-8.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not valid JSON ({error.msg}): mend or delete the line.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8: convert the file, e.g. with iconv.") from error
    if not isinstance(row, dict):
        raise InputError(f"{where} is a JSON {type(row).__name__}, not an object: mend it.")
    return row


def dump_line(row: Mapping[str, Any]) -> str:
    """Return one JSON line, as this package writes it everywhere."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def sync_folder(folder: Path) -> None:
    """Make renames inside the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """Write a text file that exists only when it is complete (temporary name, fsync, rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)  # what an error left; after the rename there is nothing by that name


def write_json(path: Path, value: object) -> None:
    """Write one indented JSON document, complete or not at all."""
    with writing(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2)
        file.write("\n")
