"""Haystack documents with the queries that they answer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from haystack_lrl.evaluation.testset import TestSet, judged, relevance, texts_by_id
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl

_Row = tuple[str, Mapping[str, Any]]


class Document(Protocol):
    """What is needed of a Haystack document."""

    id: str
    content: str | None
    meta: dict[str, Any]


def documents_as_test_set(name: str, language: str, documents: Iterable[Document], key: str = "queries") -> TestSet:
    """Make a test set of documents whose meta lists the queries that each answers.

    :param key: the key of meta with that list; documents without it answer nothing, and stay in the corpus.
    :raises InputError: with the number of a document without content or with an id that another one has, and of a list
        that holds no text.
    """
    rows = [
        (f"document {number}", {"id": document.id, "content": document.content or "", "meta": document.meta})
        for number, document in enumerate(documents, start=1)
    ]
    return _listed(name, language, rows, Path(name), key)


def load_documents(place: Path, language: str, key: str = "queries") -> TestSet:
    """Read documents as `Document.to_dict()` writes them, flattened or not, one a line.

    A file has the queries in the meta of its documents. A folder has `documents.jsonl`, and in `queries.jsonl` a
    query's id, its text, and documents: a list of ids, or grades by id.

    :param key: the key of meta with the queries that a document answers; documents without it answer nothing, and stay
        in the corpus.
    :raises InputError: with path and line for a missing id or content, a duplicate id, a list that holds no text, an
        unknown document, and a grade that is no whole number.
    """
    if not place.is_dir():
        return _listed(place.resolve().stem, language, _rows(place), place, key)
    documents, path = place / "documents.jsonl", place / "queries.jsonl"
    texts, asked = texts_by_id(documents, _rows(documents), "id", ("content",)), _rows(path)
    queries = texts_by_id(path, asked, "id", ("text",))
    grades = ((where, str(row["id"]), *grade) for where, row in asked for grade in _grades(where, row))
    qrels = relevance(grades, queries, texts, (path.name, documents.name))
    return judged(place.resolve().name, language, queries, texts, qrels, path)


def _rows(path: Path) -> list[_Row]:
    return [(f"{path} line {number}", row) for number, row in read_jsonl(path)]


def _listed(name: str, language: str, rows: Sequence[_Row], source: Path, key: str) -> TestSet:
    documents = texts_by_id(source, rows, "id", ("content",))
    ids: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for where, row in rows:
        for query in _queries(where, row, key):
            qrels.setdefault(ids.setdefault(query, f"q{len(ids)}"), {})[str(row["id"])] = 1
    queries = {number: query for query, number in ids.items()}
    return judged(name, language, queries, documents, qrels, source)


def _queries(where: str, row: Mapping[str, Any], key: str) -> Iterator[str]:
    listed = {**row, **(row.get("meta") or {})}.get(key) or []
    if not isinstance(listed, list) or not all(isinstance(query, str) and query.strip() for query in listed):
        raise InputError(f"{where} has {key} = {listed!r:.60} in its meta, but must have a list of texts there.")
    yield from (query.strip() for query in listed)


def _grades(where: str, row: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    given = row.get("documents", [])
    grades = (
        given if isinstance(given, dict) else dict.fromkeys(map(str, given), 1) if isinstance(given, list) else None
    )
    if grades is None or not all(isinstance(grade, int) for grade in grades.values()):
        raise InputError(f"{where} has documents = {given!r:.60}, but must have a list of ids, or grades by id.")
    yield from grades.items()
