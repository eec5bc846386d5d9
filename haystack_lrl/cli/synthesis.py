"""What makes training data: translations, questions about passages, triplets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.engine.settings import Engine
    from haystack_lrl.languages.gate import GateSettings
    from haystack_lrl.synthesis.jobs import Job

_output = click.option(
    "--output",
    metavar="FILE_OR_FOLDER/",
    help="Where the rows go, rejected ones too; with --engine ray also a folder or a URL, which gets shards.",
)
_MAKING = (
    options.folder_option(
        "--prompts",
        required=False,
        help="Prompts, styles and exemplars of your own; a file in it stands in for the package's of the same name.",
    ),
    click.option("--gate/--no-gate", default=True, show_default=True, help="Check each text for its language."),
    click.option("--timeout", default=600.0, show_default=True, help="Seconds without an answer that count as hung."),
    click.option(
        "--estimate", is_flag=True, help="Make 8 rows, print rows per minute, the time for all and tokens, and end."
    ),
    options.quiet_option,
    options.engine_options,
)


def _making_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_MAKING):
        command = option(command)
    return command


@click.command("translate")
@options.required_language_option
@options.source_option("--seeds", help="English pairs: JSONL or Parquet, a file, folder, glob or URL.")
@click.option(
    "--translator", required=True, metavar="SPEC", help="command:..., seq2seq:..., ct2:..., chat:... or file:..."
)
@_output
@click.option("--query-column", default="query", show_default=True)
@click.option("--passage-column", default="passage", show_default=True)
@click.option("--max-copied", default=0.2, show_default=True, help="Share of copies above which the command fails.")
@_making_options
def translate_command(
    language: str,
    seeds: str,
    translator: str,
    output: str | None,
    query_column: str,
    passage_column: str,
    max_copied: float,
    prompts: Path | None,
    timeout: float,
    engine: "Engine | None",
    *,
    gate: bool,
    estimate: bool,
    quiet: bool,
) -> None:
    """Translate English pairs; a killed run goes on where it stopped."""
    from haystack_lrl.languages.table import language as language_of
    from haystack_lrl.synthesis.jobs import Translation
    from haystack_lrl.synthesis.translation import check_copies

    code = language_of(language).code
    job = Translation(code, translator, timeout, _gate(gate), prompts, query_column, passage_column)
    if _done(job, seeds, output, engine, estimate=estimate, quiet=quiet):
        check_copies(str(output), max_copied)


@click.command("ask")
@options.required_language_option
@options.source_option("--passages", help="Rows with text, as in BEIR: JSONL or Parquet, a file, folder, glob or URL.")
@click.option("--passage-column", default="text", show_default=True)
@click.option(
    "--generator", required=True, metavar="SPEC", help="Server URL#MODEL, FILE.gguf, FOLDER or GENERATOR.yaml."
)
@_output
@click.option("--strategy", type=click.Choice(["sap", "plain"]), help="Summarise then ask (default), or ask at once.")
@click.option("--exemplars", type=int, metavar="N", help="Exemplars shown to the model, 0 to 5 (default 5).")
@click.option("--passage-language", metavar="CODE", help="Of the passages, such as eng; the same language by default.")
@click.option(
    "--style",
    "styles",
    multiple=True,
    metavar="NAME=WEIGHT",
    help="Kinds of queries and their shares: question, keyword, claim, title, long form. Default: questions only.",
)
@click.option("--per-passage", type=int, metavar="N", help="Queries about each passage (default 1).")
@click.option("--sample", type=int, metavar="N", help="Passages drawn uniformly (default all).")
@click.option("--seed", default=13, show_default=True, help="Of sampling and styles.")
@click.option("--recipe", metavar="NAME_OR_PATH", help="A recipe whose ask section holds the settings.")
@_making_options
def ask_command(
    language: str,
    passages: str,
    passage_column: str,
    generator: str,
    output: str | None,
    styles: tuple[str, ...],
    seed: int,
    recipe: str | None,
    prompts: Path | None,
    timeout: float,
    engine: "Engine | None",
    *,
    gate: bool,
    estimate: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the options that are settings of the same name
) -> None:
    """Ask questions about passages: (question, passage) pairs for training."""
    from haystack_lrl.languages.table import language as language_of
    from haystack_lrl.recipe import load_tree, validated
    from haystack_lrl.synthesis.asking import AskSettings
    from haystack_lrl.synthesis.jobs import Questions

    tree = dict(load_tree(recipe).get("ask") or {}) if recipe else {}
    tree |= {name: value for name, value in given.items() if value is not None}
    tree |= {"styles": options.style_weights(styles)} if styles else {}
    tree |= {"prompts": str(prompts)} if prompts else {}
    settings = validated(AskSettings, tree, recipe or "The command line")
    code = language_of(language).code
    job = Questions(code, _bare(generator), settings, timeout, _gate(gate), seed, passage_column)
    _done(job, passages, output, engine, estimate=estimate, quiet=quiet)


@click.command("triplets")
@options.required_language_option
@options.source_option("--anchors", help="Rows with text: JSONL or Parquet, a file, folder, glob or URL.")
@click.option("--anchor-column", default="text", show_default=True)
@click.option("--strategy", type=click.Choice(["icl", "composed", "xl-lora"]), default="icl", show_default=True)
@click.option("--generator", metavar="SPEC", help="One model for positives and negatives: see ask --help.")
@options.folder_option("--adapters", required=False, help="What train-generator or compose-adapters wrote.")
@click.option("--positive", metavar="SPEC", help="The model that writes positives.")
@click.option("--negative", metavar="SPEC", help="The model that writes negatives.")
@_output
@click.option("--exemplars", default=5, show_default=True, metavar="N", help="Exemplars that icl shows, 0 to 5.")
@_making_options
def triplets_command(
    language: str,
    anchors: str,
    anchor_column: str,
    strategy: str,
    output: str | None,
    exemplars: int,
    prompts: Path | None,
    timeout: float,
    engine: "Engine | None",
    *,
    gate: bool,
    estimate: bool,
    quiet: bool,
    **models: Any,  # noqa: ANN401 - generator, adapters, positive, negative
) -> None:
    """Write a positive and a hard negative for each anchor: triplets for training."""
    from haystack_lrl.languages.table import language as language_of
    from haystack_lrl.recipe import validated
    from haystack_lrl.synthesis.jobs import Triplets
    from haystack_lrl.synthesis.triplets import TripletSettings

    tree = {"strategy": strategy, "exemplars": exemplars, "prompts": str(prompts or "")}
    settings = validated(TripletSettings, tree, "The command line")
    positive, negative = _model_specs(**models)
    code = language_of(language).code
    second = _bare(negative) if negative else None
    job = Triplets(code, _bare(positive), second, settings, timeout, _gate(gate), anchor_column)
    _done(job, anchors, output, engine, estimate=estimate, quiet=quiet)


def _done(
    job: "Job[Any, Any]", source: str, output: str | None, engine: "Engine | None", *, estimate: bool, quiet: bool
) -> bool:
    """Do a job and print its counts, or print how long it will take and return False."""
    if estimate:
        click.echo(_estimated(job, source))
        return False
    if output is None:
        raise click.UsageError("Missing option '--output': name the file for the rows.")
    from haystack_lrl.engine.making import run_job

    counts, _ = run_job(job, source, output, engine, progress=not quiet)
    click.echo(json.dumps(counts.to_json()))
    return True


def _estimated(job: "Job[Any, Any]", source: str) -> str:
    """Make a few rows, and return how long all will take here."""
    from haystack_lrl.records.parts import read_rows
    from haystack_lrl.synthesis.making import estimate

    built = job.build()
    total = sum(1 for _ in map(job.record, read_rows(source)))
    items = job.items(map(job.record, read_rows(source)), total)
    return estimate(items, built.making, job.expected(total), built.usage)


def _gate(wanted: bool) -> "GateSettings | None":
    from haystack_lrl.languages.gate import GateSettings

    return GateSettings() if wanted else None


def _model_specs(
    generator: str | None, adapters: Path | None, positive: str | None, negative: str | None
) -> tuple[str, str | None]:
    """Return what writes positives and, where it is another model, what writes negatives."""
    ways = (
        (generator, None) if generator else None,
        (str(adapters / "positive"), str(adapters / "negative")) if adapters else None,
        (positive, negative) if positive and negative else None,
    )
    chosen = [way for way in ways if way]
    if len(chosen) != 1 or bool(positive) != bool(negative):
        raise click.UsageError("Name the models once: --generator, or --adapters, or --positive and --negative.")
    return chosen[0]


def _bare(spec: str) -> str:
    """Return the generator without the `chat:` that translators carry."""
    return spec.removeprefix("chat:")
