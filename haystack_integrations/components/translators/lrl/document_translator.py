"""The translator as a Haystack component."""

import asyncio
from functools import cached_property
from pathlib import Path

from haystack import Document, component
from haystack.components.generators.chat.types import ChatGenerator

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.pair import Pair, Rejected
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.chat_translation import ChatTranslator
from haystack_lrl.synthesis.making import make
from haystack_lrl.synthesis.translation import translating


@component
class LRLDocumentTranslator:
    """Translate English documents, and the titles in their metadata, with a chat model.

    Every translation passes the language gate; what does not, after a second try, comes out as rejected.

    :param chat_generator: any ChatGenerator.
    :param language: ISO 639-3 code of the language to translate into.
    :param title_field: metadata that is translated together with the content, where a document has it.
    :param workers: requests at a time; above 1 only for generators that threads may share.
    :param prompts: folder with a `translate.txt` that stands in for the package's own.
    """

    def __init__(
        self,
        chat_generator: ChatGenerator,
        language: str,
        title_field: str = "title",
        workers: int = 1,
        prompts: str | None = None,
    ) -> None:
        self.chat_generator = chat_generator
        self.language = language
        self.title_field = title_field
        self.workers = workers
        self.prompts = prompts

    def warm_up(self) -> None:
        """Load prompt and gate, once, and warm the chat generator up."""
        self._translator.chat.warm_up()

    @cached_property
    def _gate(self) -> LanguageGate:
        return LanguageGate(language_of(self.language))

    @cached_property
    def _translator(self) -> ChatTranslator:
        chat = ChatModel(self.chat_generator, workers=self.workers)
        folder = Path(self.prompts) if self.prompts else None
        return ChatTranslator(chat, language_of(self.language), gate=self._gate, prompts=folder)

    @component.output_types(documents=list[Document], rejected=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Translate documents.

        :returns: `documents` in the language, with the id of their source in `meta["source_id"]`, and `rejected`
            sources with `meta["reason"]`.
        :raises TypeError: when the input is not a list of documents.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise TypeError(
                "LRLDocumentTranslator expects a list of Documents; for a text, wrap it in Document(content=...)."
            )
        self.warm_up()
        pairs = [Pair(str(document.meta.get(self.title_field) or ""), document.content or "") for document in documents]
        translated: list[Document] = []
        rejected: list[Document] = []
        for document, row in zip(documents, make(pairs, translating(self._translator, self._gate)), strict=True):
            meta = {**document.meta, "source_id": document.id}
            if isinstance(row, Rejected):
                rejected.append(Document(content=document.content, meta={**meta, "reason": row.reason}))
                continue
            title = {self.title_field: row.query} if row.query else {}
            translated.append(Document(content=row.passage, meta={**meta, **title}))
        return {"documents": translated, "rejected": rejected}

    @component.output_types(documents=list[Document], rejected=list[Document])
    async def run_async(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.run, documents)
