"""The generator of queries as a Haystack component."""

import asyncio
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from haystack import Document, component
from haystack.components.generators.chat.types import ChatGenerator

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.pair import Rejected
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.asking import Asker, AskSettings, requests
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.making import make


@component
class LRLQueryGenerator:
    """Write queries in a low-resource language that documents answer: summarise, then ask.

    :param chat_generator: any ChatGenerator.
    :param language: ISO 639-3 code of the queries' language.
    :param passage_language: that of the documents, such as `eng`; the same as the queries' by default.
    :param strategy: `sap` summarises first, `plain` asks at once.
    :param exemplars: shown to the model, 0 to 5.
    :param styles: weights of the kinds of queries; questions only by default.
    :param per_passage: queries about each document.
    :param prompts: folder whose files stand in for the package's own prompts, styles and exemplars.
    :param workers: requests at a time; above 1 only for generators that threads may share.
    :param seed: of styles and sampling.
    """

    def __init__(
        self,
        chat_generator: ChatGenerator,
        language: str,
        passage_language: str = "",
        strategy: str = "sap",
        exemplars: int = 5,
        styles: dict[str, float] | None = None,
        per_passage: int = 1,
        prompts: str = "",
        workers: int = 1,
        seed: int = 13,
    ) -> None:
        self.chat_generator = chat_generator
        self.language = language
        self.passage_language = passage_language
        self.strategy = strategy
        self.exemplars = exemplars
        self.styles = styles
        self.per_passage = per_passage
        self.prompts = prompts
        self.workers = workers
        self.seed = seed

    def warm_up(self) -> None:
        """Load prompts and gate, once, and warm the chat generator up.

        :raises ValueError: for settings that cannot be used.
        """
        self._asker.chat.warm_up()

    @cached_property
    def _asker(self) -> Asker:
        spoken = language_of(self.language)
        settings = AskSettings(
            strategy=cast(Any, self.strategy),  # checked there
            exemplars=self.exemplars,
            passage_language=self.passage_language,
            per_passage=self.per_passage,
            prompts=self.prompts,
        )
        settings = replace(settings, styles=self.styles) if self.styles else settings
        chat = ChatModel(self.chat_generator, workers=self.workers)
        return Asker(chat, spoken, settings, gate=LanguageGate(spoken), seed=self.seed)

    @component.output_types(documents=list[Document], rejected=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Write queries about documents; long ones are parted first.

        :returns: `documents` whose content is a query and whose metadata has its `passage`, `source_id` and `style`,
            and `rejected` passages with `meta["reason"]`.
        :raises TypeError: when the input is not a list of documents.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise TypeError(
                "LRLQueryGenerator expects a list of Documents; for a text, wrap it in Document(content=...)."
            )
        self.warm_up()
        passages = [Passage(document.content or "", document.id) for document in documents if document.content]
        wanted = list(requests(passages, self._asker.settings, self._asker.language, self.seed))
        queries: list[Document] = []
        rejected: list[Document] = []
        for request, row in zip(wanted, make(wanted, self._asker.making()), strict=True):
            meta = {"source_id": request.passage.id, "style": request.style}
            if isinstance(row, Rejected):
                rejected.append(Document(content=request.passage.text, meta={**meta, "reason": row.reason}))
            else:
                queries.append(Document(content=row.query, meta={**meta, "passage": row.passage}))
        return {"documents": queries, "rejected": rejected}

    @component.output_types(documents=list[Document], rejected=list[Document])
    async def run_async(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.run, documents)
