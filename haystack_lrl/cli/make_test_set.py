"""`haystack-lrl make-test-set` and `review-test-set`: one's own documents, and questions that a speaker confirms."""

import json
from pathlib import Path

import click

from haystack_lrl.cli import options


@click.command("make-test-set")
@click.option("--language", required=True, metavar="CODE", help="ISO 639-3 code of documents and questions.")
@click.option(
    "--documents", required=True, type=options.INPUT, metavar="FILE", help="JSONL file with text, as in BEIR."
)
@click.option("--text-column", default="text", show_default=True, help="`content` for Haystack documents.")
@click.option(
    "--generator", required=True, metavar="SPEC", help="Server URL#MODEL, FILE.gguf, FOLDER or GENERATOR.yaml."
)
@click.option("--output", required=True, type=options.FOLDER, metavar="FOLDER", help="Where the test set goes.")
@click.option("--questions", default=200, show_default=True, metavar="N", help="How many are wanted.")
@click.option(
    "--set-aside",
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="Of the documents, which training leaves alone.",
)
@click.option("--pairs", type=options.INPUT, metavar="FILE", help="Training pairs, which must have nothing in common.")
@click.option(
    "--scorer",
    metavar="PATH_OR_HUB_ID",
    help="A model that finds passages beside BM25; not one that the test set will judge, since it is favoured.",
)
@click.option(
    "--top-k", default=20, show_default=True, metavar="K", help="A question must find its passage among so many."
)
@click.option(
    "--style",
    "styles",
    multiple=True,
    metavar="NAME=WEIGHT",
    help="Kinds of queries and their shares: question, keyword, claim, title, long form. Default: questions only.",
)
@click.option("--exemplars", default=5, show_default=True, metavar="N", help="Exemplars shown to the model, 0 to 5.")
@click.option("--prompts", type=options.FOLDER, metavar="FOLDER", help="Prompts, styles and exemplars of your own.")
@click.option("--seed", default=13, show_default=True, help="Of what is set aside, the order of passages and styles.")
@click.option("--gate/--no-gate", default=True, show_default=True, help="Check each question for its language.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds without an answer that count as hung.")
@options.quiet_option
def make_test_set_command(
    language: str,
    documents: Path,
    text_column: str,
    generator: str,
    output: Path,
    questions: int,
    set_aside: float,
    pairs: Path | None,
    scorer: str | None,
    top_k: int,
    styles: tuple[str, ...],
    exemplars: int,
    prompts: Path | None,
    seed: int,
    timeout: float,
    *,
    gate: bool,
    quiet: bool,
) -> None:
    """Make a test set of your own documents, and a sheet for a native speaker; a killed run goes on.

    Documents are set aside first: train on for-training.jsonl only.
    """
    from haystack_lrl.curation.set_aside import PASSAGE
    from haystack_lrl.encoding.encoder import SentenceEncoder
    from haystack_lrl.languages.gate import LanguageGate
    from haystack_lrl.languages.table import language as language_of
    from haystack_lrl.making_test_sets import TestSetSettings, make_test_set
    from haystack_lrl.recipe import validated
    from haystack_lrl.synthesis.asking import Asker, AskSettings
    from haystack_lrl.synthesis.generators import load_chat

    spoken = language_of(language)
    tree = {"questions": questions, "set_aside": set_aside, "top_k": top_k, "seed": seed}
    settings = validated(TestSetSettings, tree, "The command line")
    wanted = {"exemplars": exemplars, "prompts": str(prompts or ""), "max_characters": PASSAGE}
    wanted |= {"styles": options.style_weights(styles)} if styles else {}
    asking = validated(AskSettings, wanted, "The command line")
    checks = LanguageGate(spoken) if gate else None
    asker = Asker(load_chat(generator.removeprefix("chat:"), timeout=timeout), spoken, asking, gate=checks, seed=seed)
    encoder = SentenceEncoder.from_path(scorer, progress=not quiet) if scorer else None
    report = make_test_set(
        documents, output, asker, settings, column=text_column, pairs=pairs, scorer=encoder,
        scorer_name=scorer or "", progress=not quiet,
    )  # fmt: skip
    click.echo(json.dumps({name: report[name] for name in ("documents", "passages", "questions", "found_by")}))
    click.echo(f"train on: {output / 'for-training.jsonl'}\nreview: {output / 'review.html'}")


@click.command("review-test-set")
@click.argument("folder", type=options.FOLDER)
@click.option(
    "--verdicts",
    required=True,
    type=options.INPUT,
    metavar="FILE",
    help="review.csv filled in, or what review.html saved.",
)
def review_test_set_command(folder: Path, verdicts: Path) -> None:
    """Take what a native speaker rejects out of a made test set, and put better questions in."""
    from haystack_lrl.evaluation.reviewing import apply_review

    report = apply_review(folder, verdicts)
    share = report["agreement"]
    said = ", ".join(f"{count} {verdict}" for verdict, count in report["verdicts"].items())
    click.echo(f"{report['reviewed']} of {report['questions']} questions reviewed: {said}")
    click.echo(f"ok as they are: {share['mean']:.0%} (95% interval {share['low']:.0%} to {share['high']:.0%})")
    click.echo(f"{report['kept']} questions are in the test set now")
