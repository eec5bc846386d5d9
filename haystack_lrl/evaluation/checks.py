"""What must hold of vectors before a number is computed from them."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.records.errors import InputError


def check_vectors(model: str, queries: Vectors, documents: Vectors) -> None:
    """Refuse vectors from which no ranking can be made.

    :param model: what the error calls the model.
    :param queries: shape (queries, dimensions).
    :param documents: shape (documents, dimensions).
    :raises InputError: where the dimensions differ, and with the row of a vector that is nan or infinite.
    """
    if queries.shape[1] != documents.shape[1]:
        raise InputError(
            f"{model} gave queries {queries.shape[1]} dimensions but documents {documents.shape[1]}: "
            "encode both with the same model."
        )
    for name, vectors in (("query", queries), ("document", documents)):
        bad = np.flatnonzero(~np.isfinite(vectors.sum(axis=1)))
        if bad.size:
            raise InputError(
                f"{model} gave {name} {bad[0] + 1} of {len(vectors)}, and {bad.size - 1} more, a vector with nan or "
                "infinity: load the model in fp32, or look for what broke its weights."
            )


def check_dimensions(path: Path, dimensions: Mapping[str, int]) -> None:
    """Refuse to write a comparison over one in which a system of the same name had vectors of another dimension.

    :param path: the comparison.json that would be replaced; nothing is checked where there is none.
    :param dimensions: by the system's name.
    :raises InputError: when a dimension changed.
    """
    if not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["dimensions"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a comparison ({error!r}): give another --output.") from error
    for name, now in dimensions.items():
        if before.get(name, now) != now:
            raise InputError(
                f"{path} measured {name} with {before[name]} dimensions, but it now has {now}: it is another model, so "
                "give it another name or the comparison another --output."
            )
