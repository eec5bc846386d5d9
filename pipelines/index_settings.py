"""What an index is made with, as plain values: workers on other machines build the same from it."""

from dataclasses import dataclass
from typing import TypedDict

from haystack.document_stores.types import DocumentStore

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.encoding.backends import Backend
from pipelines.stores import Place


class Steps(TypedDict):
    """What `index_documents` and `load` take by name."""

    splitter: LRLDocumentSplitter
    embedder: LRLDocumentEmbedder
    writer: LRLDocumentWriter


@dataclass(frozen=True)
class IndexSettings:
    """How documents become passages with vectors.

    :param place: where they go, with their language and model.
    :param backend: of the embedder.
    :param split_length: most tokens of a passage; all that the model reads by default.
    :param split_overlap: sentences that a passage shares with the next.
    :param patience_s: seconds that OpenSearch may take nothing before writing ends with an error.
    """

    place: Place
    backend: Backend = "auto"
    split_length: int | None = None
    split_overlap: int = 0
    patience_s: float = 300.0

    def steps(self, store: DocumentStore) -> Steps:
        """Return splitter, embedder and writer; the model is loaded when it is first used."""
        model = str(self.place.model)
        return {
            "splitter": LRLDocumentSplitter(self.place.language, model, self.split_length, self.split_overlap),
            "embedder": LRLDocumentEmbedder(model, backend=self.backend, progress_bar=False),
            "writer": LRLDocumentWriter(store, patience_s=self.patience_s),
        }
