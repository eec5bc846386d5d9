"""Documents set aside for a test set before anything is made of any document, and the passages to ask about."""

import heapq
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haystack_lrl.curation.leaks import Unseen
from haystack_lrl.languages.passages import part_text
from haystack_lrl.languages.table import Language
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line, read_jsonl, writing
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.pair import Pair, read_pairs
from haystack_lrl.records.passage import Passage, read_passages
from haystack_lrl.records.text import text_hash

PASSAGE = 2000
"""Characters of the longest passage: what a model writes a question about, and a person reads to judge it."""

_HASH = 16**20  # how many values text_hash has


@dataclass(frozen=True)
class Documents:
    """Documents of a JSONL file, some of them set aside.

    Which ones depends on each document's text and the seed alone: documents that are added later move none, and equal
    ones lie on the same side.

    :param path: as `read_passages` reads it.
    :param column: what holds the text.
    :param share: of the documents that is set aside.
    :param seed: another one sets others aside.
    """

    path: Path
    column: str
    language: Language
    share: float
    seed: int

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any], Passage]]:
        """Yield the line number, the row as it stands in the file, and the document.

        :raises InputError: with path and line for a missing text, and an id that comes twice.
        """
        with closing(Keys()) as ids:
            for (number, row), document in zip(
                read_jsonl(self.path), read_passages(self.path, self.column), strict=True
            ):
                if not ids.add(document.id):
                    raise InputError(f"{self.path} line {number} repeats the id {document.id!r}: ids must be unique.")
                yield number, row, document

    def is_aside(self, document: Passage) -> bool:
        """Tell whether a document is set aside."""
        return int(text_hash(str(self.seed), document.text), 16) < self.share * _HASH

    def passages(self) -> Iterator[tuple[Passage, Passage, str]]:
        """Yield document, passage of it, and why that is no passage of the corpus: empty where it is one.

        A document is one passage, or several where it is longer than what questions are asked about.
        """
        with closing(Keys()) as seen:
            for _, _, document in self.rows():
                for number, text in enumerate(part_text(document.text, self.language, PASSAGE)):
                    name = document.id if text == document.text else f"{document.id}#{number}"
                    why = "" if text.strip() else "empty"
                    why = why or ("" if seen.add(text_hash(" ".join(text.split()))) else "equal to one before")
                    yield document, Passage(text, name), why

    def write(self, rest: Path, aside: Path) -> Counts:
        """Write the rows that are not set aside as they are, and the ids of those that are, one a line.

        :raises InputError: when nothing, or everything, is set aside.
        """
        counts = Counts()
        with writing(rest) as rest_file, writing(aside) as aside_file:
            for _, row, document in self.rows():
                if self.is_aside(document):
                    counts.reject("set aside for the test set")
                    aside_file.write(document.id + "\n")
                else:
                    counts.keep()
                    rest_file.write(dump_line(row))
        if not counts.kept or not counts.rejected:
            raise InputError(
                f"{self.path} has {counts.rows} documents, of which {counts.rejected.total()} were set aside: give "
                "more documents, or another --set-aside."
            )
        return counts


def candidates(documents: Documents, most: int, pairs: Path | None) -> tuple[list[Passage], Counts]:
    """Return passages of documents set aside, at most so many, in an order that the seed shuffles.

    A passage that stands, or nearly so, in another document too has several right answers, of which one would count;
    one of the training pairs was seen.

    :param pairs: JSONL file of what a model was or will be trained on.
    :returns: the passages, and why the others of documents set aside are not among them.
    """
    counts = Counts()
    chosen = _first(documents, most, counts)
    owners = {passage.id: document for document, passage in chosen}
    unseen = Unseen([], ((passage.id, passage.text) for _, passage in chosen))
    whole = (Pair("", document.text, id=document.id) for _, _, document in documents.rows())
    twice = {leak.unseen for leak in unseen.leaks(whole) if leak.row.id != owners[leak.unseen].id}
    trained = {leak.unseen for leak in unseen.leaks(read_pairs(pairs))} if pairs else set()
    kept = []
    for _, passage in chosen:
        if passage.id in trained:
            counts.reject("passage of the training pairs")
        elif passage.id in twice:
            counts.reject("passage of another document too")
        else:
            kept.append(passage)
    return kept, counts


def _first(documents: Documents, most: int, counts: Counts) -> list[tuple[Passage, Passage]]:
    """Return the first passages in the seed's order, holding no more than so many, and count the others."""
    taken = 0

    def own() -> Iterator[tuple[Passage, Passage]]:
        nonlocal taken
        for document, passage, why in documents.passages():
            if why and documents.is_aside(document):
                counts.reject(why)
            elif documents.is_aside(document):
                taken += 1
                yield document, passage

    first = heapq.nsmallest(most, own(), key=lambda row: text_hash(str(documents.seed), "order", row[1].text))
    for _ in range(taken - len(first)):
        counts.reject("not needed")
    return first
