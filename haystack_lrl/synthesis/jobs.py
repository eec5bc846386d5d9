"""A making stage as settings alone, so that workers on other machines can build it for themselves."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from haystack_lrl.languages.gate import GateSettings, LanguageGate
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.pair import Pair, pair_of
from haystack_lrl.records.parts import Row, read_rows
from haystack_lrl.records.passage import Passage, passage_of
from haystack_lrl.synthesis.asking import Asker, AskSettings, Request, request_content, requests, wanted_queries
from haystack_lrl.synthesis.generators import load_chat
from haystack_lrl.synthesis.making import Making, make_file
from haystack_lrl.synthesis.translation import pair_content, translating, translation_settings
from haystack_lrl.synthesis.translator import load_translator
from haystack_lrl.synthesis.triplets import TripletMaker, TripletSettings, anchor_content, written_language

Record = TypeVar("Record")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Built:
    """A job with its models, which are loaded when they are first used.

    :param making: how items become rows.
    :param settings: everything that makes a row differ beyond its item, for the store.
    :param usage: returns requests and tokens so far; nothing for what counts none.
    """

    making: Making[Any, Any, Any]
    settings: Mapping[str, Any]
    usage: Callable[[], Mapping[str, int]] = dict


class Job(Protocol[Record, Item]):
    """What one command makes of every record of its input.

    `what` names it in messages; `sample` is how many records are drawn with `seed`, 0 for all.
    """

    @property
    def what(self) -> str:
        """A verb."""

    @property
    def sample(self) -> int:
        """How many records."""

    @property
    def seed(self) -> int:
        """Of the sample."""

    def record(self, row: Row) -> Record:
        """Return what a row of the input holds."""

    def items(self, records: Iterable[Record], total: int | None = None) -> Iterator[Item]:
        """Yield what rows are made of; with `total` records, of which a sample may be drawn."""

    def content(self, item: Item) -> tuple[str, ...]:
        """Return what of an item makes its row differ."""

    def expected(self, total: int) -> int:
        """Return about how many items there are, for the progress bar."""

    def build(self) -> Built:
        """Return the job with its models."""


def make_here(
    job: Job[Record, Item], source: str | Path, output: Path, *, progress: bool = True
) -> tuple[Counts, Counter[str]]:
    """Do a job in this process, and return its counts and what its models used.

    :param source: file, folder, glob or URL.
    :raises InputError: when the input holds nothing or is wrong, or a model fails; rows made until then stay.
    """
    built = job.build()
    total = sum(1 for _ in map(job.record, read_rows(source)))
    counts = make_file(
        job.items(map(job.record, read_rows(source)), total),
        built.making,
        output,
        built.settings,
        total=job.expected(total),
        what=job.what,
        progress=progress,
    )
    return counts, Counter(built.usage())


def _gate(settings: GateSettings | None, spoken: Language) -> LanguageGate | None:
    return LanguageGate(spoken, settings) if settings else None


@dataclass(frozen=True)
class Translation:
    """English pairs to pairs in a language.

    :param language: ISO 639-3 code.
    :param translator: see `load_translator`.
    :param gate: what each translation must pass; None leaves the gate open.
    :param prompts: folder with a `translate.txt` that stands in for the package's own.
    """

    language: str
    translator: str
    timeout: float = 600.0
    gate: GateSettings | None = field(default_factory=GateSettings)
    prompts: Path | None = None
    query_column: str = "query"
    passage_column: str = "passage"
    what: str = "translate"
    sample: int = 0
    seed: int = 0

    def record(self, row: Row) -> Pair:
        """Return the pair of a row."""
        return pair_of(row, self.query_column, self.passage_column)

    def items(self, records: Iterable[Pair], total: int | None = None) -> Iterator[Pair]:  # noqa: ARG002 - all of them
        """Yield the pairs."""
        return iter(records)

    def content(self, item: Pair) -> tuple[str, ...]:
        """Return both texts."""
        return pair_content(item)

    def expected(self, total: int) -> int:
        """Return as many."""
        return total

    def build(self) -> Built:
        """Load the translator.

        :raises InputError: when there is no such translator, or it does not know the language.
        """
        spoken = language_of(self.language)
        gate = _gate(self.gate, spoken)
        translator = load_translator(self.translator, spoken, timeout=self.timeout, gate=gate, prompts=self.prompts)
        chat = getattr(translator, "chat", None)  # other translators count no tokens
        usage: Callable[[], Mapping[str, int]] = (lambda: dict(chat.usage)) if chat else dict
        return Built(translating(translator, gate), translation_settings(translator, spoken, gate), usage)


@dataclass(frozen=True)
class Questions:
    """Passages to questions about them.

    :param language: ISO 639-3 code, of the questions.
    :param generator: see `load_chat`.
    :param gate: what each question must pass; None leaves the gate open.
    """

    language: str
    generator: str
    settings: AskSettings = field(default_factory=AskSettings)
    timeout: float = 600.0
    gate: GateSettings | None = field(default_factory=GateSettings)
    seed: int = 13
    passage_column: str = "text"
    what: str = "ask"

    @property
    def sample(self) -> int:
        """How many passages are drawn; 0 for all."""
        return self.settings.sample

    def record(self, row: Row) -> Passage:
        """Return the passage of a row."""
        return passage_of(row, self.passage_column)

    def items(self, records: Iterable[Passage], total: int | None = None) -> Iterator[Request]:
        """Yield the queries that are wanted about the passages, or about a sample of so many of them."""
        return requests(records, self.settings, language_of(self.language), self.seed, total)

    def content(self, item: Request) -> tuple[str, ...]:
        """Return passage, style and number."""
        return request_content(item)

    def expected(self, total: int) -> int:
        """Return how many queries, before long passages are parted."""
        return wanted_queries(self.settings, total)

    def build(self) -> Built:
        """Load the chat model.

        :raises InputError: when there is no such model, or prompts or exemplars cannot be used.
        """
        spoken = language_of(self.language)
        chat = load_chat(self.generator, timeout=self.timeout)
        asker = Asker(chat, spoken, self.settings, gate=_gate(self.gate, spoken), seed=self.seed)
        return Built(asker.making(), asker.identity, lambda: dict(chat.usage))


@dataclass(frozen=True)
class Triplets:
    """Anchors to triplets.

    :param language: ISO 639-3 code, of the anchors.
    :param positive: the model that writes both by `icl`, the positives otherwise; see `load_chat`.
    :param negative: the model that writes the negatives where it is another.
    :param gate: what each text must pass; None leaves the gate open.
    """

    language: str
    positive: str
    negative: str | None = None
    settings: TripletSettings = field(default_factory=TripletSettings)
    timeout: float = 600.0
    gate: GateSettings | None = field(default_factory=GateSettings)
    anchor_column: str = "text"
    what: str = "triplets"
    sample: int = 0
    seed: int = 0

    def record(self, row: Row) -> Passage:
        """Return the anchor of a row."""
        return passage_of(row, self.anchor_column)

    def items(self, records: Iterable[Passage], total: int | None = None) -> Iterator[Passage]:  # noqa: ARG002 - all
        """Yield the anchors."""
        return iter(records)

    def content(self, item: Passage) -> tuple[str, ...]:
        """Return the anchor's text."""
        return anchor_content(item)

    def expected(self, total: int) -> int:
        """Return as many."""
        return total

    def build(self) -> Built:
        """Load the models.

        :raises InputError: when there is no such model, or prompts or exemplars cannot be used.
        """
        spoken = language_of(self.language)
        gate = _gate(self.gate, written_language(self.settings, spoken))
        first = load_chat(self.positive, timeout=self.timeout)
        second = load_chat(self.negative, timeout=self.timeout) if self.negative else None
        maker = TripletMaker(first, spoken, self.settings, negative=second, gate=gate)
        return Built(maker.making(), maker.identity, lambda: dict(maker.usage))
