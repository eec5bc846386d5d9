"""Where rows lie: files, folders and globs such as `pairs-*.jsonl`, here or at a URL.

A URL is what pyarrow opens: `s3://`, `gs://`, `hdfs://`, `file://`. Keys and addresses of stores are those that pyarrow
finds in the environment.
"""

import contextlib
import glob
import os
import uuid
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import sync_folder

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

UNFINISHED = "_unfinished"  # lies in a folder of parts as long as rows are added to it
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_WILD = "*?["
_OBJECT_STORES = {"s3", "gcs", "abfs"}  # in which a file is there when it is whole, and cannot be renamed


def is_url(source: str | Path) -> bool:
    """Tell whether a source is a URL."""
    return "://" in str(source)


def files_of(source: str | Path) -> list[str]:
    """Return the files of a source, sorted; in folders those that end in .jsonl, .jsonl.gz or .parquet.

    :raises InputError: when there are none, or a folder's rows are not all written yet.
    """
    text = str(source)
    found = listed(text)
    if unfinished := [path for path in found if path.endswith(f"/{UNFINISHED}")]:
        raise InputError(f"{unfinished[0].rpartition('/')[0]} is not finished: run the command that writes it again.")
    if found == [text] or any(sign in text for sign in _WILD):
        files = sorted(found)
    else:
        files = sorted(path for path in found if path.endswith(_SUFFIXES) and path.rpartition("/")[2][0] not in "._")
    if not files:
        raise InputError(f"{text} holds no file that ends in {', '.join(_SUFFIXES)}: check the path.")
    return files


def listed(source: str) -> list[str]:
    """Return every file that a source names, of whatever kind; in local folders without hidden ones."""
    return _listed_url(source) if is_url(source) else _listed(source)


def absolute(source: str | Path) -> str:
    """Return a path as other machines must know it; URLs stay as they are."""
    return str(source) if is_url(source) else str(Path(source).absolute())


def _listed(text: str) -> list[str]:
    path = Path(text)
    if path.is_dir():
        return [str(file) for file in path.rglob("[!.]*") if file.is_file()]
    if not path.exists() and any(sign in text for sign in _WILD):
        found = glob.glob(text, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [file for file in found if Path(file).is_file()]
    return [text]


def _listed_url(text: str) -> list[str]:
    """List what a URL names; pyarrow knows no globs, so that the folder above the first one is listed and compared."""
    from pyarrow.fs import FileSelector, FileType

    pattern = PurePosixPath(_path_in(text))
    fixed = next((place for place, name in enumerate(pattern.parts) if any(sign in name for sign in _WILD)), None)
    system, path = file_system(text if fixed is None else _above(text, len(pattern.parts) - fixed))
    with telling(text):
        if fixed is None and system.get_file_info(path).type != FileType.Directory:
            return [text]
        infos = system.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    base = text.rstrip("/") if fixed is None else _above(text, len(pattern.parts) - fixed)
    names = [info.path[len(path.rstrip("/")) + 1 :] for info in infos if info.type == FileType.File]
    rest = pattern.parts[fixed:] if fixed is not None else ()
    return [f"{base}/{name}" for name in names if not rest or _matches(name.split("/"), rest)]


def _path_in(url: str) -> str:
    return url.partition("://")[2]


def _above(url: str, levels: int) -> str:
    return url.rstrip("/").rsplit("/", levels)[0]


def _matches(names: list[str], patterns: tuple[str, ...]) -> bool:
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


def file_system(path: str) -> "tuple[FileSystem, str]":
    """Return what opens a path or URL, and the path in it.

    :raises InputError: for a URL that pyarrow does not know.
    """
    from pyarrow.fs import FileSystem, LocalFileSystem

    if not is_url(path):
        return LocalFileSystem(), str(Path(path).absolute())
    with telling(path):
        system, inner = FileSystem.from_uri(path)
    return system, str(inner)


@contextlib.contextmanager
def telling(path: str) -> Iterator[None]:
    """Say what is wrong with a file or its store in one sentence."""
    from pyarrow import ArrowException

    try:
        yield
    except (OSError, ArrowException) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path} cannot be read or written ({cause:.200}): check the path, and its store's keys where it has any."
        ) from error


def put(path: str, data: bytes) -> None:
    """Write one file, complete or not at all, in place of what has its name.

    :raises InputError: when a URL cannot be written; OSError for a local path.
    """
    partial = f"{path}.{uuid.uuid4().hex[:8]}.partial"  # two workers may write the same part at once
    if not is_url(path):
        with Path(partial).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
        sync_folder(Path(path).parent)
        return
    system, inner = file_system(path)
    with telling(path):
        if system.type_name in _OBJECT_STORES:
            with system.open_output_stream(inner, compression=None) as stream:
                stream.write(data)
            return
        with system.open_output_stream(_inner(partial), compression=None) as stream:
            stream.write(data)
        system.move(_inner(partial), inner)


def make_folder(path: str) -> None:
    """Make a folder and those above it, where stores have folders."""
    system, inner = file_system(path)
    with telling(path):
        system.create_dir(inner, recursive=True)


def remove(path: str) -> None:
    """Delete a file that is there."""
    system, inner = file_system(path)
    with telling(path):
        system.delete_file(inner)


def _inner(path: str) -> str:
    return file_system(path)[1]
