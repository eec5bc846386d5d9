"""The stages over files, as the commands call them one by one and `run.adapt` calls them in order."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from sentence_transformers import SentenceTransformer
from tqdm import tqdm

from haystack_lrl.adaptation.merging import MergeResult, choose_weight, copy_state, interpolate
from haystack_lrl.adaptation.settings import MergeSettings, TrainingSettings
from haystack_lrl.adaptation.training import TrainingResult, train
from haystack_lrl.curation.split import one_a_passage
from haystack_lrl.encoding.encoder import Role, SentenceEncoder, model_prompts
from haystack_lrl.evaluation.metrics import ndcg
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.testset import TestSet, test_set_of_pairs
from haystack_lrl.languages.table import Language
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Rejected, Triplet, read_outcomes
from haystack_lrl.records.store import Store
from haystack_lrl.synthesis.translation import copied_share, translate, translation_settings
from haystack_lrl.synthesis.translator import Translator

logger = logging.getLogger(__name__)


def translate_file(
    seeds: Sequence[Pair], output: Path, translator: Translator, language: Language, *, progress: bool = True
) -> Counts:
    """Translate every seed into one file, going on where a killed run stopped.

    :raises InputError: when there are no seeds, or the translator fails; what is translated stays.
    """
    if not seeds:
        raise InputError("The seed file holds no pairs: add lines with query and passage.")
    with Store(output, translation_settings(translator, language)) as store:
        done = len(store.keys)
        bar = tqdm(total=len(seeds), initial=done, desc="translate", unit="pair", disable=not progress)
        for _ in translate(seeds, translator, store):
            bar.update()
        bar.close()
        wanted = {store.key(pair.query, pair.passage) for pair in seeds}
        if extra := len(store.keys - wanted):
            raise InputError(
                f"{output} holds {extra} translations of pairs that are not among the seeds: use another --output."
            )
        store.complete()
    counts = Counts()
    for outcome in read_outcomes(output):
        counts.reject(outcome.reason) if isinstance(outcome, Rejected) else counts.keep()
    for _ in range(len(seeds) - counts.rows):
        counts.reject("duplicate seed")
    return counts


def check_copies(pairs: Path, most: float) -> float:
    """Return the share of translations that are copies of their source, and log it.

    :raises InputError: when it is above `most`: a translator that gave up half way looks like success otherwise.
    """
    share = copied_share(outcome for outcome in read_outcomes(pairs) if isinstance(outcome, Pair))
    logger.info("translations that are copies of their source: %.1f%%", 100 * share)
    if share > most:
        raise InputError(
            f"{pairs} holds {share:.0%} translations that are copies of their source, more than the {most:.0%} that "
            "max_copied allows: check that the translator knows the language, and delete the file to translate again."
        )
    return share


@dataclass(frozen=True)
class DevSet:
    """Pairs that choose among models: never trained on, never reported as a result.

    :param own: in the language.
    :param english: the same pairs before translation; None where the pairs have no English side.
    """

    own: TestSet
    english: TestSet | None

    @classmethod
    def of(cls, pairs: Sequence[Pair], language: Language) -> Self:
        """Take one pair a passage.

        :raises InputError: when none is left, since nothing could be chosen then.
        """
        own = one_a_passage(pairs)
        english = one_a_passage([pair.in_english() for pair in pairs if pair.english_passage])
        if not own:
            raise InputError("There are too few pairs to set a dev split aside: give at least 20 pairs.")
        return cls(
            test_set_of_pairs("dev", language.code, own),
            test_set_of_pairs("dev, in English", "eng", english) if english else None,
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
    return [Triplet(pair.in_english() if english else pair, ()) for pair in pairs]
