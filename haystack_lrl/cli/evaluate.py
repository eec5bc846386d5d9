"""`haystack-lrl evaluate`: any models on a test set, or on published benchmarks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from haystack_lrl.cli import options


@click.command("evaluate")
@click.option("--language", required=True, metavar="CODE", help="ISO 639-3 code of queries and documents.")
@click.option(
    "--test-set", metavar="FOLDER", help="BEIR folder, gzipped or not, or NAME:FOLDER of a retrieval benchmark."
)
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME:FOLDER",
    help="A published benchmark, judged as its papers do, such as belebele, miracl, ntrex, semrel, tatoeba or "
    "xor-retrieve; may be repeated.",
)
@click.option("--mteb", "tasks", multiple=True, metavar="TASK", help="A task of MTEB, scored as mteb does; repeatable.")
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
@click.option(
    "--training",
    type=options.INPUT,
    metavar="FILE",
    help="Pairs that a model was trained on: a --test-set that shares texts with them is refused.",
)
@click.option("--allow-leaks", is_flag=True, help="Measure all the same, and say so in the output.")
@click.option("--output", type=options.FOLDER, help="Folder for metrics.json, report.html and benchmarks.json.")
@options.quiet_option
def evaluate_command(
    language: str,
    test_set: str | None,
    benchmarks: tuple[str, ...],
    tasks: tuple[str, ...],
    base_model: str,
    models: tuple[str, ...],
    hybrid_weight: float,
    training: Path | None,
    output: Path | None,
    *,
    allow_leaks: bool,
    split: bool,
    quiet: bool,
) -> None:
    """Print BM25, the base, the models and the hybrid, with intervals and differences to the base."""
    from haystack_lrl.evaluation.report import write_report
    from haystack_lrl.evaluation.table import text_table
    from haystack_lrl.files import evaluate_models
    from haystack_lrl.records.jsonl import write_json

    if test_set is None and not benchmarks and not tasks:
        raise click.UsageError("Give --test-set, --benchmark or --mteb.")
    if benchmarks or tasks:
        rows = _measure_benchmarks(benchmarks, language, [base_model, *models], progress=not quiet)
        rows += _measure_tasks(tasks, language, [base_model, *models], progress=not quiet)
        if output:
            write_json(output / "benchmarks.json", rows)
    if test_set is None:
        return
    metrics = evaluate_models(
        test_set,
        language,
        base_model,
        models,
        hybrid_weight=hybrid_weight,
        training=training,
        allow_leaks=allow_leaks,
        split=split,
        progress=not quiet,
    )
    click.echo(text_table(metrics))
    if output:
        write_json(output / "metrics.json", metrics)
        write_report(output / "report.html", metrics)
        click.echo(f"\nreport: {output / 'report.html'}")


def _measure_benchmarks(
    specs: Sequence[str], language: str, models: Sequence[str], *, progress: bool
) -> list[dict[str, Any]]:
    """Print one line a model, benchmark and metric, and return them as benchmarks.json holds them."""
    from haystack_lrl.encoding.encoder import SentenceEncoder
    from haystack_lrl.evaluation.benchmarks.catalog import load_benchmark, published_figures
    from haystack_lrl.evaluation.table import estimate

    benchmarks = {spec: load_benchmark(spec, language) for spec in specs}  # all, before a model takes minutes
    rows: list[dict[str, Any]] = []
    for model in models:
        encoder = SentenceEncoder.from_path(model, progress=progress)
        for spec, benchmark in benchmarks.items():
            for metric, interval in published_figures(spec, benchmark, encoder, model).items():
                figures = interval.to_json()
                note = "  (no interval: one query)" if figures["low"] is None else ""
                click.echo(f"{spec}  {model}  {metric} {estimate(figures)}{note}")
                rows.append({"benchmark": spec, "language": language, "model": model, "metric": metric, **figures})
    return rows


def _measure_tasks(
    tasks: Sequence[str], language: str, models: Sequence[str], *, progress: bool
) -> list[dict[str, Any]]:
    """Print one line a model, task, split and subset of mteb, and return them as benchmarks.json holds them."""
    if not tasks:
        return []
    from haystack_lrl.evaluation.mteb_task import measure_tasks

    rows = []
    for row in measure_tasks(tasks, language, models, progress=progress):
        place = f"{row['split']}, {row['subset']}; mteb gives no interval"
        click.echo(f"{row['benchmark']}  {row['model']}  {row['metric']} {row['mean']:.4f}  ({place})")
        rows.append(row)
    return rows
