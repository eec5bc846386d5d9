"""Translation by a chat model behind any Haystack ChatGenerator."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import text_hash
from haystack_lrl.synthesis.translator import Texts, Unusable, one_line

if TYPE_CHECKING:
    from haystack.components.generators.chat.types import ChatGenerator
    from haystack.dataclasses import ChatMessage

_KEYS = {1: ("text",), 2: ("title", "body")}  # by the number of texts
_REFUSED = {400, 413, 422}  # what servers say to one request, such as one longer than the context
# settings of a generator that change no answer: raising a timeout must not cost the rows made before
_NEUTRAL = {"api_key", "token", "timeout", "max_retries", "http_client_kwargs", "streaming_callback"}


class ChatTranslator:
    """Translate by asking a chat model for JSON, with one repair attempt an item.

    :param generator: any Haystack ChatGenerator.
    :param language: what to translate into.
    :param model: what identifies the model, as JSON values; the generator's own serialisation by default.
    :param workers: requests at a time; above 1 only for generators that threads may share.
    """

    def __init__(
        self,
        generator: "ChatGenerator",
        language: Language,
        *,
        model: Mapping[str, Any] | None = None,
        workers: int = 1,
    ) -> None:
        prompt = resources.files("haystack_lrl.synthesis").joinpath("prompts/translate.txt").read_text(encoding="utf-8")
        self.generator = generator
        self.language = language
        self.workers = workers
        self.identity: Mapping[str, Any] = {
            "chat": model or _serialised(generator),
            "prompt": text_hash(prompt),
            "language": language.code,
        }
        self._prompt = Template(prompt.partition("\n")[2])  # the first line holds the version
        self._answered = False

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item of one or two texts, in order.

        :raises InputError: when the model cannot be loaded or reached.
        """
        self._warm_up()
        pool = ThreadPoolExecutor(self.workers)
        waiting: deque[Future[Texts | Unusable]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(self._translate_item, item))
                if len(waiting) >= 2 * self.workers - 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _warm_up(self) -> None:
        import openai

        if hasattr(self.generator, "warm_up"):
            try:
                self.generator.warm_up()
            except (OSError, ValueError, openai.OpenAIError) as error:
                raise InputError(
                    f"The chat generator cannot be started ({first_line(error)}): mend its settings."
                ) from error

    def _translate_item(self, item: Texts) -> Texts | Unusable:
        from haystack.dataclasses import ChatMessage

        if not any(map(str.strip, item)):
            return ("",) * len(item)
        source = dict(zip(_KEYS[len(item)], item, strict=True))
        messages = [ChatMessage.from_user(self._question(source))]
        answer = ""
        for _ in range(2):
            reply = self._ask(messages)
            if isinstance(reply, Unusable):
                return reply
            answer = reply
            try:
                return parse_answer(answer, source)
            except AnswerError as error:
                again = f"That cannot be used: {error}. Answer again, only with one JSON object with {_named(source)}."
                messages = [*messages, ChatMessage.from_assistant(answer), ChatMessage.from_user(again)]
        return Unusable("unparseable answer", answer)

    def _question(self, source: Mapping[str, str]) -> str:
        return self._prompt.substitute(
            language=self.language.name,
            own_name=self.language.own_name,
            keys=_named(source),
            text=json.dumps(source, ensure_ascii=False),
        )

    def _ask(self, messages: list["ChatMessage"]) -> str | Unusable:
        """Return the text of the model's reply, or Unusable where a server that answers others refuses this request."""
        import httpx
        import openai

        try:
            replies = self.generator.run(messages=messages)["replies"]
        except (openai.APIError, httpx.HTTPError, ConnectionError, TimeoutError) as error:
            if self._answered and getattr(error, "status_code", None) in _REFUSED:
                return Unusable("refused by the server", str(error))
            raise InputError(
                f"The chat model gave no answer ({first_line(error)}): check the server, its address, the model's "
                "name, the key and translator_timeout; a rerun goes on where this one stopped."
            ) from error
        self._answered = True
        return (replies[0].text or "") if replies else ""


class AnswerError(ValueError):
    """What is wrong with a model's answer, in words for the model."""


def parse_answer(answer: str, source: Mapping[str, str]) -> Texts:
    """Return the translations in an answer, whatever stands around its JSON object.

    Of several objects the last counts: models that think aloud answer at the end.

    :param source: the texts that were sent, by their keys.
    :raises AnswerError: when no JSON object holds a text for each key.
    """
    found = [row for row in _objects(answer) if row.keys() & source.keys()]
    if not found:
        raise AnswerError(f"it holds no complete JSON object with {_named(source)}")
    row = found[-1]
    for key, text in source.items():
        if text.strip() and not (isinstance(row.get(key), str) and row[key].strip()):
            raise AnswerError(f"the key {key!r} is missing, is empty or is not a text")
    return tuple(one_line(row[key]) if text.strip() else "" for key, text in source.items())


def _objects(answer: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that stand in a text, outermost ones only."""
    decoder = json.JSONDecoder(strict=False)  # models put real line breaks into strings
    start = answer.find("{")
    while start >= 0:
        end = start + 1
        try:
            row, end = decoder.raw_decode(answer, start)
            yield row
        except json.JSONDecodeError:
            pass
        start = answer.find("{", end)


def _named(source: Mapping[str, str]) -> str:
    return f"the key{'s' * (len(source) > 1)} " + " and ".join(f'"{key}"' for key in source)


def first_line(error: Exception) -> str:
    """Return what an error says, short enough to quote."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _serialised(generator: "ChatGenerator") -> dict[str, Any]:
    """Return type and parameters of a generator, which hold the names of keys and never the keys."""
    from haystack.core.serialization import component_to_dict

    row = component_to_dict(generator, "generator")
    parameters = {name: value for name, value in row["init_parameters"].items() if name not in _NEUTRAL}
    return {"type": row["type"], "init_parameters": parameters}
