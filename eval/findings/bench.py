"""What the findings share: pairs, test sets, and models that are made once for all claims.

A seed draws the pairs, their order in training and the batches, so that three seeds tell how much all of them matter
together. Every arm is measured on documents cut as the model cuts them, on English that it must not forget, and on
finding the English translations of sentences. The merge weight is fixed: no arm is favoured by a choice on dev pairs.
"""

import argparse
import functools
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MSELoss

from haystack_lrl.adaptation.merging import copy_state, merged_state
from haystack_lrl.adaptation.settings import TrainingSettings
from haystack_lrl.adaptation.training import train
from haystack_lrl.adaptation.vocabulary.growing import grow_vocabulary
from haystack_lrl.curation.split import split_pairs
from haystack_lrl.encoding.encoder import Role, SentenceEncoder, load_model
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.records.lexicon import read_parallel
from haystack_lrl.records.pair import Pair, Triplet, read_pairs

CODE = "epo"
PAIRS = 1_000
WEIGHT = 0.5
_LENGTH = 128  # tokens of a document: half of what the model reads, for half of the time
NO_PROMPTS: Mapping[Role, str] = {"query": "", "passage": ""}
Values = NDArray[np.floating[Any]]
Rows = Callable[[Sequence[Pair], int], list[Triplet]]


def in_language(pairs: Sequence[Pair], seed: int) -> list[Triplet]:  # noqa: ARG001 - one signature for all
    """Return the translated pairs as training rows."""
    return [Triplet(pair, ()) for pair in pairs]


def as_they_are(pairs: Sequence[Pair], seed: int) -> list[Pair]:  # noqa: ARG001 - one signature for all
    """Return the pairs."""
    return list(pairs)


@dataclass(frozen=True)
class Arm:
    """How one system is made.

    :param pairs: how many translated pairs a seed draws.
    :param taken: which pairs are drawn from; the words that are added are those of all kinds of pairs.
    :param prepared: changes the pairs before anything reads them: noise.
    :param grown: whether words of the language, aligned out of the prepared pairs, are added first.
    :param rows: the training rows that the pairs become; None leaves training out.
    :param distilled: learns to give the translated sides the vectors that the base gives the English ones, instead of
        telling passages apart.
    :param settings: what differs from the default training.
    :param weight: share of the trained weights.
    :param trained_as: name of the training that arms of several weights share.
    """

    pairs: int = PAIRS
    taken: Callable[[Pair], bool] = bool
    prepared: Callable[[Sequence[Pair], int], list[Pair]] = as_they_are
    grown: bool = True
    rows: Rows | None = in_language
    distilled: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[Role, str] = field(default_factory=lambda: NO_PROMPTS)
    weight: float = WEIGHT
    trained_as: str = ""


class Bench:
    """Makes and measures arms; what was measured before is read from the work folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.base_model, self.work = str(options.base_model), Path(options.work)
        self.seeds: list[int] = options.training_seeds
        self.train = split_pairs(read_pairs(Path(options.pairs)), dev=300, held_out=0, seed=13).train
        self.own = load_test_set(Path(options.test_set), CODE)
        self.english = load_test_set(Path(options.retention), "eng")
        self.parallel = list(read_parallel(Path(options.parallel), CODE))
        self.work.mkdir(parents=True, exist_ok=True)

    def base(self) -> dict[str, Values]:
        """Measure the encoder as it came."""
        return self._kept("base", lambda: self._measure(self._loaded(), NO_PROMPTS))

    def measured(self, name: str, arm: Arm) -> list[dict[str, Values]]:
        """Return every measure of an arm, per query, for each seed."""
        return [self._kept(f"{name}-{seed}", functools.partial(self._made, name, arm, seed)) for seed in self.seeds]

    def _kept(self, name: str, make: Callable[[], dict[str, Values]]) -> dict[str, Values]:
        file = self.work / f"{name}.npz"
        if not file.is_file():
            start = time.monotonic()
            np.savez(file, **make())  # type: ignore[arg-type]
            print(name, f"{time.monotonic() - start:.0f} s", flush=True)
        found = dict(np.load(file))
        print(name, {kind: round(float(values.mean()), 4) for kind, values in found.items()}, flush=True)
        return found

    def _loaded(self) -> SentenceTransformer:
        return load_model(self.base_model, device="cpu")

    def _made(self, name: str, arm: Arm, seed: int) -> dict[str, Values]:
        drawn = [pair for pair in self.train if arm.taken(pair)]
        random.Random(seed).shuffle(drawn)
        pairs = arm.prepared(drawn[: arm.pairs], seed)
        if len(pairs) < min(arm.pairs, len(self.train)):
            raise SystemExit(f"There are only {len(pairs)} pairs for {name}: lower its number.")
        model = self._loaded()
        if arm.grown:
            taught = pairs if arm.taken is bool else random.Random(seed).sample(self.train, arm.pairs)
            model, _ = grow_vocabulary(model, taught)
        if arm.rows is not None:
            start = copy_state(model)
            if arm.distilled:
                trained = self._distilled(model, pairs, seed)
            else:
                trained = self._trained(model, arm.rows(pairs, seed), arm, f"{arm.trained_as or name}-{seed}", seed)
            model.load_state_dict(merged_state(start, trained, arm.weight))
        return self._measure(model, arm.prompts)

    def _trained(
        self, model: SentenceTransformer, rows: list[Triplet], arm: Arm, name: str, seed: int
    ) -> Mapping[str, torch.Tensor]:
        """Train the model in place, or read what an arm of another weight trained."""
        weights = self.work / f"{name}.safetensors"
        if arm.trained_as and weights.is_file():
            return load_file(weights)
        train(
            model,
            rows,
            arm.prompts,
            TrainingSettings(evaluations=1, **arm.settings),
            checkpoints=self.work / "checkpoints" / name,
            seed=seed,
            dev_ndcg=lambda: 0.0,  # nothing is chosen
            progress=False,
        )
        shutil.rmtree(self.work / "checkpoints" / name)
        trained = copy_state(model)
        if arm.trained_as:
            save_file(trained, weights)
        return trained

    def _distilled(self, model: SentenceTransformer, pairs: Sequence[Pair], seed: int) -> Mapping[str, torch.Tensor]:
        """Train with the mean squared error to the base's vectors, at the texts a step and the rate of the default."""
        usual = TrainingSettings()
        teacher = SentenceEncoder(self._loaded(), max_length=usual.max_length)
        english = [text for pair in pairs for text in (pair.english_query, pair.english_passage)]
        texts = [text for pair in pairs for text in (pair.query, pair.passage)]
        rows = Dataset.from_dict({"sentence": texts, "label": list(teacher.encode(english, "passage"))})
        own_length, model.max_seq_length = model.max_seq_length, usual.max_length
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        arguments = SentenceTransformerTrainingArguments(
            str(self.work / "checkpoints"),
            per_device_train_batch_size=2 * usual.batch_size,
            learning_rate=usual.learning_rate,
            warmup_steps=usual.warmup,
            num_train_epochs=1,
            bf16=teacher.bf16,
            use_cpu=True,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=MSELoss(model)).train()
        model.max_seq_length = own_length
        model.eval()
        return copy_state(model)

    def _measure(self, model: SentenceTransformer, prompts: Mapping[Role, str]) -> dict[str, Values]:
        encoder = SentenceEncoder(model, prompts=prompts, max_length=_LENGTH)
        runs = {
            "nDCG@10": (self.own, dense_run(self.own, encoder, split=False).run),
            "English nDCG@10": (self.english, dense_run(self.english, encoder, split=False).run),
        }
        found = {name: measure(test_set, run)[PRIMARY] for name, (test_set, run) in runs.items()}
        sentences = encoder.encode([pair.passage for pair in self.parallel], "query")
        translations = encoder.encode([pair.english_passage for pair in self.parallel], "query")
        hits = (sentences @ translations.T).argmax(axis=1) == np.arange(len(self.parallel))
        others = (sentences @ sentences.sum(axis=0) - 1) / (len(sentences) - 1)
        return {**found, "accuracy@1": hits.astype(np.float64), "cosine of unrelated": others.astype(np.float64)}
