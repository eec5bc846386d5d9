"""Composition of LoRAs: a task in one language, and the way to another language (AdaMergeX, arXiv 2402.18913).

The paper composes the factors element by element. These are defined only up to an invertible matrix between them, so
here the product is composed, which is what an adapter adds to a layer's weight:
`BA(task, target) = BA(task, source) + lambda * (BA(language, target) - BA(language, source))`.
"""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.records.folders import writing_folder
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.records.store import settings_hash
from haystack_lrl.synthesis.loras.adapters import (
    CONFIG,
    PREFIX,
    RECORD,
    WEIGHTS,
    Adapter,
    adapters_in,
    card,
    finished,
    require_peft,
)
from haystack_lrl.synthesis.loras.composable import Layers, check_same_base, composable, layers_of
from haystack_lrl.synthesis.loras.factors import Factors, combine, shorten

_TOKENIZER_FILES = {".json", ".jinja", ".model", ".txt"}


@dataclass(frozen=True)
class Composition:
    """What was composed.

    :param rank: of the composed adapter.
    :param error: what cutting to this rank lost in all layers together, relative to the whole (Frobenius norm).
    :param layers: the same by layer.
    """

    rank: int
    error: float
    layers: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return rank, error, and the layer that lost most."""
        worst = max(self.layers, key=lambda layer: self.layers[layer])
        return {"rank": self.rank, "error": self.error, "worst_layer": worst, "worst_error": self.layers[worst]}


def compose_adapters(
    task: Path, language: Path, source_language: Path, output: Path, *, weight: float = 1.0, rank: int | None = None
) -> dict[str, Composition]:
    """Compose a task adapter for a language in which the task was never seen.

    :param task: an adapter, or the folder of the adapters `positive` and `negative`, each of which is composed.
    :param language: the adapter of the target language.
    :param source_language: the adapter of the language that the task was learnt in.
    :param weight: lambda; 0 returns the task adapter.
    :param rank: of the composed adapters; the highest of the task adapter's layers by default.
    :return: by the task adapters' names; the name of a lone one is "".
    :raises InputError: for adapters that cannot be composed, and for a path that holds something else.
    :raises MissingExtraError: when PEFT is not installed.
    """
    require_peft()
    if not (math.isfinite(weight) and weight >= 0):
        raise InputError(f"lambda is {weight}, but must be a number of at least 0.")
    if rank is not None and rank < 1:
        raise InputError(f"The rank is {rank}, but must be at least 1.")
    tasks = {role: composable(folder, of_language=False) for role, folder in adapters_in(task).items()}
    target, source = (composable(folder, of_language=True) for folder in (language, source_language))
    for other in (*tasks.values(), source):
        check_same_base(target, other)
    return {role: _compose(adapter, target, source, output / role, weight, rank) for role, adapter in tasks.items()}


def _compose(
    task: Adapter, target: Adapter, source: Adapter, output: Path, weight: float, rank: int | None
) -> Composition:
    """Compose and save one adapter, unless it is there already."""
    parts = {"task": task, "language": target, "source_language": source}
    record: dict[str, Any] = {
        "version": 1,
        "kind": "composed",
        "role": task.record.get("role"),
        "language": target.record.get("language"),
        "base": task.record.get("base") or target.record.get("base") or {"name": task.base},
        "prompt": task.record.get("prompt"),
        "parts": {name: fingerprint(adapter.folder) for name, adapter in parts.items()},
        "lambda": weight,
    }
    identity = settings_hash({**record, "rank": rank})
    earlier = finished(output, identity)
    if earlier:
        return Composition(**earlier["result"])
    weighted = [(1.0, task), *((sign * weight, adapter) for sign, adapter in ((1, target), (-1, source)) if weight)]
    layers = [(share, adapter.folder, layers_of(adapter)) for share, adapter in weighted]
    summed, own = _sums(layers), layers[0][2]
    rank = rank or max(factors.rank for factors in own.values())
    shortened = {layer: shorten(whole, rank) for layer, whole in summed.items()}
    composition = Composition(
        rank,
        _share(((lost, norm) for _, lost, norm in shortened.values())),
        {layer: _share([(lost, norm)]) for layer, (_, lost, norm) in shortened.items()},
    )
    same_layers = own.keys() == summed.keys()
    config = _config(task, rank, None if same_layers else sorted(summed))
    record |= {"identity": identity, "result": asdict(composition)}
    _save(output, task, {layer: short for layer, (short, _, _) in shortened.items()}, config, record)
    return composition


def _share(norms: Iterable[tuple[float, float]]) -> float:
    """Return the norm of what is lost in some layers, relative to that of the whole."""
    lost, whole = (math.hypot(*column) for column in zip(*norms, strict=True))
    return lost / whole if whole else 0.0


def _sums(parts: Sequence[tuple[float, Path, Layers]]) -> dict[str, Factors]:
    """Return the weighted sum of each layer; one that an adapter does not have counts as zero there.

    :raises InputError: for a layer that has different shapes.
    """
    sums = {}
    for layer in dict.fromkeys(layer for _, _, layers in parts for layer in layers):
        found = [(share, folder, layers[layer]) for share, folder, layers in parts if layer in layers]
        first = found[0]
        for _, folder, factors in found:
            if factors.shape != first[2].shape:
                raise InputError(
                    f"{first[1]} and {folder} have the layer {layer} in the shapes {first[2].shape} and "
                    f"{factors.shape}: train them on the same base model."
                )
        sums[layer] = combine([(share, factors) for share, _, factors in found])
    return sums


def _config(task: Adapter, rank: int, layers: Sequence[str] | None) -> dict[str, Any]:
    """Return the adapter_config.json of a composed adapter, in which the scaling is 1.

    :param layers: their names, where they are not those of the task adapter.
    """
    config = {**task.config, "r": rank, "lora_alpha": rank, "use_rslora": False, "rank_pattern": {}}
    config |= {"alpha_pattern": {}, "init_lora_weights": True, "inference_mode": True}
    if layers is not None:
        anywhere = dict.fromkeys(("exclude_modules", "layers_to_transform", "layers_pattern"))
        config |= {**anywhere, "target_modules": list(layers)}
    return config


def _save(folder: Path, task: Adapter, layers: Layers, config: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Write a PEFT folder with the task adapter's tokenizer and chat template."""
    tensors = {}
    for layer, factors in layers.items():
        for name, factor in (("A", factors.right), ("B", factors.left)):
            tensors[f"{PREFIX}{layer}.lora_{name}.weight"] = factor.float().contiguous()
    with writing_folder(folder) as partial:
        for path in task.folder.iterdir():
            if path.suffix in _TOKENIZER_FILES and path.name not in {CONFIG, RECORD}:
                shutil.copyfile(path, partial / path.name)
        save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
        write_json(partial / CONFIG, config)
        write_json(partial / RECORD, record)
        (partial / "README.md").write_text(card(record), encoding="utf-8")
