"""The LoRAs of a model that writes triplets: trained, and composed for another language."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.synthesis.loras.settings import Kind


@click.command("train-generator")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["task", "language", "xl-lora"]),
    help="What to learn: the task in one language, a language, or the task from other languages into English.",
)
@options.model_option("--model", help="The language model.")
@click.option(
    "--rows",
    required=True,
    metavar="FILE_OR_HUB_ID",
    help="JSONL or CSV file, or a data set (ID or ID#CONFIGURATION): anchor, positive, negative and optionally "
    "language; for --kind language text, or prompt and completion.",
)
@options.folder_option(
    "--output", help="Where the adapters positive and negative go; for --kind language the one adapter itself."
)
@click.option(
    "--language",
    metavar="CODE",
    help="ISO 639-3 code of the texts, or of the anchors whose rows do not say it; for --kind task English by default.",
)
@options.folder_option(
    "--prompts",
    required=False,
    help="positive.txt and negative.txt of your own; what generates must be given the same.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any setting of the training, such as rank=16, epochs=1 or max_length=1024.",
)
@options.quiet_option
def train_generator_command(
    kind: "Kind",
    model: str,
    rows: str,
    output: Path,
    language: str | None,
    prompts: Path | None,
    assignments: tuple[str, ...],
    *,
    quiet: bool,
) -> None:
    """Train LoRAs of a language model; a tenth of the rows is set aside to show what they learnt."""
    from haystack_lrl.recipe import set_values, validated
    from haystack_lrl.synthesis.loras.generator import train_generator
    from haystack_lrl.synthesis.loras.settings import LoraSettings

    settings = validated(LoraSettings, set_values({}, assignments), "The command line")
    results = train_generator(
        kind, model, rows, output, settings, language=language, prompts=prompts, progress=not quiet
    )
    click.echo(json.dumps({name: result.to_json() for name, result in results.items()}))


@click.command("compose-adapters")
@options.folder_option("--task", help="What train-generator --kind task wrote, or one adapter.")
@options.folder_option("--language", help="Adapter of the target language.")
@options.folder_option("--source-language", help="Adapter of the language that the task was learnt in: English.")
@click.option(
    "--lambda", "weight", default=1.0, show_default=True, help="How much of the way between the languages to go."
)
@click.option("--rank", type=int, help="Rank of the result, the task adapter's by default.")
@options.folder_option("--output", help="Where the result goes.")
def compose_adapters_command(
    task: Path, language: Path, source_language: Path, weight: float, rank: int | None, output: Path
) -> None:
    """Compose task + lambda * (language - source language), and say what cutting to the rank lost."""
    from haystack_lrl.synthesis.loras.composition import compose_adapters

    results = compose_adapters(task, language, source_language, output, weight=weight, rank=rank)
    click.echo(json.dumps({name or "adapter": result.to_json() for name, result in results.items()}))
