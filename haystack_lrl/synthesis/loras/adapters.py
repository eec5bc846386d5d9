"""The folder of a LoRA: what lies in it, and whether it fits the base model that it names."""

import contextlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.synthesis.chat import first_line

CONFIG, WEIGHTS, RECORD = "adapter_config.json", "adapter_model.safetensors", "generator.json"
ROLES = ("positive", "negative")

PREFIX = "base_model.model."  # what PEFT puts before the name that a layer has in the base


@dataclass(frozen=True)
class Adapter:
    """A LoRA as PEFT saves it.

    :param config: adapter_config.json.
    :param record: generator.json, in which this package says how it made the adapter; empty for one made elsewhere.
    """

    folder: Path
    config: Mapping[str, Any]
    record: Mapping[str, Any]

    @property
    def base(self) -> str:
        """Folder or hub id of the model that it belongs to."""
        return str(self.config.get("base_model_name_or_path"))

    @property
    def base_fingerprint(self) -> str:
        """What identified the base's content when the adapter was trained, empty where that was not recorded."""
        return str(self.record.get("base", {}).get("fingerprint", ""))


def require_peft() -> None:
    """Check that PEFT is there.

    :raises MissingExtraError: with the line that installs it.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError('LoRA adapters need PEFT: run pip install "haystack-lrl[lora]"')


def read_adapter(folder: Path) -> Adapter:
    """Read the description of an adapter, not its weights.

    :raises InputError: when the folder holds no LoRA.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} is not an adapter, it has no {CONFIG}: give what train-generator wrote.")
    config = _read_json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise InputError(f"{folder} is an adapter of type {config.get('peft_type')}, not a LoRA: train a LoRA.")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} has no {WEIGHTS}: fetch or train the adapter again, and save it as safetensors.")
    return Adapter(folder, config, _read_json(folder / RECORD) if (folder / RECORD).is_file() else {})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): fetch or train the adapter again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a JSON {type(content).__name__}, not an object: fetch or train it again.")
    return content


def layer_of(key: str) -> tuple[str, str]:
    """Return the layer that a tensor of an adapter belongs to, by its name in the base, and which factor it is, A or B.

    For what is no factor of a layer, the latter is something else.
    """
    layer, _, factor = key.removeprefix(PREFIX).rpartition(".lora_")
    return layer, factor.removesuffix(".weight")


def adapters_in(folder: Path) -> dict[str, Path]:
    """Return the folder itself under the name "", or its subfolders `positive` and `negative` under theirs.

    :raises InputError: when there is neither, or only one of the two.
    """
    if (folder / CONFIG).is_file():
        return {"": folder}
    for role in ROLES:
        if not (folder / role / CONFIG).is_file():
            raise InputError(
                f"{folder} has neither {CONFIG} nor {role}/{CONFIG}: give what train-generator wrote to its end."
            )
    return {role: folder / role for role in ROLES}


def finished(folder: Path, identity: str) -> dict[str, Any] | None:
    """Return the record of what was written there before, or None where nothing is.

    :param identity: of what is about to be written.
    :raises InputError: when something else is there: a path is never reused for other weights.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    record = _read_json(folder / RECORD) if (folder / RECORD).is_file() else {}
    if record.get("identity") != identity:
        raise InputError(f"{folder} holds something else already: give another --output, or delete it.")
    return record


def card(record: Mapping[str, Any]) -> str:
    """Return the model card in Markdown of the adapter with this record, for the folder's README.md."""
    facts = {name: record.get(name) for name in ("kind", "role", "language", "lambda")}
    facts |= {"base model": record["base"]["name"], **record["result"]}
    plain = {name: value for name, value in facts.items() if isinstance(value, (str, int, float))}
    table = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in plain.items())
    return (
        "---\nlibrary_name: peft\npipeline_tag: text-generation\n---\n\n"
        f"# A LoRA for {Path(record['base']['name']).name}\n\nMade by haystack-lrl; generator.json says all.\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        "```python\nfrom transformers import pipeline\n\n"
        'generator = pipeline("text-generation", model=FOLDER, tokenizer=FOLDER)\n```\n'
    )


def identify_base(base: str) -> str:
    """Return what changes with the base's content: a fingerprint of its folder, or the commit of a model on the hub.

    :raises InputError: when there is no such model.
    """
    from transformers.utils.hub import cached_file

    if Path(base).is_dir():
        return fingerprint(Path(base))
    with _explained(base):
        return Path(str(cached_file(base, "config.json"))).parent.name  # .../snapshots/COMMIT/config.json


@contextlib.contextmanager
def _explained(base: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"The base model {base} cannot be loaded ({first_line(error)}): put it where adapter_config.json says, "
            "or name there the folder or hub id where it is."
        ) from error


def check_adapter(folder: Path) -> Adapter:
    """Return an adapter that fits the base model that it names.

    :raises InputError: when it is no LoRA, its base is not there, has other shapes, or is not what it was trained on.
    :raises MissingExtraError: when PEFT is not installed.
    """
    require_peft()
    adapter = read_adapter(folder)
    layer = _misfit(adapter)
    if layer:
        raise InputError(
            f"{folder} does not fit its base model {adapter.base}, as its layer {layer} shows: "
            "give the base that it was trained on, or train it again."
        )
    if adapter.base_fingerprint and identify_base(adapter.base) != adapter.base_fingerprint:
        raise InputError(
            f"{folder} was trained on other weights than those that are now in its base model {adapter.base}: "
            "put those back, or train it again."
        )
    return adapter


def _misfit(adapter: Adapter) -> str | None:
    """Return a layer that the base does not have in the adapter's shape, without loading weights of either."""
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    with _explained(adapter.base):
        config = AutoConfig.from_pretrained(adapter.base)
    with torch.device("meta"):
        build: Any = AutoModelForCausalLM.from_config  # which has no types
        modules = dict(build(config).named_modules())
    with safe_open(adapter.folder / WEIGHTS, framework="pt") as weights:
        shapes = {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118 - no mapping
    for key, shape in shapes.items():
        layer, factor = layer_of(key)
        side = {"A": 1, "B": 0}.get(factor)
        if side is None or adapter.config.get("target_parameters"):  # those are no layers of their own
            continue
        weight = getattr(modules.get(layer), "weight", None)
        across = side if type(modules.get(layer)).__name__ != "Conv1D" else 1 - side  # which is stored transposed
        if weight is None or weight.shape[across] != shape[side]:
            return layer
    return None
