"""Embed documents."""

from dataclasses import replace
from typing import Any

from haystack import Document, component
from haystack.utils import ComponentDevice

from haystack_lrl.encoding.encoder import SentenceEncoder


@component
class LRLDocumentEmbedder:
    """Embed documents with the prompt that the model was trained with, applied once.

    The vectors are those of `SentenceTransformer.encode_document`, normalised.

    :param model: folder or hub id of the model.
    :param device: where it runs; the fastest device of the machine that runs the pipeline by default.
    :param progress_bar: show a bar for many documents.
    :param meta_fields_to_embed: metadata whose values are put before the content.
    :param embedding_separator: what stands between them.
    """

    def __init__(
        self,
        model: str,
        device: ComponentDevice | None = None,
        progress_bar: bool = True,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
    ) -> None:
        self.model = model
        self.device = device
        self.progress_bar = progress_bar
        self.meta_fields_to_embed = meta_fields_to_embed
        self.embedding_separator = embedding_separator
        self._encoder: SentenceEncoder | None = None

    def _get_telemetry_data(self) -> dict[str, Any]:
        return {}  # the model may be a local path

    def warm_up(self) -> None:
        """Load the model, once.

        :raises InputError: when there is no such model.
        """
        if self._encoder is None:
            device = self.device.to_torch_str() if self.device else None
            self._encoder = SentenceEncoder.from_path(
                self.model, device=device, precision="fp32", progress=self.progress_bar
            )

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Return copies of the documents with their unit vectors.

        :param documents: whose content is embedded; none as empty text.
        :raises TypeError: when the input is not a list of Documents.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise TypeError("LRLDocumentEmbedder embeds a list of Documents; embed a string with LRLTextEmbedder.")
        self.warm_up()
        assert self._encoder is not None
        vectors = self._encoder.encode([self._text(document) for document in documents], "passage")
        embedded = [replace(d, embedding=vector.tolist()) for d, vector in zip(documents, vectors, strict=True)]
        return {"documents": embedded}

    def _text(self, document: Document) -> str:
        fields = self.meta_fields_to_embed or []
        values = [str(document.meta[name]) for name in fields if document.meta.get(name) is not None]
        return self.embedding_separator.join([*values, document.content or ""])
