"""The stages over files, as the commands call them one by one and `run.adapt` calls them in order."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self, cast

from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.merging import MergeResult, choose_weight, copy_state, interpolate
from haystack_lrl.adaptation.settings import MergeSettings, TrainingSettings
from haystack_lrl.adaptation.training import TrainingResult, train
from haystack_lrl.curation.split import Split, one_a_passage
from haystack_lrl.encoding.encoder import Role, SentenceEncoder, model_prompts
from haystack_lrl.evaluation.metrics import ndcg
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.testset import TestSet, test_set_of_pairs
from haystack_lrl.languages.table import Language
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Triplet, read_pairs

_ENGLISH = 100  # pairs that show what is forgotten; with fewer, one query is a whole point


@dataclass(frozen=True)
class DevSet:
    """Pairs that choose among models: never trained on, never reported as a result.

    :param own: in the language.
    :param english: what adaptation must not make the model forget; None where nothing can show it.
    """

    own: TestSet
    english: TestSet | None

    @classmethod
    def of(cls, split: Split, language: Language) -> Self:
        """Take one pair a passage.

        The English side of the dev pairs rises with training, since they are of the training's own kind, while English
        of other kinds falls. So English is that of the package's sample pairs, on everyday subjects, unless these are
        what the model is trained on.

        :raises InputError: when no dev pair is left, since nothing could be chosen then.
        """
        own = one_a_passage(split.dev)
        if not own:
            raise InputError("There are too few pairs to set a dev split aside: give at least 20 pairs.")
        seen = {pair.group for pair in (*split.train, *split.dev)}
        with resources.as_file(resources.files("haystack_lrl.samples") / "seeds.jsonl") as samples:
            english = [pair for pair in read_pairs(samples) if pair.group not in seen]
        if len(english) < _ENGLISH:
            english = one_a_passage([pair.in_english() for pair in split.dev if pair.english_passage])
        return cls(
            test_set_of_pairs("dev", language.code, own),
            test_set_of_pairs("English", "eng", english) if english else None,
        )

    def ndcg(self, encoder: SentenceEncoder) -> float:
        """Return nDCG@10 in the language, passages cut as in training."""
        return ndcg(self.own, dense_run(self.own, encoder, split=False).run)

    def english_ndcg(self, encoder: SentenceEncoder) -> float:
        """Return nDCG@10 in English; 0 where there is no English side, and then nothing to forget."""
        return ndcg(self.english, dense_run(self.english, encoder, split=False).run) if self.english else 0.0


@dataclass(frozen=True)
class Trainer:
    """What the trainings of a run share: the adapted model, the control, the models of the data-size curve.

    :param prompts: applied in training and saved with the model.
    :param seed: of the batches.
    :param checkpoints: folder that a killed training goes on from; emptied at the end.
    """

    prompts: Mapping[Role, str]
    settings: TrainingSettings
    dev: DevSet
    seed: int
    checkpoints: Path
    progress: bool = True

    def dev_encoder(self, model: SentenceTransformer) -> SentenceEncoder:
        """Return an encoder that reads as many tokens of the dev pairs as training does."""
        length = self.settings.max_length if self.settings.path == "fast" else None
        return SentenceEncoder(model, prompts=self.prompts, max_length=length, precision=self.settings.precision)

    def train(self, model: SentenceTransformer, rows: Sequence[Triplet], name: str) -> TrainingResult:
        """Train the model in place; the name is that of its checkpoints."""
        encoder = self.dev_encoder(model)
        return train(
            model,
            rows,
            self.prompts,
            self.settings,
            checkpoints=self.checkpoints / name,
            seed=self.seed,
            dev_ndcg=lambda: self.dev.ndcg(encoder),
            progress=self.progress,
        )

    def merge(self, base: SentenceTransformer, adapted: SentenceTransformer, settings: MergeSettings) -> MergeResult:
        """Leave `base` with the weights of the merge that does best on the dev pairs."""
        encoder = self.dev_encoder(base)
        return choose_weight(
            base,
            copy_state(base),
            copy_state(adapted),
            settings,
            lambda: (self.dev.ndcg(encoder), self.dev.english_ndcg(encoder)),
        )

    def forget(self, name: str) -> None:
        """Delete the checkpoints of a training whose model is saved."""
        shutil.rmtree(self.checkpoints / name, ignore_errors=True)


def prompts_of(recipe: Recipe, base: SentenceTransformer) -> Mapping[Role, str]:
    """Return the recipe's prompts, or those of the base model's own configuration."""
    return cast(Mapping[Role, str], recipe.prompts) if recipe.prompts is not None else model_prompts(base)


def merge_at(base: SentenceTransformer, adapted: SentenceTransformer, weight: float) -> None:
    """Leave `base` with (1 - weight) of its own weights and `weight` of the adapted ones."""
    base.load_state_dict(interpolate(copy_state(base), copy_state(adapted), weight))


def as_rows(pairs: Sequence[Pair], *, english: bool = False) -> list[Triplet]:
    """Return training rows without hard negatives, in the language or as the untranslated control."""
    return [
        Triplet(pair.in_english() if english else pair, ()) for pair in pairs if not english or pair.english_passage
    ]
