"""`haystack-lrl adapt`: the whole road."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from haystack_lrl.engine.settings import Engine


@click.command("adapt")
@click.option(
    "--recipe", "name", metavar="NAME_OR_PATH", help="A shipped recipe (armenian, georgian) or a YAML file of your own."
)
@options.language_option
@click.option(
    "--seeds", metavar="FILE", help="JSONL file of English pairs with the columns query and passage (.gz too)."
)
@options.translator_option
@options.base_model_option
@click.option(
    "--test-set",
    "test_sets",
    multiple=True,
    metavar="FOLDER",
    help="BEIR folder in the language; the first one decides.",
)
@click.option(
    "--retention", multiple=True, metavar="CODE=FOLDER", help="BEIR folder of a language that must not be forgotten."
)
@click.option("--control/--no-control", default=None, help="Also train on the same pairs left in English.")
@click.option(
    "--curve", multiple=True, type=int, metavar="PAIRS", help="Also train on this many pairs, for the data-size curve."
)
@click.option(
    "--split/--no-split", default=None, help="Score long documents by their best passage (default), or truncated."
)
@options.memory_option
@options.set_option
@click.option("--output", type=options.OUTPUT, help="The run directory; a killed run goes on in the same one.")
@click.option("--print-recipe", is_flag=True, help="Print the resolved recipe and end.")
@click.option(
    "--estimate", is_flag=True, help="Measure this machine for a moment, print how long each stage will take, and end."
)
@options.quiet_option
@options.engine_options
def adapt_command(
    name: str | None,
    test_sets: tuple[str, ...],
    retention: tuple[str, ...],
    curve: tuple[int, ...],
    assignments: tuple[str, ...],
    output: Path | None,
    memory: str | None,
    engine: "Engine | None",
    *,
    control: bool | None,
    split: bool | None,
    print_recipe: bool,
    estimate: bool,
    quiet: bool,
    **given: str | None,
) -> None:
    """Translate seeds, filter, train, merge and evaluate; ends with 3 when the model is not better than its base."""
    from haystack_lrl import recipe as recipes

    tree = recipes.load_tree(name) if name else {}
    tree |= {setting: value for setting, value in given.items() if value is not None}
    if control is not None:
        tree["control"] = control
    evaluation = {
        "test_sets": list(test_sets) or None,
        "retention": retention_sets(retention) or None,
        "curve": list(curve) or None,
        "split": split,
    }
    tree["evaluation"] = {**tree.get("evaluation", {}), **{k: v for k, v in evaluation.items() if v is not None}}
    if memory is not None:
        tree["training"] = {**tree.get("training", {}), "memory": memory}
    recipe = recipes.build(recipes.set_values(tree, assignments), name or "The command line")
    if print_recipe:
        click.echo(recipe.to_yaml(), nl=False)
    elif estimate:
        from haystack_lrl.estimate import estimate as measure

        click.echo(measure(recipe))
    elif output is None:
        raise click.UsageError("Missing option '--output': name the run directory.")
    else:
        click.get_current_context().exit(finish(recipe, output, engine, progress=not quiet))


def finish(recipe: Any, output: Path, engine: "Engine | None" = None, *, progress: bool) -> int:  # noqa: ANN401 - Recipe, whose module is heavy
    """Run the recipe, print the table and the verdict, and return the exit code."""
    from haystack_lrl.evaluation.table import text_table
    from haystack_lrl.run import adapt

    metrics = adapt(recipe, output, engine, progress=progress)
    click.echo(text_table(metrics))
    click.echo(f"\nmodel:  {output / 'model'}\nreport: {output / 'report.html'}")
    click.echo(f"\n{metrics['verdict']['sentence']}")
    if metrics["verdict"]["success"]:
        return 0
    click.echo(
        "The model is not distinguishably better than its base on the test set; it is kept all the same.", err=True
    )
    return 3


def retention_sets(assignments: tuple[str, ...]) -> dict[str, str]:
    """Read CODE=FOLDER."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for code, separator, folder in pairs:
        if not separator or not folder:
            raise click.UsageError(f"--retention {code} has no folder: write it as eng=FOLDER.")
    return {code: folder for code, _, folder in pairs}
