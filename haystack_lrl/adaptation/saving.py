"""A model folder that exists only when it is whole, with its prompts and its card."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sentence_transformers import SentenceTransformer

from haystack_lrl.encoding.encoder import Role, set_prompts
from haystack_lrl.records.jsonl import sync_folder


def save_model(model: SentenceTransformer, folder: Path, prompts: Mapping[Role, str], card: str) -> None:
    """Save a model that plain `SentenceTransformer(folder)` loads, under a temporary name until it is complete.

    :param card: Markdown for the folder's README.md.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    set_prompts(model, prompts)
    model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
    (partial / "README.md").write_text(card, encoding="utf-8")
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    sync_folder(folder.parent)
