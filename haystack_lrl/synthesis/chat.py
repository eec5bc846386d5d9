"""A chat model that is asked many things: in order, several at a time, each answer checked, one repair attempt."""

import functools
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.answers import Answer, AnswerError, answer_schema, named, parse_answer
from haystack_lrl.synthesis.identity import serialised
from haystack_lrl.synthesis.translator import Unusable

if TYPE_CHECKING:
    from haystack.components.generators.chat.types import ChatGenerator
    from haystack.dataclasses import ChatMessage

logger = logging.getLogger(__name__)

_REFUSED = {400, 413, 422}  # what servers say to one request, such as one longer than the context
_TEMPERATURE = 0.8  # of answers that are to differ from one another
_WINDOW = 4  # requests under way or waiting for an earlier one, by worker: a slow answer does not idle the others

Structure = Callable[[dict[str, Any]], dict[str, Any]]

# how generators that can hold a model to a JSON schema are told it; of others the answer is parsed as it comes
_STRUCTURES: dict[str, Structure] = {
    "haystack.components.generators.chat.openai.OpenAIChatGenerator": lambda schema: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    },
    "haystack_integrations.components.generators.llama_cpp.chat.chat_generator.LlamaCppChatGenerator": lambda schema: {
        "response_format": {"type": "json_object", "schema": schema}
    },
}


@dataclass(frozen=True, slots=True)
class Question:
    """What one request asks.

    :param prompt: the user's message.
    :param keys: of the JSON object that is to be answered, in order; none asks for one plain text.
    :param check: returns what is wrong with an answer as a short stable phrase, or None.
    :param seed: of sampling, for an answer unlike those to the same prompt; None for the likeliest answer.
    """

    prompt: str
    keys: Sequence[str] = ()
    check: Callable[[Answer], str | None] | None = None
    seed: int | None = None


class ChatModel:
    """Any Haystack ChatGenerator, asked question after question.

    :param generator: any Haystack ChatGenerator.
    :param model: what identifies the model, as JSON values; the generator's own serialisation by default.
    :param workers: requests at a time; above 1 only for generators that threads may share.
    :param fits: whether a prompt is short enough, for models that would read on beyond what they know.
    :param start: called before the first question, for what has to run by then.
    """

    def __init__(
        self,
        generator: "ChatGenerator",
        *,
        model: Mapping[str, Any] | None = None,
        workers: int = 1,
        fits: Callable[[str], bool] | None = None,
        start: Callable[[], None] | None = None,
    ) -> None:
        self.generator = generator
        self.workers = workers
        self._model = model
        self.usage: Counter[str] = Counter()  # requests, and tokens where the generator counts them
        structure = _STRUCTURES.get(f"{type(generator).__module__}.{type(generator).__qualname__}")
        chosen = "response_format" in (getattr(generator, "generation_kwargs", None) or {})
        self._structure = None if chosen else structure
        self._samples = structure is not None  # these generators take a seed as well
        self._fits = fits
        self._start = start
        self._answered = False
        self._lock = threading.Lock()

    @functools.cached_property
    def identity(self) -> Mapping[str, Any]:
        """What identifies the model; read where rows are stored, since not every generator can be written down."""
        return self._model if self._model is not None else serialised(self.generator)

    def answers(self, questions: Iterable[Question | None]) -> Iterator[Answer | Unusable]:
        """Yield one answer a question, in order and while questions still come in; an empty one for None.

        :raises InputError: when the model cannot be loaded or reached.
        """
        self.warm_up()
        pool = ThreadPoolExecutor(self.workers)
        waiting: deque[Future[Answer | Unusable]] = deque()
        most = _WINDOW * self.workers if self.workers > 1 else 1  # a lone worker is not to run ahead of its reader
        try:
            for question in questions:
                waiting.append(pool.submit(self._answer, question))
                if len(waiting) >= most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def warm_up(self) -> None:
        """Load the model, or find the key of its server.

        :raises InputError: when that fails.
        """
        import openai

        if self._start is not None:
            self._start()
        if hasattr(self.generator, "warm_up"):
            try:
                self.generator.warm_up()
            except (OSError, ValueError, openai.OpenAIError) as error:
                raise InputError(
                    f"The chat generator cannot be started ({first_line(error)}): mend its settings."
                ) from error

    def _answer(self, question: Question | None) -> Answer | Unusable:
        from haystack.dataclasses import ChatMessage

        if question is None:
            return {}
        if self._fits is not None and not self._fits(question.prompt):
            return Unusable("longer than the context", question.prompt[:1000])
        messages = [ChatMessage.from_user(question.prompt)]
        for _ in range(2):
            reply = self._ask(messages, question)
            if isinstance(reply, Unusable):
                return reply
            outcome, complaint = _judge(reply, question)
            if not isinstance(outcome, Unusable):
                return outcome
            messages = [messages[0], ChatMessage.from_assistant(reply or "-"), ChatMessage.from_user(complaint)]
        return outcome

    def _ask(self, messages: list["ChatMessage"], question: Question) -> str | Unusable:
        """Return the text of the model's reply, or Unusable where a server that answers others refuses this request."""
        import httpx
        import openai

        structure = self._structure if question.keys else None
        options = structure(answer_schema(question.keys)) if structure else {}
        if self._samples and question.seed is not None:
            options |= {"seed": question.seed, "temperature": _TEMPERATURE}
        try:
            reply = self._run(messages, options)
        except openai.LengthFinishReasonError as error:
            return error.completion.choices[0].message.content or ""  # cut off: what there is of it is not JSON
        except (openai.APIError, httpx.HTTPError, ConnectionError, TimeoutError) as error:
            status = getattr(error, "status_code", None)
            if status in _REFUSED and structure and self._without_structure():
                return self._ask(messages, question)
            if status in _REFUSED and "context" in str(error):  # llama-server's, vLLM's and OpenAI's word for it
                return Unusable("longer than the context", str(error))
            if self._answered and status in _REFUSED:
                return Unusable("refused by the server", str(error))
            url = getattr(self.generator, "api_base_url", None)
            where = f" at {url}" if url else ""
            raise InputError(
                f"The chat model{where} gave no answer ({first_line(error)}): check the server, its address, the "
                "model's name, the key and the timeout; a rerun goes on where this one stopped."
            ) from error
        except ValueError as error:
            if "context window" not in str(error):  # llama.cpp's words for a prompt that is too long
                raise
            return Unusable("longer than the context", messages[0].text or "")
        self._answered = True
        return reply

    def _run(self, messages: list["ChatMessage"], options: Mapping[str, Any]) -> str:
        extra = {"generation_kwargs": options} if options else {}  # others need not know the parameter
        replies = self.generator.run(messages=messages, **extra)["replies"]
        usage = (replies[0].meta.get("usage") if replies else None) or {}
        with self._lock:
            self.usage["requests"] += 1
            for name in ("prompt_tokens", "completion_tokens"):
                self.usage[name] += int(usage.get(name) or 0)
        return (replies[0].text or "") if replies else ""

    def _without_structure(self) -> bool:
        """Give JSON schemas up unless one was ever taken, and tell whether the request is worth sending again."""
        if self._answered and self._structure:
            return False
        if self._structure:
            logger.info("the server takes no JSON schema: answers are parsed as they come")
        self._structure = None
        return True


def _judge(reply: str, question: Question) -> tuple[Answer | Unusable, str]:
    """Return the answer and what to tell the model where it cannot be used."""
    try:
        answer = parse_answer(reply, question.keys)
    except AnswerError as error:
        return Unusable("unparseable answer", reply), _again(str(error), question)
    reason = question.check(answer) if question.check else None
    return (Unusable(reason, reply), _again(reason, question)) if reason else (answer, "")


def _again(complaint: str, question: Question) -> str:
    form = f"only with one JSON object with {named(question.keys)}" if question.keys else "with that text alone"
    return f"That cannot be used: {complaint}. Answer again, as you were asked to, {form}."


def first_line(error: Exception) -> str:
    """Return what an error says, short enough to quote."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
