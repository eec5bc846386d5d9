"""Retrieval test sets: BEIR folders, plain or gzipped, and pairs held out of training."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl, read_lines
from haystack_lrl.records.pair import Pair


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
    """Read a BEIR folder: `queries.jsonl`, `corpus.jsonl` and `qrels/test.tsv`, the first two gzipped or not.

    :raises InputError: with path and line for a missing file or column, a duplicate id, qrels that name an unknown
        document, and a set in which no query has a relevant document.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder with a BEIR test set (queries.jsonl, corpus.jsonl, qrels/test.tsv)."
        )
    queries = _read_texts(_find(folder, "queries.jsonl"), ("text",))
    documents = _read_texts(_find(folder, "corpus.jsonl"), ("title", "text"))
    qrels = _read_qrels(folder / "qrels" / "test.tsv", queries, documents)
    judged = {name: text for name, text in queries.items() if name in qrels}
    if not judged:
        raise InputError(f"{folder / 'qrels' / 'test.tsv'} gives no query a relevant document: mend the file.")
    return TestSet(folder.resolve().name, language, judged, documents, qrels)


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


def _find(folder: Path, name: str) -> Path:
    zipped = folder / f"{name}.gz"
    return zipped if zipped.is_file() else folder / name


def _read_texts(path: Path, columns: tuple[str, ...]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, row in read_jsonl(path):
        if "_id" not in row or "text" not in row:
            raise InputError(
                f"{path} line {number} has the columns {', '.join(row)} but needs _id and text: rename them."
            )
        name = str(row["_id"])
        if name in texts:
            raise InputError(f"{path} line {number} repeats the _id {name!r}: ids must be unique.")
        text = " ".join(str(row.get(column) or "") for column in columns).strip()
        texts[name] = unicodedata.normalize("NFC", text)
    if not texts:
        raise InputError(f"{path} is empty: a test set needs at least one line there.")
    return texts


def _read_qrels(path: Path, queries: Mapping[str, str], documents: Mapping[str, str]) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, line in read_lines(path):
        fields = line.rstrip("\n").split("\t")
        if number == 1 and fields[0] in {"query-id", "query_id"}:
            continue
        query, document, grade = _qrel(fields, f"{path} line {number}")
        if query not in queries:
            raise InputError(f"{path} line {number} names the query {query!r}, which queries.jsonl does not hold.")
        if document not in documents:
            raise InputError(f"{path} line {number} names the document {document!r}, which corpus.jsonl does not hold.")
        if grade > 0:
            qrels.setdefault(query, {})[document] = grade
    return qrels


def _qrel(fields: Sequence[str], where: str) -> tuple[str, str, int]:
    """Read one line of qrels: query, document, grade (BEIR) or query, 0, document, grade (TREC)."""
    if len(fields) not in {3, 4} or not fields[-1].removeprefix("-").isdecimal():
        raise InputError(
            f"{where} is {fields!r:.80}, but must be query, document and a whole-number grade between tabs."
        )
    return fields[0], fields[-2], int(fields[-1])
