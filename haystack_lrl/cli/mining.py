"""Hard negatives for pairs, over files."""

import json
from pathlib import Path

import click

from haystack_lrl.cli import options


@click.command("mine")
@options.required_language_option
@options.input_option("--pairs", help="kept.jsonl or pairs of your own.")
@options.model_option("--teacher", help='The model that says what looks relevant, or "bm25".')
@click.option("--output", required=True, type=options.OUTPUT, metavar="FILE", help="Where the triplets go.")
@click.option("--negatives", default=7, show_default=True, help="Hard negatives a pair, at most.")
@click.option(
    "--corpus",
    type=options.INPUT,
    metavar="FILE",
    help="Further passages to choose from: JSON lines with text. Needs --set mining.side=own for translated pairs.",
)
@click.option("--review", type=options.OUTPUT, metavar="FILE.html", help="Where 30 examples go, also as FILE.csv.")
@options.set_option
@options.quiet_option
def mine_command(
    language: str,
    pairs: Path,
    teacher: str,
    output: Path,
    negatives: int,
    corpus: Path | None,
    review: Path | None,
    assignments: tuple[str, ...],
    *,
    quiet: bool,
) -> None:
    """Give every pair passages that look relevant to its query and are not.

    \b
    haystack-lrl mine --language epo --pairs kept.jsonl --teacher ./model \\
        --output triplets.jsonl --review review.html
    """
    from haystack_lrl.curation.mining import mine_file
    from haystack_lrl.curation.teachers import load_teacher
    from haystack_lrl.languages.table import language as language_of
    from haystack_lrl.records.pair import read_pairs
    from haystack_lrl.records.passage import read_passages

    mining = {"teacher": teacher, "negatives": negatives}
    recipe = options.recipe_of(assignments, language=language, mining=mining)
    chosen = load_teacher(recipe.mining.teacher, language_of(language), progress=not quiet)
    counts = mine_file(
        read_pairs(pairs),
        output,
        chosen,
        recipe.mining,
        corpus=read_passages(corpus) if corpus else (),
        seed=recipe.seed,
        review=review,
    )
    click.echo(json.dumps(counts.to_json(), ensure_ascii=False))
