"""Write documents."""

import asyncio
import contextlib
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import DocumentStore, DuplicatePolicy

from haystack_integrations.components.writers.lrl.outcome import Written

if TYPE_CHECKING:
    from haystack_integrations.components.writers.lrl.bulk import Bulk

logger = logging.getLogger(__name__)


@component
class LRLDocumentWriter:
    """Write documents into a store so that none is lost and each is counted.

    Takes the place of DocumentWriter. Into an OpenSearchDocumentStore it writes by parallel bulk requests, waits where
    the server is busy or restarting, sends again what it had no room for, reports each document that it refuses with
    the reason while the others are written, and makes everything searchable once, at the end. Into any other store it
    writes by the store's own `write_documents`.

    :param document_store: where documents go.
    :param policy: what becomes of a document whose id is there: `OVERWRITE`, or `SKIP`, which leaves the old one.
    :param workers: bulk requests at the same time.
    :param patience_s: seconds that OpenSearch may take nothing before writing ends with an error.
    :raises ValueError: for another policy, and for fewer than one worker.
    """

    def __init__(
        self,
        document_store: DocumentStore,
        policy: DuplicatePolicy = DuplicatePolicy.OVERWRITE,
        *,
        workers: int = 2,
        patience_s: float = 300.0,
    ) -> None:
        if policy not in {DuplicatePolicy.OVERWRITE, DuplicatePolicy.SKIP}:
            raise ValueError(f"policy is {policy.name}: give OVERWRITE or SKIP, with which a rerun completes a run.")
        if workers < 1:
            raise ValueError(f"workers is {workers}: give at least 1.")
        self.document_store = document_store
        self.policy = policy
        self.workers = workers
        self.patience_s = patience_s
        self._bulk: Bulk | None = None
        self._passages: defaultdict[object, set[str]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the component's settings."""
        return default_to_dict(
            self,
            document_store=self.document_store,
            policy=self.policy.name,
            workers=self.workers,
            patience_s=self.patience_s,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "LRLDocumentWriter":
        """Return the component of these settings."""
        settings = dict(data["init_parameters"])
        if "policy" in settings:
            settings["policy"] = DuplicatePolicy[settings["policy"]]
        return default_from_dict(cls, {**data, "init_parameters": settings})

    def _get_telemetry_data(self) -> dict[str, Any]:
        return {"document_store": type(self.document_store).__name__}

    @component.output_types(documents_written=int, skipped=int, refused=list[dict[str, str]])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Write documents.

        :returns: `documents_written`; `skipped`, which were there or given twice; and `refused`, a list of `id` and
            `reason`. They add up to the documents given.
        :raises TypeError: when the input is not a list of Documents.
        :raises InputError: when the server refuses the user, has no space, or takes nothing for too long.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise TypeError("LRLDocumentWriter writes a list of Documents; wrap a text in Document(content=...).")
        done = self.write(documents)
        self.refresh()
        for lost in done.refused:
            logger.warning("Document %s was not written: %s", lost.id, lost.reason)
        return {
            "documents_written": done.written,
            "skipped": done.existing,
            "refused": [{"id": lost.id, "reason": lost.reason} for lost in done.refused],
        }

    @component.output_types(documents_written=int, skipped=int, refused=list[dict[str, str]])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """Do what `run` does, in a thread."""
        return await asyncio.to_thread(self.run, documents)

    def write(self, documents: Sequence[Document]) -> Written:
        """Write documents, not yet to be found in OpenSearch; of those with one id the last counts."""
        last = {document.id: document for document in documents}
        twice = Written(existing=len(documents) - len(last))
        bulk = self._opensearch()
        if bulk is None:
            return twice + self._into_store(list(last.values()))
        return twice + bulk.write(last.values(), self.policy)

    def refresh(self) -> None:
        """Make what was written searchable."""
        if bulk := self._opensearch():
            bulk.refresh()

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Spare the server all refreshing while a `with` lasts; what was there before is searchable in it."""
        bulk = self._opensearch()
        self._passages = None
        with bulk.loading() if bulk else contextlib.nullcontext():
            yield

    def ids_from(self, sources: Sequence[str]) -> set[str]:
        """Return the ids of the passages in the store that come from these documents, by their `source_id`.

        As of the last refresh in OpenSearch, as of the beginning of `loading` in other stores, which are read once.
        """
        if bulk := self._opensearch():
            return bulk.ids_from(sources)
        if self._passages is None:
            self._passages = defaultdict(set)
            for document in self.document_store.filter_documents():
                self._passages[document.meta.get("source_id")].add(document.id)
        return set().union(*(self._passages[source] for source in sources if source in self._passages))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents; those that are not there are no error."""
        bulk = self._opensearch()
        if bulk:
            bulk.delete(ids)
        else:
            self.document_store.delete_documents(list(ids))

    def close(self) -> None:
        """Close connections and threads; the next call opens them again."""
        bulk, self._bulk = self._bulk, None
        if bulk is not None:
            bulk.close()

    def _into_store(self, documents: list[Document]) -> Written:
        written = self.document_store.write_documents(documents, policy=self.policy) if documents else 0
        return Written(written, len(documents) - written)

    def _opensearch(self) -> "Bulk | None":
        """Return what writes into OpenSearch, None for another store."""
        loaded = sys.modules.get("haystack_integrations.document_stores.opensearch")  # as it is where there is one
        if self._bulk is None and loaded and isinstance(self.document_store, loaded.OpenSearchDocumentStore):
            from haystack_integrations.components.writers.lrl.bulk import Bulk

            self._bulk = Bulk(self.document_store, self.workers, self.patience_s)
        return self._bulk
