"""`haystack-lrl compare`: any number of systems in one table, with the tests of every pair."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.records.pair import Pair


@click.command("compare")
@click.option("--language", required=True, metavar="CODE", help="ISO 639-3 code of queries and documents.")
@click.option("--test-set", required=True, metavar="FOLDER", help="BEIR folder, or NAME:FOLDER of a benchmark.")
@click.option(
    "--system",
    "systems",
    multiple=True,
    metavar="NAME=MODEL",
    help="A model's folder, an export's folder or a hub id; may be repeated. BM25 and a hybrid are always there: "
    "hybrid=MODEL says of which model, by default of the last one.",
)
@click.option(
    "--seeds",
    multiple=True,
    metavar="NAME=MODEL,MODEL",
    help="One training with several seeds, which stand in one row with their mean and spread.",
)
@click.option("--run", "runs", multiple=True, metavar="NAME=FILE", help="Another program's ranking, in TREC's form.")
@click.option("--output", required=True, type=options.FOLDER, help="Folder for the tables, the report and the queries.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("nDCG@10", "R@100", "RR@10"),
    show_default=True,
    help="As ir-measures writes it, such as AP, P@5 or Success@1; may be repeated. The first one decides.",
)
@click.option("--reference", default="", metavar="NAME", help="What the others are compared with; base by default.")
@click.option(
    "--retention",
    multiple=True,
    metavar="CODE=FOLDER",
    help="A test set of another language; may be repeated. By default those that the recipe of --run-directory names.",
)
@click.option("--run-directory", type=options.FOLDER, help="A run whose curves and rows the report shows too.")
@click.option(
    "--training",
    multiple=True,
    type=options.INPUT,
    metavar="FILE",
    help="Pairs that were trained on, looked for in the test sets; by default the kept.jsonl of --run-directory.",
)
@click.option("--allow-leaks", is_flag=True, help="Say in the report how many queries leak, and compare all the same.")
@click.option("--hybrid-weight", default=0.5, show_default=True, help="Share of the dense score in the hybrid.")
@click.option(
    "--split/--no-split", default=True, help="Score long documents by their best passage (default), or truncated."
)
@options.quiet_option
def compare_command(
    language: str,
    test_set: str,
    systems: tuple[str, ...],
    seeds: tuple[str, ...],
    runs: tuple[str, ...],
    output: Path,
    metrics: tuple[str, ...],
    reference: str,
    retention: tuple[str, ...],
    run_directory: Path | None,
    training: tuple[Path, ...],
    hybrid_weight: float,
    *,
    allow_leaks: bool,
    split: bool,
    quiet: bool,
) -> None:
    """Compare any number of systems on one test set, and say which to deploy.

    \b
    haystack-lrl compare --language epo --test-set TEST_SET --system base=MODEL --system adapted=runs/epo/model \\
        --system int8=runs/epo/exports/openvino-int8 --retention eng=ENGLISH_TEST_SET --output compared
    """
    from haystack_lrl.evaluation.benchmarks.catalog import open_test_set
    from haystack_lrl.evaluation.checks import check_dimensions
    from haystack_lrl.evaluation.comparison import Settings, compare, retention_of, run_parts
    from haystack_lrl.evaluation.contenders import contest, retention_specs
    from haystack_lrl.evaluation.leaks import check_leaks
    from haystack_lrl.evaluation.metrics import metric_names
    from haystack_lrl.evaluation.table import text_table

    settings = Settings(metric_names(metrics), reference, hybrid_weight, split)
    asked = contest(systems, seeds, runs)
    parts = run_parts(run_directory) if run_directory else {}
    judge = open_test_set(test_set, language)
    kept = retention_specs(retention) or retention_of(parts)
    others = [open_test_set(place, code) for code, place in kept]
    leaks = check_leaks([judge, *others], _trained_on(training, run_directory), allow=allow_leaks)
    compared = compare(judge, others, asked, settings, progress=not quiet)
    check_dimensions(output / "comparison.json", compared.ranked.dimensions)
    tree = {**compared.to_json(leaks), **parts}
    _write(output, tree, compared.query_rows())
    click.echo(text_table(tree))
    click.echo(f"{tree['verdict']['sentence']}\n\nreport: {output / 'comparison.html'}")


def _trained_on(files: Iterable[Path], run_directory: Path | None) -> "Iterable[Pair]":
    """Return the training pairs of the files, else of the run."""
    from itertools import chain

    from haystack_lrl.records.pair import read_pairs

    own = run_directory / "kept.jsonl" if run_directory else None
    return chain.from_iterable(map(read_pairs, files or ([own] if own and own.is_file() else [])))


def _write(output: Path, tree: dict[str, object], queries: Iterable[dict[str, object]]) -> None:
    """Write every form of the table."""
    from haystack_lrl.evaluation.formats import csv_table, latex_table, markdown_table
    from haystack_lrl.evaluation.report import write_report
    from haystack_lrl.records.jsonl import dump_line, write_json, writing

    write_json(output / "comparison.json", tree)
    for ending, table in (("csv", csv_table), ("md", markdown_table), ("tex", latex_table)):
        with writing(output / f"comparison.{ending}") as file:
            file.write(table(tree))
    with writing(output / "queries.jsonl") as file:
        file.writelines(map(dump_line, queries))
    write_report(output / "comparison.html", tree)
