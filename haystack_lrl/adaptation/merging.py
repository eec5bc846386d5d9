"""Averaging of base and adapted weights (WiSE-FT, arXiv 2109.01903; Less is More, arXiv 2603.22290)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.settings import MergeSettings
from haystack_lrl.records.errors import InputError

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class MergePoint:
    """What a share of the adapted weights gives on the dev pairs, in nDCG@10, in the language and in English."""

    weight: float
    dev: float
    english: float


@dataclass(frozen=True)
class MergeResult:
    """The points that were tried, 0 (the base) first, and the share that was taken."""

    chosen: float
    points: tuple[MergePoint, ...]
    english_floor: float

    def to_json(self) -> dict[str, Any]:
        """Return the curve as metrics.json holds it."""
        points = [{"weight": p.weight, "dev": p.dev, "english": p.english} for p in self.points]
        return {"chosen": self.chosen, "points": points, "english_floor": self.english_floor}


def copy_state(model: SentenceTransformer) -> dict[str, torch.Tensor]:
    """Return a copy of the weights on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def interpolate(base: State, adapted: State, weight: float) -> dict[str, torch.Tensor]:
    """Return (1 - weight) base + weight adapted, tensor by tensor; whole-number tensors stay the base's.

    :raises InputError: when the two are not of one architecture.
    """
    if base.keys() != adapted.keys() or any(base[name].shape != adapted[name].shape for name in base):
        raise InputError("The base and the adapted model differ in architecture: merge a model with its own base.")
    return {
        name: torch.lerp(base[name], adapted[name], weight) if base[name].is_floating_point() else base[name]
        for name in base
    }


def differs(base: State, adapted: State) -> bool:
    """Tell whether any weight changed, or the two are not even of one architecture."""
    return base.keys() != adapted.keys() or any(not torch.equal(base[name], adapted[name]) for name in base)


def choose_weight(
    model: SentenceTransformer,
    base: State,
    adapted: State,
    settings: MergeSettings,
    measure: Callable[[], tuple[float, float]],
) -> MergeResult:
    """Try every weight on the dev pairs and leave the model with the best one.

    :param model: is loaded with each merge in turn, and with the chosen one at the end.
    :param measure: returns nDCG@10 of the model as it stands on the dev pairs, in the language and in English.
    :raises InputError: when the adapted model is equal to its base, or of another architecture.
    """
    if not differs(base, adapted):
        raise InputError("The adapted model is equal to its base: raise training.learning_rate or training.epochs.")
    points = []
    for weight in (0.0, *sorted(settings.weights)):
        model.load_state_dict(interpolate(base, adapted, weight))
        points.append(MergePoint(weight, *measure()))
    floor = points[0].english - settings.english_drop
    allowed = [point for point in points[1:] if point.english >= floor] or points[1:2]
    chosen = max(allowed, key=lambda point: point.dev).weight
    model.load_state_dict(interpolate(base, adapted, chosen))
    return MergeResult(chosen, tuple(points), floor)
