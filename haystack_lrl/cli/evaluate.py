"""`haystack-lrl evaluate`: any models on a test set."""

from pathlib import Path

import click

from haystack_lrl.cli import options


@click.command("evaluate")
@click.option("--language", required=True, metavar="CODE", help="ISO 639-3 code of queries and documents.")
@click.option("--test-set", required=True, type=options.FOLDER, metavar="FOLDER", help="BEIR folder, gzipped or not.")
@click.option("--base-model", required=True, metavar="PATH_OR_HUB_ID", help="What the others are compared with.")
@click.option("--model", "models", multiple=True, metavar="PATH_OR_HUB_ID", help="A model to measure; may be repeated.")
@click.option(
    "--hybrid-weight",
    default=0.5,
    show_default=True,
    help="Share of the dense score in the hybrid of BM25 and the last model.",
)
@click.option(
    "--split/--no-split", default=True, help="Score long documents by their best passage (default), or truncated."
)
@click.option("--output", type=options.FOLDER, help="Folder for metrics.json and report.html.")
@options.quiet_option
def evaluate_command(
    language: str,
    test_set: Path,
    base_model: str,
    models: tuple[str, ...],
    hybrid_weight: float,
    output: Path | None,
    *,
    split: bool,
    quiet: bool,
) -> None:
    """Print BM25, the base, the models and the hybrid, with intervals and differences to the base."""
    from haystack_lrl.evaluation.report import write_report
    from haystack_lrl.evaluation.table import text_table
    from haystack_lrl.files import evaluate_models
    from haystack_lrl.records.jsonl import write_json

    metrics = evaluate_models(
        test_set, language, base_model, models, hybrid_weight=hybrid_weight, split=split, progress=not quiet
    )
    click.echo(text_table(metrics))
    if output:
        write_json(output / "metrics.json", metrics)
        write_report(output / "report.html", metrics)
        click.echo(f"\nreport: {output / 'report.html'}")
