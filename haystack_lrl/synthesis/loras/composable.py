"""Adapters that can be composed: those that change their base by the product of two factors a layer, and no more."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.loras.adapters import WEIGHTS, Adapter, layer_of, read_adapter
from haystack_lrl.synthesis.loras.factors import Factors

Layers = Mapping[str, Factors]

# what may differ from PEFT's defaults in an adapter whose change of the base is its scaled product and no more
_HANDLED = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "exclude_modules", "fan_in_fan_out", "inference_mode",
    "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout", "peft_type", "peft_version", "r",
    "rank_pattern", "revision", "target_modules", "task_type", "use_rslora",
}  # fmt: skip
_PLAIN_STARTS = {True, False, "gaussian", "orthogonal"}  # first weights that leave the base as it is


def composable(folder: Path, *, of_language: bool) -> Adapter:
    """Read an adapter and check that it can be composed.

    :param of_language: whether it shall be a language adapter, or one of a task.
    :raises InputError: for DoRA, biases, whole modules and the like, and for an adapter of the wrong kind.
    """
    from peft import LoraConfig

    adapter = read_adapter(folder)
    defaults = vars(LoraConfig())
    for name, value in adapter.config.items():
        plain = name in _HANDLED or not value or value == defaults.get(name)
        if name == "init_lora_weights":
            plain = value in _PLAIN_STARTS
        if not plain:
            raise InputError(
                f"{folder} has {name} = {value!r:.40}, so what it changes in its base is not the product BA alone and "
                "cannot be composed: train it without that."
            )
    kind = adapter.record.get("kind")
    if kind and (kind == "language") != of_language:
        wanted = "a language adapter" if of_language else "the adapter of a task"
        raise InputError(f"{folder} is an adapter of kind {kind}, where {wanted} belongs: exchange the folders.")
    return adapter


def check_same_base(one: Adapter, other: Adapter) -> None:
    """Compare the bases of two adapters: by content where both recorded it, otherwise by name and revision.

    :raises InputError: when they differ.
    """
    names = [(adapter.base, adapter.config.get("revision")) for adapter in (one, other)]
    prints = [adapter.base_fingerprint for adapter in (one, other)]
    same = prints[0] == prints[1] if all(prints) else names[0] == names[1]
    if not same:
        raise InputError(
            f"{one.folder} and {other.folder} belong to different base models, {one.base} and {other.base}, or to "
            "different weights of one: train them on the same."
        )


def layers_of(adapter: Adapter) -> dict[str, Factors]:
    """Return the factors of every layer, the left ones with the scaling that PEFT applies.

    :raises InputError: for tensors that are no factors of linear layers, such as embeddings, or none at all.
    """
    from peft.utils.other import get_pattern_key

    halves: dict[str, dict[str, Any]] = {}
    for key, tensor in load_file(adapter.folder / WEIGHTS).items():
        layer, factor = layer_of(key)
        if factor not in {"A", "B"} or tensor.ndim != 2:
            raise InputError(
                f"{adapter.folder} holds {key}, which is no factor of a linear layer and cannot be composed: "
                "train it on linear layers alone."
            )
        halves.setdefault(layer, {})[factor] = tensor
    if not halves or any(len(half) < 2 or half["A"].shape[0] != half["B"].shape[1] for half in halves.values()):
        raise InputError(f"{adapter.folder}/{WEIGHTS} is not whole: fetch or train the adapter again.")
    alphas: dict[str, float] = adapter.config.get("alpha_pattern") or {}
    layers = {}
    for layer, half in halves.items():
        alpha: float = alphas.get(get_pattern_key(list(alphas), layer), adapter.config["lora_alpha"])
        rank = half["A"].shape[0]  # which rank_pattern may have made another than r
        scaling = alpha / (math.sqrt(rank) if adapter.config.get("use_rslora") else float(rank))
        layers[layer] = Factors(scaling * half["B"].double(), half["A"].double())
    return layers
