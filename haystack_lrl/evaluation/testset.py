"""Retrieval test sets: BEIR folders, plain or gzipped, pairs held out of training, and what all loaders check."""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl, read_lines
from haystack_lrl.records.pair import Pair

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestSet:
    """Queries, documents and which of them are relevant.

    :param name: what tables call it.
    :param language: ISO 639-3 code of queries and documents.
    :param queries: text by query id; only queries with a relevant document.
    :param documents: title and text by document id.
    :param qrels: relevance (above 0) by query id and document id.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    name: str
    language: str
    queries: Mapping[str, str]
    documents: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]


def load_test_set(folder: Path, language: str) -> TestSet:
    """Read a BEIR folder: `queries.jsonl`, `corpus.jsonl` and `qrels/test.tsv`, each gzipped or not.

    :raises InputError: with path and line for a missing file or column, a duplicate id, qrels that name an unknown
        document or judge one twice, and a set in which no query has a relevant document.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder with a BEIR test set (queries.jsonl, corpus.jsonl, qrels/test.tsv)."
        )
    queries = texts_by_id(*_jsonl(folder, "queries.jsonl"), columns=("text",))
    documents = texts_by_id(*_jsonl(folder, "corpus.jsonl"))
    path = _zipped_or_not(folder / "qrels" / "test.tsv")
    qrels = relevance(read_qrels(path), queries, documents, ("queries.jsonl", "corpus.jsonl"))
    return judged(folder.resolve().name, language, queries, documents, qrels, path)


def test_set_of_pairs(name: str, language: str, pairs: Sequence[Pair]) -> TestSet:
    """Make a test set of pairs whose passages and queries are all different."""
    ids = [str(row) for row in range(len(pairs))]
    return TestSet(
        name,
        language,
        {i: pair.query for i, pair in zip(ids, pairs, strict=True)},
        {i: pair.passage for i, pair in zip(ids, pairs, strict=True)},
        {i: {i: 1} for i in ids},
    )


test_set_of_pairs.__test__ = False  # type: ignore[attr-defined]


def texts_as_test_set(
    name: str, language: str, rows: Iterable[tuple[str, str]], source: Path, further: Iterable[str] = ()
) -> TestSet:
    """Make a test set of queries with the passage that answers each, where equal texts are one query or one passage.

    :param rows: query and passage.
    :param source: the file, for the error.
    :param further: passages that answer nothing.
    :raises InputError: when there is no row.
    """
    queries: dict[str, str] = {}
    documents: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for query, passage in ((_clean(query), _clean(passage)) for query, passage in rows):
        query_id = queries.setdefault(query, f"q{len(queries)}")
        document_id = documents.setdefault(passage, f"d{len(documents)}")
        qrels.setdefault(query_id, {})[document_id] = 1
    for passage in map(_clean, further):
        documents.setdefault(passage, f"d{len(documents)}")
    asked, found = ({text_id: text for text, text_id in ids.items()} for ids in (queries, documents))
    return judged(name, language, asked, found, qrels, source)


def judged(
    name: str,
    language: str,
    queries: Mapping[str, str],
    documents: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
    source: Path,
) -> TestSet:
    """Return the test set of the queries that have a relevant document; say how many have none.

    :param source: the file with the judgements, for the error.
    :raises InputError: when no query has a relevant document.
    """
    asked = {query: text for query, text in queries.items() if query in qrels}
    if not asked:
        raise InputError(f"{source} gives no query a relevant document: mend the file.")
    if left := len(queries) - len(asked):
        logger.info("%s: %d of %d queries have no relevant document and are not asked", name, left, len(queries))
    return TestSet(name, language, asked, documents, qrels)


def texts_by_id(
    path: Path,
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    id_column: str = "_id",
    columns: tuple[str, ...] = ("title", "text"),
) -> dict[str, str]:
    """Return the text by id of rows, whose columns are joined by a space.

    :param rows: where a row stands, and its columns; the last of `columns` must be there, the others may be missing.
    :raises InputError: for a missing column, a duplicate id, and no row at all.
    """
    texts: dict[str, str] = {}
    needed = columns[-1]
    for where, row in rows:
        if id_column not in row or needed not in row:
            raise InputError(
                f"{where} has the columns {', '.join(row)} but needs {id_column} and {needed}: rename them."
            )
        name = str(row[id_column])
        if name in texts:
            raise InputError(f"{where} repeats the {id_column} {name!r}: ids must be unique.")
        texts[name] = _clean(" ".join(str(row.get(column) or "") for column in columns))
    if not texts:
        raise InputError(f"{path} is empty: a test set needs at least one line there.")
    return texts


def relevance(
    rows: Iterable[tuple[str, str, str, int]],
    queries: Mapping[str, str],
    documents: Mapping[str, str],
    names: tuple[str, str],
) -> dict[str, dict[str, int]]:
    """Return the grades above 0 by query id and document id.

    :param rows: where a row stands, query id, document id and grade.
    :param names: the files that hold queries and documents, for the errors.
    :raises InputError: for an id that is unknown and for two grades of one document.
    """
    grades: dict[str, dict[str, int]] = {}
    for where, query, document, grade in rows:
        if query not in queries:
            raise InputError(f"{where} names the query {query!r}, which {names[0]} does not hold.")
        if document not in documents:
            raise InputError(f"{where} names the document {document!r}, which {names[1]} does not hold.")
        before = grades.setdefault(query, {}).setdefault(document, grade)
        if before != grade:
            raise InputError(
                f"{where} gives {document!r} the grade {grade} for {query!r} after {before}: keep one of the lines."
            )
    kept = {query: {name: grade for name, grade in row.items() if grade > 0} for query, row in grades.items()}
    return {query: row for query, row in kept.items() if row}


def read_qrels(path: Path) -> Iterator[tuple[str, str, str, int]]:
    """Yield where a line stands, query, document and grade of BEIR's or TREC's qrels between tabs.

    :raises InputError: with path and line for what is neither.
    """
    for number, line in read_lines(path):
        fields = line.rstrip("\n").split("\t")
        if number == 1 and fields[0] in {"query-id", "query_id"}:
            continue
        where = f"{path} line {number}"
        if len(fields) not in {3, 4} or not fields[-1].removeprefix("-").isdecimal():
            raise InputError(
                f"{where} is {fields!r:.80}, but must be query, document and a whole-number grade between tabs."
            )
        yield where, fields[0], fields[-2], int(fields[-1])


def _jsonl(folder: Path, name: str) -> tuple[Path, Iterator[tuple[str, dict[str, Any]]]]:
    path = _zipped_or_not(folder / name)
    return path, ((f"{path} line {number}", row) for number, row in read_jsonl(path))


def _zipped_or_not(path: Path) -> Path:
    zipped = path.with_name(path.name + ".gz")
    return zipped if zipped.is_file() else path


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
