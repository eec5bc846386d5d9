"""Replies of a chat model as checked answers."""

import asyncio
from typing import Any

from haystack import Document, GeneratedAnswer, component
from haystack.components.builders import AnswerBuilder
from haystack.dataclasses import ChatMessage, ChatRole

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.synthesis.cited_answers import CitedAnswer, check_reply, not_in_documents, without_citations


@component
class LRLAnswerBuilder:
    r"""Build answers whose citations point at documents, and say so where there is no answer.

    Citations of sources that do not exist are dropped. A reply without a valid one, or that repeats the system prompt,
    is not shown: a fixed sentence stands in its place. An answer in the wrong language is shown and marked; asking
    again is left to the caller, since a model that fails at a language mostly fails again. All this happens after the
    generator: what it streams elsewhere is unchecked.

    :param language: ISO 639-3 code of the answers' language.
    :param not_found: the sentence where there is no answer; by default the package's own for the language.
    :param gate: False leaves the answers' language unchecked.
    :raises InputError: when the language is unknown.
    """

    def __init__(self, language: str, not_found: str = "", *, gate: bool = True) -> None:
        self.language = language
        self.not_found = not_found
        self.gate = gate
        spoken = language_of(language)
        self._gate = LanguageGate(spoken) if gate else None
        self._not_found = not_found or not_in_documents(spoken)
        self._cited = AnswerBuilder(reference_pattern=r"\[(\d+)\]")

    @component.output_types(answers=list[GeneratedAnswer])
    def run(
        self,
        query: str,
        documents: list[Document],
        prompt: list[ChatMessage] | None = None,
        replies: list[ChatMessage] | None = None,
    ) -> dict[str, list[GeneratedAnswer]]:
        """Build one answer a reply, and one that says that nothing was found where no model was asked.

        :param documents: the sources, of which the first is `[1]`.
        :param prompt: what the model was given; its system messages must not show in an answer.
        :returns: `answers`, each with the documents that it cites (numbered by `source_index` in their metadata). Their
            metadata holds `answered`, the cited numbers as `citations` and `dropped_citations`, all `sources`,
            `language_ok` (None where it was not checked) with `language_reason`, and where there is no answer the
            `reason` and, as `withheld`, a reply that did not cite.
        :raises TypeError: when the documents or replies are something else.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise TypeError("LRLAnswerBuilder takes the list of Documents that are the sources of its answers.")
        if replies and not all(isinstance(reply, ChatMessage) for reply in replies):
            raise TypeError("LRLAnswerBuilder takes the ChatMessages of a ChatGenerator as its replies.")
        if not documents or replies is None:
            return {"answers": [self._answer(query, documents, CitedAnswer("", reason="nothing was found"))]}
        secret = "\n".join(message.text or "" for message in prompt or [] if message.is_from(ChatRole.SYSTEM))
        answers = [
            self._answer(query, documents, check_reply(reply.text or "", len(documents), secret), reply.meta)
            for reply in replies or [ChatMessage.from_assistant("")]
        ]
        return {"answers": answers}

    @component.output_types(answers=list[GeneratedAnswer])
    async def run_async(
        self,
        query: str,
        documents: list[Document],
        prompt: list[ChatMessage] | None = None,
        replies: list[ChatMessage] | None = None,
    ) -> dict[str, list[GeneratedAnswer]]:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.run, query, documents, prompt, replies)

    def _answer(
        self, query: str, documents: list[Document], found: CitedAnswer, meta: dict[str, Any] | None = None
    ) -> GeneratedAnswer:
        answered = found.reason is None
        language_ok, language_reason = self._language(found.text) if answered else (None, None)
        facts = {
            "answered": answered,
            "reason": found.reason,
            "citations": list(found.citations) if answered else [],
            "dropped_citations": list(found.dropped),
            "sources": [_source(number, document) for number, document in enumerate(documents, start=1)],
            "language_ok": language_ok,
            "language_reason": language_reason,
            **({} if answered else {"withheld": found.text}),
        }
        if not answered:
            return GeneratedAnswer(self._not_found, query, [], {**(meta or {}), **facts})
        cited = self._cited.run(query=query, replies=[found.text], documents=documents)["answers"][0].documents
        return GeneratedAnswer(found.text, query, cited, {**(meta or {}), **facts})

    def _language(self, text: str) -> tuple[bool | None, str | None]:
        """Return whether an answer is in its language, and what is wrong with it."""
        if self._gate is None:
            return None, None
        reason = self._gate.check(without_citations(text))
        return reason is None, reason


def _source(number: int, document: Document) -> dict[str, Any]:
    """Return a source as pages and logs show it: without its vector."""
    return {
        "number": number,
        "id": document.id,
        "score": document.score,
        "content": document.content,
        "meta": document.meta,
    }
