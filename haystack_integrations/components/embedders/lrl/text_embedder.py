"""Embed a query."""

from typing import Any

from haystack import component
from haystack.utils import ComponentDevice

from haystack_lrl.encoding.encoder import SentenceEncoder


@component
class LRLTextEmbedder:
    """Embed a query with the prompt that the model was trained with, applied once.

    The vector is that of `SentenceTransformer.encode_query`, normalised.

    :param model: folder or hub id of the model.
    :param device: where it runs; the fastest device of the machine that runs the pipeline by default.
    """

    def __init__(self, model: str, device: ComponentDevice | None = None) -> None:
        self.model = model
        self.device = device
        self._encoder: SentenceEncoder | None = None

    def _get_telemetry_data(self) -> dict[str, Any]:
        return {}  # the model may be a local path

    def warm_up(self) -> None:
        """Load the model, once.

        :raises InputError: when there is no such model.
        """
        if self._encoder is None:
            device = self.device.to_torch_str() if self.device else None
            self._encoder = SentenceEncoder.from_path(self.model, device=device, precision="fp32")

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        """Return the query's unit vector.

        :param text: the query.
        :raises TypeError: when the input is not a string.
        """
        if not isinstance(text, str):
            raise TypeError("LRLTextEmbedder embeds a string; embed a list of Documents with LRLDocumentEmbedder.")
        self.warm_up()
        assert self._encoder is not None
        return {"embedding": self._encoder.encode([text], "query")[0].tolist()}
