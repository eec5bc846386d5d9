"""The LoRAs of a generator: of a task, of a language, or across languages (arXiv 2603.01732, 2402.18913)."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.loras.adapters import CONFIG, ROLES, identify_base, require_peft
from haystack_lrl.synthesis.loras.causal import Tokens, encode, load_tokenizer
from haystack_lrl.synthesis.loras.examples import (
    PLACEHOLDERS,
    Example,
    read_rows,
    select,
    set_aside,
    text_examples,
    triplet_examples,
)
from haystack_lrl.synthesis.loras.settings import Kind, LoraResult, LoraSettings
from haystack_lrl.synthesis.loras.training import Lesson, check_place, learn
from haystack_lrl.synthesis.prompts import load_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Source:
    """Where examples come from.

    :param rows: file or data set.
    :param spoken: language where a row does not say it.
    :param prompts: folder of the user's own prompts.
    """

    kind: Kind
    rows: str
    spoken: str | None
    prompts: Path | None

    @property
    def roles(self) -> tuple[str, ...]:
        """Return one role an adapter."""
        return ("language",) if self.kind == "language" else ROLES

    def examples(self, role: str) -> tuple[Iterator[Example], Mapping[str, str] | None]:
        """Return the examples of one adapter, and the identity of the prompt that they are asked with."""
        rows = read_rows(self.rows)
        if self.kind == "language":
            return text_examples(rows), None
        prompt = load_prompt(role, PLACEHOLDERS, self.prompts)
        into_english = self.kind == "xl-lora"
        return triplet_examples(rows, role, prompt, spoken=self.spoken, into_english=into_english), prompt.identity


def train_generator(
    kind: Kind,
    model: str,
    rows: str,
    output: Path,
    settings: LoraSettings | None = None,
    *,
    language: str | None = None,
    prompts: Path | None = None,
    progress: bool = True,
) -> dict[str, LoraResult]:
    """Train the adapters of one kind, each in its own PEFT folder that works as a chat model.

    A killed training goes on from its last whole checkpoint; an adapter that is there already is not trained again.

    :param kind: `task` and `xl-lora` learn from triplets, and give the adapters output/positive and output/negative;
        `language` learns from texts, and gives the one adapter output.
    :param model: folder or hub id of the generator.
    :param rows: file or data set, see `read_rows`.
    :param language: code of the language that texts or anchors are in where a row does not say it; English for `task`.
    :param prompts: folder with files that stand in for the package's positive.txt and negative.txt.
    :return: the results by adapter: `positive` and `negative`, or `language`.
    :raises InputError: for what is wrong with rows, model or output.
    :raises MissingExtraError: when PEFT is not installed.
    """
    require_peft()
    settings = settings or LoraSettings()
    spoken = language_of(language).code if language else {"task": "eng"}.get(kind)
    if kind == "language" and spoken is None:
        raise InputError("A language adapter has to know its language: give --language.")
    if (Path(model) / CONFIG).is_file():
        raise InputError(f"{model} is an adapter itself: give the base model, or merge the adapter into it first.")
    model = str(Path(model).resolve()) if Path(model).is_dir() else model
    tokenizer = load_tokenizer(model)
    base = {"name": model, "fingerprint": identify_base(model)}
    source = _Source(kind, rows, spoken, prompts)
    # all before the first training: what is wrong with the second adapter must not come out hours later
    lessons = {role: _lesson(source, role, output, tokenizer, base, settings) for role in source.roles}
    for lesson in lessons.values():
        check_place(lesson)
    return {role: learn(lesson, tokenizer, settings, progress=progress) for role, lesson in lessons.items()}


def _lesson(
    source: _Source,
    role: str,
    output: Path,
    tokenizer: "PreTrainedTokenizerBase",
    base: Mapping[str, str],
    settings: LoraSettings,
) -> Lesson:
    """Return what one adapter is to learn, every row accounted for.

    :raises InputError: when too few rows can be used.
    """
    counts = Counts()
    examples, prompt = source.examples(role)
    chosen = select(examples, counts, limit=settings.max_rows, seed=settings.seed)
    tokens: dict[str, Tokens] = {}
    for example in chosen:
        encoded = encode(tokenizer, example)
        if len(encoded["input_ids"]) > settings.max_length:
            counts.reject("longer than max_length")
        else:
            counts.keep()
            tokens[example.key] = encoded
    train, held_out = set_aside([example for example in chosen if example.key in tokens], settings.held_out)
    logger.info("%s: %d rows to train on, %d held out, rejected %s", role, len(train), len(held_out), counts.rejected)
    record = {
        "version": 1,
        "kind": source.kind,
        "role": role,
        "language": source.spoken,
        "base": dict(base),
        "prompt": dict(prompt) if prompt else None,
        "settings": asdict(settings),
    }
    return Lesson(
        output / role if role in ROLES else output,
        [tokens[example.key] for example in train],
        [tokens[example.key] for example in held_out],
        counts,
        record,
    )
