"""Triplets from anchors alone: anchor, positive, hard negative (Basoz, Horne, Opper, arXiv 2603.01732).

The positive is a sentence that the anchor entails, the negative one that contradicts it. Three strategies:
`icl` shows an instruction-tuned model a few examples and asks for both at once; `composed` asks two LoRAs, each
composed of a task and a language adapter, for a sentence in the language; `xl-lora` asks two LoRAs that were trained
on other languages for English sentences, so that the model only has to read the language.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Rejected, Triplet
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.answers import Answer, named
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.exemplars import choose_exemplars, load_versioned, show, show_request
from haystack_lrl.synthesis.loras.examples import request
from haystack_lrl.synthesis.making import Making, make_file
from haystack_lrl.synthesis.prompts import load_prompt
from haystack_lrl.synthesis.translator import Unusable

STRATEGIES = ("icl", "composed", "xl-lora")
_KEYS = ("positive", "negative")

Result = Answer | Unusable


@dataclass(frozen=True)
class TripletSettings:
    """How triplets are made.

    :param strategy: see the module; `composed` and `xl-lora` differ in the language of what is written.
    :param exemplars: shown to the model by `icl`.
    :param prompts: folder whose files stand in for the package's own of the same name.
    """

    strategy: Literal["icl", "composed", "xl-lora"] = "icl"
    exemplars: int = 5
    prompts: str = ""

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"triplets.strategy is {self.strategy!r}, but must be one of {', '.join(STRATEGIES)}")
        if not 0 <= self.exemplars <= 5:
            raise ValueError(f"triplets.exemplars is {self.exemplars}, but must be 0 to 5")


class TripletMaker:
    """Writes a positive and a hard negative for each anchor.

    :param positive: the model that writes both by `icl`, the positives otherwise.
    :param negative: the model that writes the negatives; by default the one that writes the positives.
    :param spoken: the language of the anchors.
    :param gate: False accepts text in any language.
    :raises InputError: for prompts or exemplars that cannot be used.
    """

    def __init__(
        self,
        positive: ChatModel,
        spoken: Language,
        settings: TripletSettings | None = None,
        *,
        negative: ChatModel | None = None,
        gate: LanguageGate | None = None,
    ) -> None:
        self.settings = settings or TripletSettings()
        self.language = spoken
        self.models = {"positive": positive, "negative": negative or positive}
        self._gate = gate
        folder = Path(self.settings.prompts) if self.settings.prompts else None
        if self.settings.strategy == "icl":
            if negative is not None:
                raise InputError("The strategy icl asks one model for both sentences: name one generator.")
            self._prompt = load_prompt("triplet", {"language", "keys", "exemplars", "input"}, folder)
            file = load_versioned("exemplars-triplet.yaml", "exemplars", list, folder)
            self._shown = choose_exemplars(file, spoken, self.settings.exemplars)
            self._files = [self._prompt.identity, file.identity]
        else:
            placeholders = {"anchor_language", "output_language", "anchor"}
            self._prompts = {key: load_prompt(key, placeholders, folder) for key in _KEYS}
            self._files = [prompt.identity for prompt in self._prompts.values()]

    @property
    def written(self) -> Language:
        """The language of positives and negatives, which a gate must be made for."""
        return written_language(self.settings, self.language)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that makes a triplet differ, beyond its anchor."""
        return {
            "stage": "triplets",
            "strategy": self.settings.strategy,
            "exemplars": self.settings.exemplars if self.settings.strategy == "icl" else 0,
            "models": {key: model.identity for key, model in self.models.items()},
            "language": self.language.code,
            "files": self._files,
            "gate": asdict(self._gate.settings) if self._gate else None,
        }

    @property
    def usage(self) -> Counter[str]:
        """Requests and tokens so far, of both models where there are two."""
        return sum((model.usage for model in set(self.models.values())), Counter())

    def making(self) -> Making[Passage, Result, Triplet | Rejected]:
        """Return how anchors become rows of a store."""
        return Making(
            who="The chat model",
            content=anchor_content,
            make=self._together if self.settings.strategy == "icl" else self._apart,
            row=_row,
        )

    def _together(self, anchors: Iterable[Passage]) -> Iterator[Result]:
        shown = [
            (self._request(row["anchor"], language_of(row["language"])), {key: row[key] for key in _KEYS})
            for row in self._shown
        ]
        exemplars = show(shown)
        for_all = {"language": self.language.described, "keys": named(_KEYS), "exemplars": exemplars}

        def question(anchor: Passage) -> Question:
            prompt = self._prompt.render(**for_all, input=show_request(self._request(anchor.text, self.language)))
            return Question(prompt, _KEYS, lambda answer: self._fault(answer, anchor))

        return self.models["positive"].answers(map(question, anchors))

    def _request(self, text: str, spoken: Language) -> dict[str, str]:
        return {"text": text, "language": spoken.described}

    def _apart(self, anchors: Iterable[Passage]) -> Iterator[Result]:
        """Ask for positives and negatives side by side; a pair of answers counts when both can be used."""
        copies = itertools.tee(anchors)
        streams = [self._one(key, copy) for key, copy in zip(_KEYS, copies, strict=True)]
        for positive, negative in zip(*streams, strict=True):
            faulty = next((answer for answer in (positive, negative) if isinstance(answer, Unusable)), None)
            if faulty or isinstance(positive, Unusable) or isinstance(negative, Unusable):
                yield faulty or Unusable("unparseable answer", "")
                continue
            answer = {"positive": positive["text"], "negative": negative["text"]}
            same = answer["positive"] == answer["negative"]
            yield Unusable("positive is the negative", answer["positive"]) if same else answer

    def _one(self, key: str, anchors: Iterable[Passage]) -> Iterator[Result]:
        def question(anchor: Passage) -> Question:
            prompt = request(self._prompts[key], anchor.text, self.language, self.written)
            return Question(prompt, (), lambda answer: self._text_fault(answer["text"], anchor))

        return self.models[key].answers(map(question, anchors))

    def _fault(self, answer: Answer, anchor: Passage) -> str | None:
        faults = (self._text_fault(answer[key], anchor) for key in _KEYS)
        same = "positive is the negative" if answer["positive"] == answer["negative"] else None
        return next((fault for fault in faults if fault), same)

    def _text_fault(self, text: str, anchor: Passage) -> str | None:
        if text.casefold() == anchor.text.casefold():
            return "copied source"
        return self._gate.check(text) if self._gate else None


def anchor_content(anchor: Passage) -> tuple[str, ...]:
    """Return what of an anchor makes its triplet differ."""
    return (anchor.text,)


def written_language(settings: TripletSettings, spoken: Language) -> Language:
    """Return the language of positives and negatives: English for xl-lora."""
    return language_of("eng") if settings.strategy == "xl-lora" else spoken


def _row(anchor: Passage, result: Result) -> Triplet | Rejected:
    pair = Pair(anchor.text, "", id=anchor.id, source="triplets")
    if isinstance(result, Unusable):
        return Rejected(pair, result.reason, result.raw)
    return Triplet(Pair(pair.query, result["positive"], id=pair.id, source=pair.source), (result["negative"],))


def triplet_file(
    anchors: Iterable[Passage], output: Path, maker: TripletMaker, *, total: int | None = None, progress: bool = True
) -> Counts:
    """Write a triplet for each anchor into one file, going on where a killed run stopped.

    :param total: how many anchors there are, for the progress bar.
    :raises InputError: when there are no anchors, or a model fails; what is made stays.
    """
    return make_file(anchors, maker.making(), output, maker.identity, total=total, what="triplets", progress=progress)
