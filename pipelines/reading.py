"""Documents out of files: JSON lines one by one, everything else through Haystack's converters."""

import importlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from haystack import Document

from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.text import text_hash, text_of

logger = logging.getLogger(__name__)

_LINES = (".jsonl", ".jsonl.gz")
# suffix -> (converter, package that it needs); the others come with Haystack
_CONVERTERS = {
    ".txt": ("TextFileToDocument", ""),
    ".md": ("TextFileToDocument", ""),  # as it is: embedders read its few marks
    ".html": ("HTMLToDocument", "trafilatura"),
    ".htm": ("HTMLToDocument", "trafilatura"),
    ".pdf": ("PyPDFToDocument", "pypdf"),
    ".docx": ("DOCXToDocument", "python-docx"),
}
_READ = (*_LINES, *_CONVERTERS)
_TAKEN = {field.name for field in fields(Document)} | {"source_id", "split_id", "split_idx_start", "page_number"}


def read_documents(paths: Iterable[Path]) -> Iterator[Document]:
    """Yield the documents of files and of the files in folders, one file or line at a time.

    JSON lines are `{"_id", "title", "text", ...}` as in a BEIR corpus, where all other columns become metadata, or
    `{"id", "content", "meta"}` as Haystack writes documents; `.gz` is read too. A document's id is the one in its line,
    else the hash of its text; that of another file is the hash of its path, so that a changed file takes its own place.

    :raises InputError: for what cannot be read, with path and line.
    :raises MissingExtraError: for a kind of file that needs a package that is not installed.
    """
    for path in _files(paths):
        if path.name.endswith(_LINES):
            for number, row in read_jsonl(path):
                yield _document(row, f"{path} line {number}")
        else:
            yield from _converted(path)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
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
