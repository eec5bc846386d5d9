"""Documents into a store: split, embedded and written, in a stream that needs no more memory for a larger corpus."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from haystack import Document, Pipeline

from haystack_integrations.components.writers.lrl import LRLDocumentWriter, Refused, Written
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.text import text_hash
from pipelines.index_counts import IndexCounts

logger = logging.getLogger(__name__)

# what is split, embedded and written at once: enough to fill batches of equal length, little enough for any memory
_BLOCK_DOCUMENTS, _BLOCK_CHARACTERS = 200, 1_000_000

Progress = Callable[[IndexCounts], object]


class Step(Protocol):
    """A component that takes documents and returns documents."""

    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Return `documents`."""
        ...


def build_indexing(splitter: Any, embedder: Any, writer: Any, converter: Any = None) -> Pipeline:  # noqa: ANN401
    """Return a Haystack pipeline of these components, for documents or, with a converter, for files.

    `index_documents` does the same in a stream, and leaves out what is in the store already.
    """
    pipeline = Pipeline()
    steps = {"converter": converter, "splitter": splitter, "embedder": embedder, "writer": writer}
    names = [name for name, step in steps.items() if step is not None]
    for name in names:
        pipeline.add_component(name, steps[name])
    for name, following in itertools.pairwise(names):
        pipeline.connect(f"{name}.documents", f"{following}.documents")
    return pipeline


def index_documents(
    documents: Iterable[Document],
    *,
    splitter: Step,
    embedder: Step,
    writer: LRLDocumentWriter,
    progress: Progress | None = None,
) -> IndexCounts:
    """Split, embed and write documents; while one block is written, the next is embedded.

    Passages that the store has already are neither embedded nor written, so that after a failure the same call goes on
    where it stopped; those of an earlier version of a document are deleted. Passages are known by id, which tells
    document, place and text. Nothing is searchable in OpenSearch before the end.

    :param progress: called after each block.
    :returns: what became of each document and passage.
    :raises InputError: when the server refuses the user, has no space, or takes nothing for too long.
    """
    with closing(Intake()) as intake, writer.loading():
        chosen = (document for document in documents if intake.take(facts_of(document)))
        load(chosen, splitter=splitter, embedder=embedder, writer=writer, counts=intake.counts, progress=progress)
    return intake.counts


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether a document is indexed.

    :param id: of the document.
    :param text: hash of id and text; empty where the text is not valid Unicode.
    :param blank: whether the text holds nothing but space.
    """

    id: str
    text: str
    blank: bool


def facts_of(document: Document) -> Facts:
    """Return what decides whether a document is indexed."""
    text = document.content or ""
    return Facts(document.id, text_hash(document.id, text) if _is_unicode(text) else "", not text.strip())


class Intake:
    """Decides which documents are indexed, in the order in which they were given, and counts them all."""

    def __init__(self) -> None:
        self.counts = IndexCounts()
        self._seen = Keys()

    def take(self, facts: Facts) -> bool:
        """Tell whether a document is to be indexed, and count it."""
        self.counts.read += 1
        if not facts.text:
            return self._refuse(facts, "its text is not valid Unicode")
        if not self._seen.add(f"id {facts.id}"):
            if self._seen.add(f"text {facts.text}"):
                return self._refuse(facts, "another document of this id was given before, with another text")
            self.counts.duplicates += 1
            return False
        self._seen.add(f"text {facts.text}")
        if facts.blank:
            self.counts.empty += 1
        else:
            self.counts.indexed += 1
        return True

    def close(self) -> None:
        """Let go of what was seen; the counts stay."""
        self._seen.close()

    def _refuse(self, facts: Facts, reason: str) -> bool:
        logger.warning("Document %s is left out: %s.", facts.id, reason)
        self.counts.unreadable += 1
        self.counts.note([Refused(facts.id, reason)])
        return False


def load(
    documents: Iterable[Document],
    *,
    splitter: Step,
    embedder: Step,
    writer: LRLDocumentWriter,
    counts: IndexCounts,
    progress: Progress | None = None,
) -> None:
    """Split, embed and write documents that were taken in, inside the writer's `loading`.

    :param counts: where what becomes of each passage is added.
    :param progress: called after each block.
    """
    steps = _Steps(splitter, embedder, writer, counts)
    with ThreadPoolExecutor(1, thread_name_prefix="writing") as pool:
        writing: Future[Written] | None = None
        for block in blocks_of(documents):
            passages, stale = steps.prepared(block)
            if writing is not None:
                steps.account(writing.result())
            writing = pool.submit(steps.write, passages, stale)
            if progress:
                progress(counts)
        if writing is not None:
            steps.account(writing.result())


@dataclass(frozen=True)
class _Steps:
    """What is done with a block of documents."""

    splitter: Step
    embedder: Step
    writer: LRLDocumentWriter
    counts: IndexCounts

    def prepared(self, block: list[Document]) -> tuple[list[Document], set[str]]:
        """Return the new passages of a block with their vectors, and the ids of those that they take the place of."""
        passages: list[Document] = self.splitter.run([d for d in block if (d.content or "").strip()])["documents"]
        self.counts.passages += len(passages)
        there = self.writer.ids_from([document.id for document in block])
        new = [passage for passage in passages if passage.id not in there]
        self.counts.existing += len(passages) - len(new)
        stale = there - {passage.id for passage in passages}
        self.counts.deleted += len(stale)
        embedded: list[Document] = self.embedder.run(new)["documents"] if new else []
        return embedded, stale

    def write(self, passages: list[Document], stale: set[str]) -> Written:
        """Write passages, then delete old ones: a document is never without passages."""
        written = self.writer.write(passages)
        if stale:
            self.writer.delete(sorted(stale))
        return written

    def account(self, written: Written) -> None:
        """Count what was written, and say what was not."""
        self.counts.add(written)
        for lost in written.refused:
            logger.warning("Passage %s was not written: %s", lost.id, lost.reason)


def blocks_of(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yield documents in blocks, which are split, embedded and written at once."""
    block: list[Document] = []
    characters = 0
    for document in documents:
        block.append(document)
        characters += len(document.content or "")
        if len(block) == _BLOCK_DOCUMENTS or characters > _BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
