"""The generator of triplets as a Haystack component."""

import asyncio
from functools import cached_property
from typing import Any, cast

from haystack import component
from haystack.components.generators.chat.types import ChatGenerator

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.pair import Rejected
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.making import make
from haystack_lrl.synthesis.triplets import TripletMaker, TripletSettings, written_language


@component
class LRLTripletGenerator:
    """Write a positive and a hard negative for each anchor.

    :param chat_generator: the ChatGenerator that writes both by `icl`, and the positives by the other strategies.
    :param language: ISO 639-3 code of the anchors' language.
    :param negative_generator: the ChatGenerator that writes the negatives; the same one by default.
    :param strategy: `icl`, `composed` or `xl-lora`, whose positives and negatives are English.
    :param exemplars: that `icl` shows, 0 to 5.
    :param prompts: folder whose files stand in for the package's own prompts and exemplars.
    :param workers: requests at a time; above 1 only for generators that threads may share.
    """

    def __init__(
        self,
        chat_generator: ChatGenerator,
        language: str,
        negative_generator: ChatGenerator | None = None,
        strategy: str = "icl",
        exemplars: int = 5,
        prompts: str = "",
        workers: int = 1,
    ) -> None:
        self.chat_generator = chat_generator
        self.language = language
        self.negative_generator = negative_generator
        self.strategy = strategy
        self.exemplars = exemplars
        self.prompts = prompts
        self.workers = workers

    def warm_up(self) -> None:
        """Load prompts and gate, once, and warm the chat generators up.

        :raises ValueError: for settings that cannot be used.
        """
        for model in set(self._maker.models.values()):
            model.warm_up()

    @cached_property
    def _maker(self) -> TripletMaker:
        spoken = language_of(self.language)
        settings = TripletSettings(cast(Any, self.strategy), self.exemplars, self.prompts)
        positive = ChatModel(self.chat_generator, workers=self.workers)
        negative = ChatModel(self.negative_generator, workers=self.workers) if self.negative_generator else None
        gate = LanguageGate(written_language(settings, spoken))
        return TripletMaker(positive, spoken, settings, negative=negative, gate=gate)

    @component.output_types(triplets=list[dict[str, Any]], rejected=list[dict[str, Any]])
    def run(self, anchors: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Write triplets.

        :returns: `triplets` with query (the anchor), passage (the positive) and negatives, as `train` reads them, and
            `rejected` anchors with their reason.
        :raises TypeError: when the input is not a list of texts.
        """
        if not isinstance(anchors, list) or not all(isinstance(anchor, str) for anchor in anchors):
            raise TypeError("LRLTripletGenerator expects a list of texts; for Documents use LRLQueryGenerator.")
        self.warm_up()
        rows = list(make([Passage(anchor) for anchor in anchors], self._maker.making()))
        return {
            "triplets": [row.to_json() for row in rows if not isinstance(row, Rejected)],
            "rejected": [row.to_json() for row in rows if isinstance(row, Rejected)],
        }

    @component.output_types(triplets=list[dict[str, Any]], rejected=list[dict[str, Any]])
    async def run_async(self, anchors: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.run, anchors)
