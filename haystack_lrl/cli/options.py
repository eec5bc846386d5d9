"""Options that several commands share."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from haystack_lrl.recipe import Recipe

INPUT = click.Path(path_type=Path, dir_okay=False)
OUTPUT = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)

# to be given a name and a help text; `required=False` where a command can do without
input_option = partial(click.option, required=True, type=INPUT, metavar="FILE")
source_option = partial(click.option, required=True, metavar="SOURCE")  # a file, folder, glob or URL
folder_option = partial(click.option, required=True, type=FOLDER, metavar="FOLDER")
model_option = partial(click.option, required=True, metavar="PATH_OR_HUB_ID")

language_option = click.option("--language", metavar="CODE", help="ISO 639-3 code of the language, such as epo or hye.")
required_language_option = click.option(
    "--language", required=True, metavar="CODE", help="ISO 639-3 code of the language."
)
translator_option = click.option(
    "--translator",
    metavar="SPEC",
    help='What translates: "command:PROGRAM ARGUMENTS", "seq2seq:PATH_OR_HUB_ID", "ct2:FOLDER" or '
    '"chat:SERVER_URL#MODEL | FILE.gguf | FOLDER | GENERATOR.yaml".',
)
base_model_option = click.option("--base-model", metavar="PATH_OR_HUB_ID", help="The embedder to adapt.")
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any setting of the recipe, such as training.epochs=3.",
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress bars.")
memory_option = click.option(
    "--memory", metavar="SIZE", help="What training may hold in memory, such as 4GiB; the batch stays as large."
)


_ENGINE = (
    click.option(
        "--engine",
        default="local",
        show_default=True,
        metavar="ENGINE",
        help="local, ray (this machine), ray:HOST:6379 (on a node of a cluster) or ray://HOST:10001 (from outside).",
    ),
    click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Ray: processes that hold a model."),
    click.option(
        "--gpus-per-worker", type=click.FloatRange(min=0), default=0.0, metavar="X", help="Such as 1 or 0.25."
    ),
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command run on Ray: it gets `engine`, which is None for this process."""

    @wraps(command)
    def with_engine(*args: Any, engine: str, workers: int | None, gpus_per_worker: float, **rest: Any) -> Any:  # noqa: ANN401
        from haystack_lrl.engine.settings import parse_engine

        return command(*args, engine=parse_engine(engine, workers, gpus_per_worker), **rest)

    for option in reversed(_ENGINE):
        with_engine = option(with_engine)
    return with_engine


def recipe_of(assignments: tuple[str, ...], **given: Any) -> "Recipe":  # noqa: ANN401 - settings of any kind
    """Return the recipe of a command that needs a few settings of it.

    :param assignments: those of `set_option`, which take the place of given ones.
    :raises InputError: for unknown names and values of the wrong type.
    """
    from haystack_lrl.recipe import build, set_values

    unused = {"seeds": "", "translator": "", "base_model": ""}
    return build(set_values({**unused, **given}, assignments), "The command line")


def style_weights(styles: tuple[str, ...]) -> dict[str, float]:
    """Read NAME=WEIGHT."""
    weights = {}
    for style in styles:
        name, _, weight = style.partition("=")
        try:
            weights[name] = float(weight or 1)
        except ValueError as error:
            raise click.UsageError(f"--style {style} has no number behind '=': write it as question=2.") from error
    return weights
