"""What a translator is, and how the name of one becomes an object."""

import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError

if TYPE_CHECKING:
    from haystack_lrl.languages.gate import LanguageGate

Texts = tuple[str, ...]  # texts that belong together: title and body, or one sentence; at least one

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a NUL inside a text would end it for some programs


@dataclass(frozen=True, slots=True)
class Unusable:
    """An item for which there is no translation.

    :param reason: a short stable phrase, by which rows are counted.
    :param raw: the answer that could not be used, word for word.
    """

    reason: str
    raw: str


class Translator(Protocol):
    """Anything that translates from English."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that makes the output differ, as JSON values; it goes into the key of every row."""

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield one result an item, in order and while items still come in; how many it takes at once is its affair."""


def one_line(text: str) -> str:
    """Return the text in NFC with white space and control characters between words as single spaces."""
    return " ".join(unicodedata.normalize("NFC", _CONTROL.sub(" ", text)).split())


def text_by_text(
    items: Iterable[Texts], translate: Callable[[Iterable[str]], Iterator[str]]
) -> Iterator[Texts | Unusable]:
    """Translate the texts of all items as one stream, and put those of an item together again.

    :param translate: yields one translation a text, in order.
    """
    sizes: deque[int] = deque()

    def texts() -> Iterator[str]:
        for item in items:
            sizes.append(len(item))
            yield from item

    group: list[str] = []
    for translation in translate(texts()):
        group.append(translation)
        if len(group) == sizes[0]:
            sizes.popleft()
            yield tuple(group)
            group = []


def load_translator(
    spec: str,
    language: Language,
    *,
    timeout: float = 600.0,
    gate: "LanguageGate | None" = None,
    prompts: Path | None = None,
) -> Translator:
    """Return the translator that a recipe or a command line names; weights are loaded when it is first used.

    :param spec: `command:PROGRAM AND ARGUMENTS`, `seq2seq:FOLDER_OR_HUB_ID`, `ct2:FOLDER`, or `chat:` and one of
        FILE.yaml, FILE.gguf, FOLDER, http://HOST:PORT/v1#MODEL; or `file:PAIRS.jsonl` for translations made before.
    :param language: what to translate into.
    :param timeout: seconds without an answer after which a program or server counts as hung.
    :param gate: what a chat model's translation must pass before it is asked for once more.
    :param prompts: folder with a `translate.txt` for chat models that stands in for the package's own.
    :raises InputError: when there is no such translator, or it does not know the language.
    :raises MissingExtraError: when the package that runs it is not installed.
    """
    kind, _, what = spec.partition(":")
    if kind == "command" and what:
        from haystack_lrl.synthesis.command import CommandTranslator, split_command

        return CommandTranslator(split_command(what), timeout=timeout)
    if kind == "seq2seq" and what:
        from haystack_lrl.synthesis.seq2seq import Seq2SeqTranslator

        return Seq2SeqTranslator(what, language)
    if kind == "ct2" and what:
        from haystack_lrl.synthesis.ct2 import CT2Translator

        return CT2Translator(Path(what), language)
    if kind == "chat" and what:
        from haystack_lrl.synthesis.chat_translation import ChatTranslator
        from haystack_lrl.synthesis.generators import load_chat

        return ChatTranslator(load_chat(what, timeout=timeout), language, gate=gate, prompts=prompts)
    if kind == "file" and what:
        from haystack_lrl.synthesis.lookup import LookupTranslator

        return LookupTranslator(Path(what))
    raise InputError(
        f"The translator {spec!r} is of no known kind: write command:PROGRAM, seq2seq:MODEL, chat:GENERATOR, "
        "ct2:FOLDER or file:PAIRS.jsonl, such as command:apertium -u en-eo."
    )
