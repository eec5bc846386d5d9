"""`haystack-lrl index`: files into a document store, with their vectors."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options
from haystack_lrl.cli.store_options import place_of, store_options
from haystack_lrl.records.errors import InputError

if TYPE_CHECKING:
    from haystack.document_stores.types import DocumentStore

    from haystack_lrl.engine.settings import Engine
    from pipelines.index_counts import IndexCounts
    from pipelines.index_settings import IndexSettings
    from pipelines.indexing import Progress
    from pipelines.stores import Place


@click.command("index")
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@store_options
@click.option(
    "--backend", default="auto", show_default=True, help="torch, openvino, onnx, or the fastest export that passed."
)
@click.option(
    "--split-length", type=click.IntRange(1), metavar="TOKENS", help="Most tokens of a passage; all by default."
)
@click.option("--split-overlap", default=0, show_default=True, help="Sentences that a passage shares with the next.")
@click.option(
    "--vectors",
    type=click.Choice(["float", "4x"]),
    help="Form in a new OpenSearch index: float, or 4x, of which searches read a quarter.  [default: float]",
)
@options.quiet_option
@options.engine_options
def index_command(files: tuple[str, ...], engine: "Engine | None", **given: Any) -> None:  # noqa: ANN401 - click's
    """Split files into passages, embed them and put them where they can be searched.

    FILES are JSON lines and Parquet (a BEIR corpus, or Haystack's documents), text, Markdown, HTML, PDF and DOCX files,
    folders of these, and URLs of rows such as s3://BUCKET/corpus. The same command again goes on where it stopped, and
    takes changed documents in place of old ones. With --alias, that name points at the finished index at the end, in
    one step. With --engine ray many machines embed and write into OpenSearch at the same time; all see the files and
    the model at the same paths.
    """
    from pipelines.index_settings import IndexSettings
    from pipelines.stores import open_store, save_store

    alias = given.pop("alias")
    place = place_of(given)
    if alias and place.store == "memory":
        raise click.UsageError("--alias belongs to --store opensearch.")
    if engine and place.store == "memory":
        raise click.UsageError("--engine ray needs --store opensearch: a memory store is of one process.")
    if given["vectors"] and place.store == "memory":
        raise click.UsageError("--vectors belongs to --store opensearch.")
    store = open_store(place, create=True, vectors=given["vectors"])
    settings = IndexSettings(place, given["backend"], given["split_length"], given["split_overlap"])
    with _progress(quiet=given["quiet"]) as show:
        counts = _indexed(files, settings, store, engine, show)
    save_store(place, store)
    click.echo(json.dumps(counts.to_json() | {"index": place.index}, ensure_ascii=False, default=vars))
    if alias:
        _switch(place, alias, store)
    if counts.failed or counts.unreadable:
        first = counts.failures[0]
        raise InputError(
            f"{counts.failed} of {counts.passages} passages and {counts.unreadable} of {counts.read} documents are not "
            f"in the index, the first is {first.id} ({first.reason}): mend them and run the same command again."
        )


def _indexed(
    files: tuple[str, ...], settings: "IndexSettings", store: "DocumentStore", engine: "Engine | None", show: "Progress"
) -> "IndexCounts":
    from pipelines.indexing import index_documents
    from pipelines.reading import read_documents

    if engine is None:
        return index_documents(read_documents(files), **settings.steps(store), progress=show)
    from pipelines.indexing_ray import index_on_ray

    return index_on_ray(files, settings, engine, progress=show)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    """Yield what shows how many documents have been read, on standard error."""
    from tqdm import tqdm

    with tqdm(unit=" documents", disable=quiet, file=sys.stderr) as bar:

        def show(counts: "IndexCounts") -> None:
            bar.update(counts.read - bar.n)
            bar.set_postfix(written=counts.written, existing=counts.existing, failed=counts.failed)

        yield show


def _switch(place: "Place", alias: str, store: Any) -> None:  # noqa: ANN401 - OpenSearchDocumentStore, an extra
    from pipelines.document_store import switch_alias
    from pipelines.server import Server

    before = switch_alias(Server(place.hosts, certificates=place.certificates), alias, store)
    gone = f" in place of {', '.join(before)}" if before else ""
    click.echo(f"{alias} points at the new index{gone}.", err=True)
