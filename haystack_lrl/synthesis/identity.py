"""What identifies a model: the content of its files, the name that its server reports, its settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from haystack_lrl.records.fingerprint import fingerprint

if TYPE_CHECKING:
    from haystack.components.generators.chat.types import ChatGenerator

# settings of a generator that change no answer: raising a timeout must not cost the rows made before
_NEUTRAL = {"api_key", "token", "timeout", "max_retries", "http_client_kwargs", "streaming_callback"}


def weights(path: Path) -> dict[str, str]:
    """Return name and content hash of a model on this machine: moving it changes nothing, retraining it does."""
    return {"model": path.name, "weights": fingerprint(path)}


def serialised(generator: "ChatGenerator") -> dict[str, Any]:
    """Return type and parameters of a generator, which hold the names of keys and never the keys.

    A parameter that is the path of a model here counts as that model's content.
    """
    from haystack.core.serialization import component_to_dict

    row = component_to_dict(generator, "generator")
    parameters = {name: value for name, value in row["init_parameters"].items() if name not in _NEUTRAL}
    model = parameters.get("model")
    if isinstance(model, str) and Path(model).exists():
        parameters["model"] = weights(Path(model))
    return {"type": row["type"], "init_parameters": parameters}
