"""A model folder that exists only when it is whole, with its prompts and its card."""

from collections.abc import Mapping
from pathlib import Path

from sentence_transformers import SentenceTransformer

from haystack_lrl.encoding.encoder import Role, set_prompts
from haystack_lrl.records.folders import writing_folder


def save_model(model: SentenceTransformer, folder: Path, prompts: Mapping[Role, str], card: str) -> None:
    """Save a model that plain `SentenceTransformer(folder)` loads, under a temporary name until it is complete.

    :param card: Markdown for the folder's README.md.
    """
    set_prompts(model, prompts)
    with writing_folder(folder) as partial:
        model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
        (partial / "README.md").write_text(card, encoding="utf-8")
