"""Which vectors a model makes: what two indices must agree on to be one."""

import json
from dataclasses import dataclass
from pathlib import Path

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import fingerprint

_DIMENSIONS = ("out_features", "embedding_dimension", "word_embedding_dimension")


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """Which model the vectors of an index come from.

    :param fingerprint: of the model's files, as `haystack_lrl.records.fingerprint` has it.
    :param dimension: numbers in a vector.
    """

    fingerprint: str
    dimension: int


def vector_space(model: Path) -> VectorSpace:
    """Read from a SentenceTransformer's folder which vectors it makes, without loading it.

    :raises InputError: when the folder is not a SentenceTransformer, or does not say its dimension.
    """
    modules = model / "modules.json"
    if not modules.is_file():
        raise InputError(f"{model} is not a SentenceTransformer's folder: it has no modules.json.")
    dimension = 0
    for module in json.loads(modules.read_text(encoding="utf-8")):
        config = model / module["path"] / "config.json"
        if module["path"] and config.is_file():
            known = json.loads(config.read_text(encoding="utf-8"))
            dimension = next((known[name] for name in _DIMENSIONS if name in known), dimension)
    if not dimension:
        raise InputError(f"{model} does not say how long its vectors are: give a VectorSpace in place of the folder.")
    return VectorSpace(fingerprint(model), dimension)
