"""The options that say where documents lie and how they are searched, shared by the commands that do so."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from haystack_lrl.cli import options

if TYPE_CHECKING:
    from pipelines.stores import Place

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--language", required=True, metavar="CODE", help="ISO 639-3 code of the documents' language."),
    click.option("--model", required=True, type=options.FOLDER, metavar="FOLDER", help="Embedder, as runs/epo/model."),
    click.option(
        "--store",
        type=click.Choice(["memory", "opensearch"]),
        default="memory",
        show_default=True,
        help="Where documents lie: in a folder, loaded into memory whole, or on a server.",
    ),
    click.option(
        "--index",
        metavar="NAME",
        help="Folder of a memory store (index by default), or beginning of the OpenSearch index's name (documents).",
    ),
    click.option(
        "--hosts",
        multiple=True,
        metavar="URL",
        help="A node of OpenSearch, such as http://localhost:9200; may be repeated. User and password come from "
        "OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD.",
    ),
    click.option(
        "--certificates",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Authorities that the server's certificate is checked with, where the system's own do not know it.",
    ),
    click.option("--alias", metavar="NAME", help="An alias of OpenSearch indices, in place of --index."),
)

mode_option = click.option(
    "--mode",
    type=click.Choice(["hybrid", "bm25", "dense"]),
    default="hybrid",
    show_default=True,
    help="Rank by words and vectors, by words, or by vectors.",
)
dense_weight_option = click.option(
    "--dense-weight", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Share of vectors in a hybrid."
)

_DEFAULTS = {"memory": "index", "opensearch": "documents"}


def store_options(command: Command) -> Command:
    """Give a command the options that `place_of` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def place_of(given: Mapping[str, Any]) -> "Place":
    """Return the place that the options of a command say.

    :param given: the command's own, as click passes them; others among them are ignored.
    :raises click.UsageError: for options that do not go together.
    """
    from pipelines.stores import Place

    store, alias, hosts = given["store"], given.get("alias"), given["hosts"]
    if store == "memory" and (hosts or alias or given["certificates"]):
        raise click.UsageError("--hosts, --certificates and --alias belong to --store opensearch.")
    if store == "opensearch" and not hosts:
        raise click.UsageError("--store opensearch needs --hosts, such as http://localhost:9200.")
    if alias and given["index"]:
        raise click.UsageError("Give --index or --alias, not both.")
    return Place(
        store=store,
        language=given["language"],
        model=given["model"],
        index=alias or given["index"] or _DEFAULTS[store],
        hosts=tuple(hosts),
        certificates=given["certificates"],
        through_alias=bool(alias),
    )
