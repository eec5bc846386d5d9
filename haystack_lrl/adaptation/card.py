"""The model card: base, data, filters, recipe, results and limits."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import yaml


def model_card(
    recipe: Mapping[str, Any], manifest: Mapping[str, Any], what: str, metrics: Mapping[str, Any] | None
) -> str:
    """Return the Markdown of a saved model's README.md.

    :param recipe: the resolved recipe as a tree.
    :param manifest: what manifest.json holds.
    :param what: what was done to the weights, in a few words.
    :param metrics: what metrics.json holds, or None where the model is not measured yet.
    """
    source = resources.files("haystack_lrl.adaptation").joinpath("card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    recipe_yaml = yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True)
    return environment.from_string(source).render(
        recipe=recipe, recipe_yaml=recipe_yaml, manifest=manifest, what=what, metrics=metrics
    )
