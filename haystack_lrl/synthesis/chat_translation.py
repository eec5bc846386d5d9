"""Translation by a chat model, asked for JSON with one key a text."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import Language
from haystack_lrl.synthesis.answers import Answer, named
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.prompts import load_prompt
from haystack_lrl.synthesis.translator import Texts, Unusable

_KEYS = {1: ("text",), 2: ("title", "body")}  # by the number of texts


class ChatTranslator:
    """Translate by asking a chat model, with one repair attempt an item.

    :param chat: the model.
    :param language: what to translate into.
    :param gate: what a translation must pass; one that does not is asked for once more.
    :param prompts: folder with a `translate.txt` that stands in for the package's own.
    """

    def __init__(
        self, chat: ChatModel, language: Language, *, gate: LanguageGate | None = None, prompts: Path | None = None
    ) -> None:
        self.chat = chat
        self.language = language
        self._gate = gate
        self._prompt = load_prompt("translate", {"language", "own_name", "keys", "text"}, prompts)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Model, prompt and language."""
        return {"chat": self.chat.identity, "prompt": self._prompt.identity, "language": self.language.code}

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item of one or two texts, in order; empty texts stay empty.

        :raises InputError: when the model cannot be loaded or reached.
        """
        sizes: list[tuple[str, ...]] = []

        def questions() -> Iterator[Question | None]:
            for item in items:
                sizes.append(_KEYS[len(item)])
                yield self._question(item)

        for answer in self.chat.answers(questions()):
            keys = sizes.pop(0)
            yield answer if isinstance(answer, Unusable) else tuple(answer.get(key, "") for key in keys)

    def _question(self, item: Texts) -> Question | None:
        source = {key: text for key, text in zip(_KEYS[len(item)], item, strict=True) if text.strip()}
        if not source:
            return None
        prompt = self._prompt.render(
            language=self.language.name,
            own_name=self.language.own_name,
            keys=named(tuple(source)),
            text=json.dumps(source, ensure_ascii=False),
        )

        def check(answer: Answer) -> str | None:
            gate = self._gate
            faults = (gate.check(answer[key], source=text) for key, text in source.items()) if gate else ()
            return next((fault for fault in faults if fault), None)

        return Question(prompt, tuple(source), check)
