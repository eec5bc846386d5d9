"""`haystack-lrl index`: files into a document store, with their vectors."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options
from haystack_lrl.cli.store_options import place_of, store_options
from haystack_lrl.records.errors import InputError

if TYPE_CHECKING:
    from haystack.document_stores.types import DocumentStore

    from pipelines.index_counts import IndexCounts
    from pipelines.stores import Place


@click.command("index")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILES...")
@store_options
@click.option(
    "--backend", default="auto", show_default=True, help="torch, openvino, onnx, or the fastest export that passed."
)
@click.option(
    "--split-length", type=click.IntRange(1), metavar="TOKENS", help="Most tokens of a passage; all by default."
)
@click.option("--split-overlap", default=0, show_default=True, help="Sentences that a passage shares with the next.")
@options.quiet_option
def index_command(files: tuple[Path, ...], **given: Any) -> None:  # noqa: ANN401 - click's
    """Split files into passages, embed them and put them where they can be searched.

    FILES are JSON lines (a BEIR corpus, or Haystack's documents), text, Markdown, HTML, PDF and DOCX files, and folders
    of these. The same command again goes on where it stopped, and takes changed documents in place of old ones. With
    --alias, that name points at the finished index at the end, in one step.
    """
    from pipelines.reading import read_documents
    from pipelines.stores import open_store, save_store

    alias = given.pop("alias")
    place = place_of(given)
    if alias and place.store == "memory":
        raise click.UsageError("--alias belongs to --store opensearch.")
    store = open_store(place, create=True)
    counts = _indexed(place, store, read_documents(files), given)
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


def _indexed(place: "Place", store: "DocumentStore", documents: Any, given: dict[str, Any]) -> "IndexCounts":  # noqa: ANN401
    from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
    from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
    from haystack_integrations.components.writers.lrl import LRLDocumentWriter
    from pipelines.indexing import index_documents

    model = str(place.model)
    splitter = LRLDocumentSplitter(place.language, model, given["split_length"], given["split_overlap"])
    embedder = LRLDocumentEmbedder(model, backend=given["backend"], progress_bar=False)
    writer = LRLDocumentWriter(store)
    with _progress(quiet=given["quiet"]) as show:
        return index_documents(documents, splitter=splitter, embedder=embedder, writer=writer, progress=show)


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
