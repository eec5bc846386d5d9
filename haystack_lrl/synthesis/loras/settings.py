"""The settings of a generator's LoRA, and what its training gave."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["task", "language", "xl-lora"]


@dataclass(frozen=True)
class LoraSettings:
    """How an adapter is trained; the defaults are those of arXiv 2603.01732.

    :param rank: of the factors B and A, whose product is what the adapter adds to a layer.
    :param alpha: the product is multiplied by alpha / rank.
    :param dropout: share of a layer's inputs that the adapter does not see in training.
    :param target_modules: names of the layers to adapt; `all-linear` is every linear layer that text goes through.
    :param learning_rate: constant after the warm-up.
    :param warmup: share of the steps in which the rate rises.
    :param max_grad_norm: longer gradients are shortened to this norm.
    :param batch_size: examples in one forward pass.
    :param accumulation: forward passes a step.
    :param epochs: passes over the examples.
    :param max_length: tokens; an example with more, answer included, is rejected and never cut.
    :param max_rows: most examples to train on and hold out.
    :param held_out: most examples to measure the loss on; at most a tenth.
    :param quantise: keep the base in four bits where CUDA and bitsandbytes are there.
    :param seed: of choice, split, order and first weights.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    learning_rate: float = 2e-4
    warmup: float = 0.03
    max_grad_norm: float = 0.3
    batch_size: int = 16
    accumulation: int = 4
    epochs: int = 3
    max_length: int = 512
    max_rows: int = 10_000
    held_out: int = 500
    quantise: bool = True
    seed: int = 13

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "learning_rate", "max_grad_norm", "batch_size", "accumulation", "epochs"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be above 0")
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be at least 0 and below 1")
        for name, least in (("max_length", 2), ("max_rows", 2), ("held_out", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be at least {least}")


@dataclass(frozen=True)
class LoraResult:
    """What became of one adapter.

    :param rows: the counts of its rows; kept are those trained on or held out.
    :param held_out: examples that the losses were measured on.
    :param loss_before: negative log-likelihood of a learnt token without the adapter, the mean over held-out examples.
    :param loss_after: the same with the adapter.
    :param seconds: of training, without what was trained before an interruption.
    :param base: what identifies the base's content.
    """

    rows: Mapping[str, Any]
    held_out: int
    loss_before: float
    loss_after: float
    seconds: float
    steps: int
    base: str

    def to_json(self) -> dict[str, Any]:
        """Return the result as generator.json holds it."""
        return asdict(self)
