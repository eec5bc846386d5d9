"""What makes training data: translations, questions about passages, triplets."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.languages.gate import LanguageGate
    from haystack_lrl.languages.table import Language

_output = click.option("--output", type=options.OUTPUT, metavar="FILE", help="Where the rows go, rejected ones too.")
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
)


def _making_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_MAKING):
        command = option(command)
    return command


@click.command("translate")
@options.required_language_option
@options.input_option("--seeds", help="JSONL file of English pairs.")
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
    seeds: Path,
    translator: str,
    output: Path | None,
    query_column: str,
    passage_column: str,
    max_copied: float,
    prompts: Path | None,
    timeout: float,
    *,
    gate: bool,
    estimate: bool,
    quiet: bool,
) -> None:
    """Translate English pairs; a killed run goes on where it stopped."""
    from haystack_lrl.records.pair import Pair, read_pairs
    from haystack_lrl.synthesis.translation import check_copies, translate_file, translating
    from haystack_lrl.synthesis.translator import load_translator

    spoken, checks = _spoken(language, gate=gate)

    def pairs() -> Iterator[Pair]:
        return read_pairs(seeds, query_column, passage_column)

    loaded = load_translator(translator, spoken, timeout=timeout, gate=checks, prompts=prompts)
    total = sum(1 for _ in pairs())
    if estimate:
        chat = getattr(loaded, "chat", None)  # other translators count no tokens
        _print_estimate(pairs(), translating(loaded, checks), total, lambda: chat.usage if chat else {})
        return
    place = _required(output)
    counts = translate_file(pairs(), place, loaded, spoken, gate=checks, total=total, progress=not quiet)
    click.echo(json.dumps(counts.to_json()))
    check_copies(place, max_copied)


@click.command("ask")
@options.required_language_option
@options.input_option("--passages", help="JSONL file with text, as in BEIR.")
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
    passages: Path,
    passage_column: str,
    generator: str,
    output: Path | None,
    styles: tuple[str, ...],
    seed: int,
    recipe: str | None,
    prompts: Path | None,
    timeout: float,
    *,
    gate: bool,
    estimate: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the options that are settings of the same name
) -> None:
    """Ask questions about passages: (question, passage) pairs for training."""
    from haystack_lrl.recipe import load_tree, validated
    from haystack_lrl.records.passage import Passage, read_passages
    from haystack_lrl.synthesis.asking import Asker, AskSettings, ask_file, requests, wanted_queries
    from haystack_lrl.synthesis.generators import load_chat

    tree = dict(load_tree(recipe).get("ask") or {}) if recipe else {}
    tree |= {name: value for name, value in given.items() if value is not None}
    tree |= {"styles": options.style_weights(styles)} if styles else {}
    tree |= {"prompts": str(prompts)} if prompts else {}
    settings = validated(AskSettings, tree, recipe or "The command line")
    spoken, checks = _spoken(language, gate=gate)
    asker = Asker(load_chat(_bare(generator), timeout=timeout), spoken, settings, gate=checks, seed=seed)

    def rows() -> Iterator[Passage]:
        return read_passages(passages, passage_column)

    total = sum(1 for _ in rows())
    if estimate:
        items = requests(rows(), settings, spoken, seed, total)
        _print_estimate(items, asker.making(), wanted_queries(settings, total), lambda: asker.chat.usage)
        return
    counts = ask_file(rows(), _required(output), asker, total=total, progress=not quiet)
    click.echo(json.dumps(counts.to_json()))


@click.command("triplets")
@options.required_language_option
@options.input_option("--anchors", help="JSONL file with a text a line.")
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
    anchors: Path,
    anchor_column: str,
    strategy: str,
    output: Path | None,
    exemplars: int,
    prompts: Path | None,
    timeout: float,
    *,
    gate: bool,
    estimate: bool,
    quiet: bool,
    **models: Any,  # noqa: ANN401 - generator, adapters, positive, negative
) -> None:
    """Write a positive and a hard negative for each anchor: triplets for training."""
    from haystack_lrl.recipe import validated
    from haystack_lrl.records.passage import Passage, read_passages
    from haystack_lrl.synthesis.generators import load_chat
    from haystack_lrl.synthesis.triplets import TripletMaker, TripletSettings, triplet_file, written_language

    tree = {"strategy": strategy, "exemplars": exemplars, "prompts": str(prompts or "")}
    settings = validated(TripletSettings, tree, "The command line")
    spoken, checks = _spoken(language, gate=gate, written=lambda own: written_language(settings, own))
    positive, negative = _model_specs(**models)
    first = load_chat(_bare(positive), timeout=timeout)
    second = load_chat(_bare(negative), timeout=timeout) if negative else None
    maker = TripletMaker(first, spoken, settings, negative=second, gate=checks)

    def rows() -> Iterator[Passage]:
        return read_passages(anchors, anchor_column)

    total = sum(1 for _ in rows())
    if estimate:
        _print_estimate(rows(), maker.making(), total, lambda: maker.usage)
        return
    counts = triplet_file(rows(), _required(output), maker, total=total, progress=not quiet)
    click.echo(json.dumps(counts.to_json()))


def _print_estimate(items: Any, making: Any, total: int, usage: "Callable[[], Mapping[str, int]]") -> None:  # noqa: ANN401 - Making of any rows
    """Make a few rows and print how long all will take."""
    from haystack_lrl.synthesis.making import estimate

    click.echo(estimate(items, making, total, usage))


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


def _spoken(
    code: str, *, gate: bool, written: "Callable[[Language], Language] | None" = None
) -> "tuple[Language, LanguageGate | None]":
    """Return the language, and the gate for what is written in it, or in the language that `written` gives."""
    from haystack_lrl.languages.gate import LanguageGate
    from haystack_lrl.languages.table import language as language_of

    spoken = language_of(code)
    return spoken, LanguageGate(written(spoken) if written else spoken) if gate else None


def _bare(spec: str) -> str:
    """Return the generator without the `chat:` that translators carry."""
    return spec.removeprefix("chat:")


def _required(output: Path | None) -> Path:
    if output is None:
        raise click.UsageError("Missing option '--output': name the file for the rows.")
    return output
