"""Questions about passages: summarise, then ask (SAP), of SWIM-IR (Thakur et al., arXiv 2311.05800).

The model first copies the sentences that say most and then writes a query that they answer, both in one completion;
without the summary small models ask about the first words of the passage.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from haystack_lrl.languages.gate import LanguageGate, check_question
from haystack_lrl.languages.passages import part_text
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Rejected
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.answers import Answer, named
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.exemplars import choose_exemplars, load_styles, load_versioned, show, show_request
from haystack_lrl.synthesis.making import Making, make_file
from haystack_lrl.synthesis.prompts import load_prompt
from haystack_lrl.synthesis.translator import Unusable

Drawn = TypeVar("Drawn")  # a passage, or its place

_KEYS = {"sap": ("summary", "query"), "plain": ("query",)}


@dataclass(frozen=True)
class AskSettings:
    """How questions are asked.

    :param strategy: summarise, then ask; or ask at once.
    :param exemplars: shown to the model; the paper's gain is nearly linear up to 5.
    :param passage_language: ISO 639-3 code of the passages; the language of the queries by default.
    :param styles: weights of the kinds of queries: question, keyword, claim, title, long form, or those of your own
        `styles.yaml`. Variety of tasks counts for more than variety of languages (arXiv 2510.14274).
    :param per_passage: queries about each passage.
    :param sample: passages drawn uniformly; 0 takes all.
    :param max_characters: longer passages are parted at sentence ends, and each part is a passage of its own.
    :param prompts: folder whose files stand in for the package's own of the same name.
    """

    strategy: Literal["sap", "plain"] = "sap"
    exemplars: int = 5
    passage_language: str = ""
    styles: Mapping[str, float] = field(default_factory=lambda: {"question": 1.0})
    per_passage: int = 1
    sample: int = 0
    max_characters: int = 2000
    prompts: str = ""

    def __post_init__(self) -> None:
        if self.strategy not in _KEYS:
            raise ValueError(f"ask.strategy is {self.strategy!r}, but must be one of {', '.join(_KEYS)}")
        if not 0 <= self.exemplars <= 5:
            raise ValueError(f"ask.exemplars is {self.exemplars}, but must be 0 to 5")
        for name, least in (("per_passage", 1), ("sample", 0), ("max_characters", 100)):
            if getattr(self, name) < least:
                raise ValueError(f"ask.{name} is {getattr(self, name)}, but must be {least} or above")
        if any(weight < 0 for weight in self.styles.values()) or not sum(self.styles.values()):
            raise ValueError(f"ask.styles is {dict(self.styles)}, but weights must be 0 or above, one of them above")


@dataclass(frozen=True, slots=True)
class Request:
    """One query that is wanted.

    :param number: among those about the passage, from 0.
    :param style: its kind.
    """

    passage: Passage
    number: int
    style: str


def requests(
    passages: Iterable[Passage], settings: AskSettings, spoken: Language, seed: int, total: int | None = None
) -> Iterator[Request]:
    """Yield what is asked for, streaming: sampled, parted, and each with a style drawn by weight.

    The style of a query depends on the seed and its passage alone, so that more passages change none.

    :param total: how many passages there are, which sampling must know.
    """
    tongue = language_of(settings.passage_language) if settings.passage_language else spoken
    names, weights = list(settings.styles), list(settings.styles.values())
    chosen = sample(passages, settings.sample, total, seed) if settings.sample and total else passages
    for passage in chosen:
        for text in part_text(passage.text, tongue, settings.max_characters):
            draw = random.Random(f"{seed} {text}")
            for number in range(settings.per_passage):
                yield Request(Passage(text, passage.id), number, draw.choices(names, weights)[0])


def request_content(request: Request) -> tuple[str, ...]:
    """Return what of a request makes its query differ."""
    return request.passage.text, request.style, str(request.number)


def sample(passages: Iterable[Drawn], count: int, total: int, seed: int) -> Iterator[Drawn]:
    """Yield exactly `count` of `total` passages, each with the same chance, in order and without holding any.

    Selection sampling: Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S.
    """
    draw = random.Random(seed)
    wanted = min(count, total)
    for seen, passage in enumerate(passages):
        if draw.random() * (total - seen) < wanted:
            wanted -= 1
            yield passage


class Asker:
    """Writes queries that passages answer.

    :param chat: the model.
    :param spoken: the language of the queries.
    :param gate: what each query must pass; one that does not is asked for once more.
    :param seed: of sampling, where a passage gets several queries.
    :raises InputError: for prompts, styles or exemplars that cannot be used.
    """

    def __init__(
        self,
        chat: ChatModel,
        spoken: Language,
        settings: AskSettings | None = None,
        *,
        gate: LanguageGate | None = None,
        seed: int = 13,
    ) -> None:
        self.chat = chat
        self.language = spoken
        self.settings = settings or AskSettings()
        self.seed = seed
        self._gate = gate
        folder = Path(self.settings.prompts) if self.settings.prompts else None
        placeholders = {"passage_language", "keys", "exemplars", "input"}
        self._prompt = load_prompt(f"ask-{self.settings.strategy}", placeholders, folder)
        self._styles = load_styles(folder)
        self._exemplars = load_versioned("exemplars-ask.yaml", "exemplars", list, folder)
        self._shown = choose_exemplars(self._exemplars, spoken, self.settings.exemplars)
        self._check_styles()

    def _check_styles(self) -> None:
        known = self._styles.content["styles"]
        for style in self.settings.styles:
            if style not in known:
                raise InputError(f"ask.styles has {style!r}, but styles.yaml knows {', '.join(known)}: correct it.")

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that makes a query differ, beyond its passage and style."""
        neutral = {"sample", "per_passage", "styles", "prompts"}  # which queries are asked for, not how
        options = {name: value for name, value in asdict(self.settings).items() if name not in neutral}
        return {
            "stage": "ask",
            "chat": self.chat.identity,
            "language": self.language.code,
            "files": [self._prompt.identity, self._styles.identity, self._exemplars.identity],
            "options": options,
            "seed": self.seed,
            "gate": asdict(self._gate.settings) if self._gate else None,
        }

    def making(self) -> Making[Request, Answer | Unusable, Pair | Rejected]:
        """Return how requests become rows of a store."""
        return Making(
            who="The chat model",
            content=request_content,
            make=lambda source: self.chat.answers(map(self._question, source)),
            row=_row,
        )

    def _question(self, request: Request) -> Question:
        keys = _KEYS[self.settings.strategy]
        tongue = language_of(self.settings.passage_language or self.language.code)
        prompt = self._prompt.render(
            passage_language=tongue.described,
            keys=named(keys),
            exemplars=show([self._exemplar(row, request.style, keys) for row in self._shown]),
            input=show_request(self._request(request.passage.text, request.style, self.language)),
        )
        seed = self.seed + request.number if request.number else None  # the first query is the model's best
        return Question(prompt, keys, lambda answer: self._fault(answer, request), seed)

    def _request(self, passage: str, style: str, spoken: Language) -> dict[str, str]:
        return {"passage": passage, "kind": self._styles.content["styles"][style], "language": spoken.described}

    def _exemplar(
        self, row: Mapping[str, Any], style: str, keys: Iterable[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return an exemplar's request and answer; of another style where it has none of this one."""
        queries = row["queries"]
        shown = style if style in queries else next(name for name in queries if name in self._styles.content["styles"])
        answer = {"summary": row["summary"], "query": queries[shown]}
        return self._request(row["passage"], shown, language_of(row["language"])), {key: answer[key] for key in keys}

    def _fault(self, answer: Answer, request: Request) -> str | None:
        query = answer["query"]
        own = self._gate.check(query) if self._gate else None
        return own or check_question(query, request.passage.text, style=request.style)


def _row(request: Request, result: Answer | Unusable) -> Pair | Rejected:
    pair = Pair("", request.passage.text, id=request.passage.id, source=f"ask: {request.style}")
    if isinstance(result, Unusable):
        return Rejected(pair, result.reason, result.raw)
    return Pair(result["query"], pair.passage, id=pair.id, source=pair.source)


def wanted_queries(settings: AskSettings, passages: int) -> int:
    """Return how many queries are asked for about that many passages, before long ones are parted."""
    return min(settings.sample or passages, passages) * settings.per_passage


def ask_file(
    passages: Iterable[Passage], output: Path, asker: Asker, *, total: int | None = None, progress: bool = True
) -> Counts:
    """Write the queries about all passages, or a sample of them, into one file, going on where a killed run stopped.

    :param total: how many passages there are, which sampling must know.
    :raises InputError: when there are no passages, or the model fails; what is made stays.
    """
    settings = asker.settings
    if settings.sample and total is None:
        raise ValueError("sampling must know how many passages there are: give total")
    wanted = requests(passages, settings, asker.language, asker.seed, total)
    count = wanted_queries(settings, total) if total else None
    return make_file(wanted, asker.making(), output, asker.identity, total=count, what="ask", progress=progress)
