"""The settings of training and merging; the defaults are those of the benchmark in eval/README.md."""

from dataclasses import dataclass
from typing import Literal

from haystack_lrl.encoding.hardware import Precision


@dataclass(frozen=True)
class TrainingSettings:
    """How the base model is trained on the pairs.

    :param path: `fast` leaves dropout out, reads `max_length` tokens, sorts rows of like length together and takes
        one forward pass where a batch fits; `stock` is sentence-transformers' trainer with the library's defaults
        at the same batch size, for comparison.
    :param epochs: passes over the pairs.
    :param learning_rate: highest rate, falling linearly to zero.
    :param warmup: share of the steps in which the rate rises.
    :param batch_size: pairs a step, each passage being a negative for the other queries.
    :param mini_batch_size: pairs a forward pass; below `batch_size` the loss caches gradients (GradCache,
        arXiv 2101.06983): the same result in less memory and more time.
    :param max_length: tokens of each text that training reads; the saved model keeps its own length.
    :param scale: inverse temperature of the softmax.
    :param symmetric: rank queries by passage as well as passages by query.
    :param weight_decay: of AdamW.
    :param precision: `auto` is bf16 where the hardware has it.
    :param evaluations: how often nDCG@10 on the dev pairs is measured.
    :param patience: evaluations without a better one after which training stops.
    """

    path: Literal["fast", "stock"] = "fast"
    epochs: int = 1
    learning_rate: float = 2e-4
    warmup: float = 0.1
    batch_size: int = 64
    mini_batch_size: int = 64
    max_length: int = 64
    scale: float = 20.0
    symmetric: bool = True
    weight_decay: float = 0.01
    precision: Precision = "auto"
    evaluations: int = 4
    patience: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate", "batch_size", "mini_batch_size", "max_length", "scale", "evaluations"):
            if getattr(self, name) <= 0:
                raise ValueError(f"training.{name} is {getattr(self, name)}, but must be above 0")
        if self.batch_size < 2:
            raise ValueError("training.batch_size is 1, but in-batch negatives need at least 2 pairs a batch")


@dataclass(frozen=True)
class MergeSettings:
    """How base and adapted weights are averaged (WiSE-FT, arXiv 2109.01903).

    :param weights: shares of the adapted weights to try; the best on the dev pairs is taken.
    :param english_drop: how far nDCG@10 on English pairs that were not trained on may fall below the base; weights
        that fall further are taken only when all do, and then the lowest. The package's own pairs, which stand in for
        English, are easy: where they lost 0.3 points, harder English (XQuAD) lost less than half a point.
    """

    weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    english_drop: float = 0.003

    def __post_init__(self) -> None:
        if not self.weights or not all(0 < weight <= 1 for weight in self.weights):
            raise ValueError(f"merge.weights is {list(self.weights)}, but must hold numbers above 0 and up to 1")
