"""The stages one by one, over files."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.engine.settings import Engine


@click.command("filter")
@options.required_language_option
@options.source_option("--pairs", help="What translate wrote: a file, folder, glob or URL.")
@click.option(
    "--scorer", metavar="PATH_OR_HUB_ID", help="Model for the drift rules; without it only the text rules run."
)
@options.folder_option("--output", help="Where kept.jsonl and rejected.jsonl go.")
@options.set_option
@options.quiet_option
@options.engine_options
def filter_command(
    language: str,
    pairs: str,
    scorer: str | None,
    output: Path,
    assignments: tuple[str, ...],
    engine: "Engine | None",
    *,
    quiet: bool,
) -> None:
    """Split translated pairs into kept.jsonl and rejected.jsonl, each rejected pair with its reason."""
    from haystack_lrl.curation.filtering import filter_file
    from haystack_lrl.engine.encoding import EncoderSettings, encoder_on
    from haystack_lrl.languages.table import language as language_of

    settings = options.recipe_of(assignments, language=language).filter
    kept, rejected = output / "kept.jsonl", output / "rejected.jsonl"
    model = EncoderSettings(scorer, max_length=settings.max_length) if scorer else None
    with encoder_on(model, engine) if model else nullcontext() as encoder:
        counts = filter_file(pairs, kept, rejected, language_of(language), settings, encoder, progress=not quiet)
    click.echo(json.dumps(counts.to_json()))


@click.command("train")
@options.required_language_option
@options.input_option("--pairs", help="kept.jsonl, triplets.jsonl or pairs of your own.")
@options.model_option("--base-model")
@options.folder_option("--output", help="Where the model goes.")
@options.memory_option
@options.set_option
@options.quiet_option
def train_command(
    language: str,
    pairs: Path,
    base_model: str,
    output: Path,
    memory: str | None,
    assignments: tuple[str, ...],
    *,
    quiet: bool,
) -> None:
    """Train a base model on pairs; a tenth of the passages is set aside to choose the best step."""
    from haystack_lrl.files import train_file

    given = (f"training.memory={memory}", *assignments) if memory else assignments
    recipe = options.recipe_of(given, language=language, base_model=base_model)
    click.echo(json.dumps(train_file(pairs, output, recipe, progress=not quiet)))


@click.command("merge")
@options.required_language_option
@options.model_option("--base-model")
@options.folder_option(
    "--adapted", multiple=True, help="What train wrote; several, of other seeds, are averaged first."
)
@options.input_option("--pairs", help="The file that train read: its dev split chooses.")
@options.folder_option("--output", help="Where the merged model goes.")
@options.set_option
def merge_command(
    language: str, base_model: str, adapted: tuple[Path, ...], pairs: Path, output: Path, assignments: tuple[str, ...]
) -> None:
    """Average base and adapted weights; among several merge.weights the dev split chooses."""
    from haystack_lrl.files import merge_files

    result = merge_files(
        pairs, adapted, output, options.recipe_of(assignments, language=language, base_model=base_model)
    )
    click.echo(json.dumps(result.to_json()))
