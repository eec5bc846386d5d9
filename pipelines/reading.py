"""Documents out of files: rows one by one, everything else through Haystack's converters."""

import importlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from haystack import Document

from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.records.parts import Part, lines_before, parts_of, read_part
from haystack_lrl.records.places import files_of, is_url
from haystack_lrl.records.text import text_hash, text_of

logger = logging.getLogger(__name__)

_ROWS = (".jsonl", ".jsonl.gz", ".parquet")
# suffix -> (converter, package that it needs); the others come with Haystack
_CONVERTERS = {
    ".txt": ("TextFileToDocument", ""),
    ".md": ("TextFileToDocument", ""),  # as it is: embedders read its few marks
    ".html": ("HTMLToDocument", "trafilatura"),
    ".htm": ("HTMLToDocument", "trafilatura"),
    ".pdf": ("PyPDFToDocument", "pypdf"),
    ".docx": ("DOCXToDocument", "python-docx"),
}
_READ = (*_ROWS, *_CONVERTERS)
_TAKEN = {field.name for field in fields(Document)} | {"source_id", "split_id", "split_idx_start", "page_number"}


def read_documents(paths: Iterable[str | Path]) -> Iterator[Document]:
    """Yield the documents of files and of the files in folders, one file or row at a time.

    Rows are `{"_id", "title", "text", ...}` as in a BEIR corpus, where all other columns become metadata, or
    `{"id", "content", "meta"}` as Haystack writes documents, in JSONL (`.gz` too) or Parquet files, which may be URLs
    that pyarrow opens. A document's id is the one in its row, else the hash of its text; that of another file is the
    hash of its path, so that a changed file takes its own place.

    :raises InputError: for what cannot be read, with path and line.
    :raises MissingExtraError: for a kind of file that needs a package that is not installed.
    """
    for path in _files(paths):
        yield from read_source(Part(path) if path.endswith(_ROWS) else path)


def sources_of(paths: Iterable[str | Path]) -> Iterator[Part | str]:
    """Yield what workers read of the same files: parts of files of rows, and paths of other files.

    :raises InputError: as `read_documents`.
    """
    for path in _files(paths):
        if path.endswith(_ROWS):
            yield from parts_of(path)
        else:
            yield path


def read_source(source: Part | str) -> Iterator[Document]:
    """Yield the documents of a part or of a file that holds no rows.

    :raises InputError: for what cannot be read, with path and line.
    """
    if isinstance(source, str):
        yield from _converted(Path(source))
        return
    try:
        for row in read_part(source):
            yield _document(row.values, row.where)
    except InputError:
        if source.first or not source.start:
            raise
        for row in read_part(replace(source, first=lines_before(source))):  # the same error, with its line in the file
            _document(row.values, row.where)
        raise


def _files(paths: Iterable[str | Path]) -> Iterator[str]:
    for path in paths:
        yield from files_of(path) if is_url(path) else map(str, _local(Path(path)))


def _local(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from _files_of(path)
    elif not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder: check the path.")
    elif not path.name.lower().endswith(_READ):
        raise InputError(f"{path} is of no kind that can be read: give {', '.join(_READ)}.")
    else:
        yield path


def _files_of(folder: Path) -> Iterator[Path]:
    others: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.name.lower().endswith(_READ):
            yield path
        else:
            others[path.suffix or path.name] += 1
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common())
        logger.warning("%s has files of other kinds, which are left out: %s.", folder, kinds)


def _converted(path: Path) -> list[Document]:
    name, package = _CONVERTERS[path.suffix.lower()]
    try:
        converter = getattr(importlib.import_module("haystack.components.converters"), name)()
    except ImportError as error:
        raise MissingExtraError(f"{path} needs a package: pip install {package}") from error
    documents: list[Document] = converter.run(sources=[path])["documents"]
    if not documents:  # converters log what they could not read and go on
        raise InputError(f"{path} cannot be read (see the line above): mend the file or leave it out.")
    return [
        replace(document, id=text_hash(str(path.resolve()), str(number))) for number, document in enumerate(documents)
    ]


def _document(row: Mapping[str, Any], where: str) -> Document:
    haystacks_own = "content" in row
    text = text_of(row, "content" if haystacks_own else "text", where)
    if haystacks_own:
        meta = row.get("meta") or {}
    else:
        meta = {
            key: value for key, value in row.items() if key not in {"_id", "id", "text"} and value not in ("", None)
        }
        text = f"{meta.get('title', '')} {text}".strip()
    if not isinstance(meta, dict) or not isinstance(meta.get("title", ""), str):
        raise InputError(f"{where} has a title or meta that is not what these are: give a string and an object.")
    if clash := sorted(_TAKEN & meta.keys()):
        raise InputError(f"{where} has the metadata {clash[0]!r}, which is a document's own: rename it.")
    own = row.get("_id", row.get("id"))
    return Document(id=str(own) if own not in ("", None) else text_hash(text), content=text, meta=meta)
