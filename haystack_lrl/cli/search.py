"""`haystack-lrl search`: ask an index by words, by vectors or by both."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options
from haystack_lrl.cli.store_options import dense_weight_option, mode_option, place_of, store_options

if TYPE_CHECKING:
    from haystack import Document, Pipeline

_SNIPPET = 200  # characters
_EQUALS = "=="


@click.command("search")
@click.argument("query", required=False)
@store_options
@mode_option
@click.option(
    "--fusion",
    type=click.Choice(["scores", "reciprocal-rank"]),
    default="scores",
    show_default=True,
    help="What a hybrid adds up.",
)
@dense_weight_option
@click.option("--reranker", metavar="PATH_OR_HUB_ID", help="Cross-encoder that orders the best candidates anew.")
@click.option("--top-k", type=click.IntRange(1), default=10, show_default=True, help="Documents to return, at most.")
@click.option(
    "--filter",
    "conditions",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Only documents like this, such as meta.language=eng; may be repeated. Or a filter of Haystack, as JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--queries", type=options.INPUT, metavar="FILE", help='Many queries: JSON Lines of {"_id": ..., "text": ...}.'
)
@click.option("--run", "run_file", type=options.OUTPUT, metavar="FILE", help="TREC run to write for --queries.")
def search_command(
    query: str | None,
    top_k: int,
    conditions: tuple[str, ...],
    queries: Path | None,
    run_file: Path | None,
    *,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the options of the store and of the ranking
) -> None:
    """Print the best documents for QUERY, or rank for a file of queries.

    \b
    haystack-lrl search "abeloj kaj nektaro" --language epo --model runs/epo/model --index index
    haystack-lrl search --queries queries.jsonl --run run.trec --language epo --model runs/epo/model --index index
    """
    if (query is None) == (queries is None):
        raise click.UsageError("Give one QUERY, or a file of --queries.")
    if (queries is None) != (run_file is None):
        raise click.UsageError("--queries and --run go together.")
    filters = _filters(conditions)
    pipeline = _pipeline(given)
    if queries is not None and run_file is not None:
        _rank(pipeline, queries, run_file, filters, top_k)
    elif query is not None:
        _ask(pipeline, query, filters, top_k, as_json=as_json)


def _pipeline(given: Mapping[str, Any]) -> "Pipeline":
    from pipelines.retrieval import CANDIDATES, build_search, reranker_of, search_parts
    from pipelines.stores import embedder_of, open_store

    place = place_of(given)
    fused = {"fusion": given["fusion"], "dense_weight": given["dense_weight"], "top_k": CANDIDATES}
    parts = search_parts(open_store(place), embedder_of(place), given["mode"], **fused)
    if given["reranker"]:
        parts["ranker"] = reranker_of(given["reranker"])
    return build_search(**parts)


def _filters(conditions: tuple[str, ...]) -> dict[str, Any] | None:
    """Return Haystack's filter that all conditions pass; None without any."""
    parsed = [_condition(condition) for condition in conditions]
    return {"operator": "AND", "conditions": parsed} if len(parsed) > 1 else next(iter(parsed), None)


def _condition(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            whole: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"{text!r} is not valid JSON ({error.msg}).", param_hint="--filter") from error
        return whole
    field, equals, value = text.partition("=")
    if not equals or not field.strip():
        raise click.BadParameter(f"{text!r} is not FIELD=VALUE, such as meta.language=eng.", param_hint="--filter")
    return {"field": field.strip(), "operator": _EQUALS, "value": _value(value.strip())}


def _value(text: str) -> str | int | float | bool:
    """Return a number, true, false or a text in quotes as JSON has it, and anything else as text."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, str | int | float) else text


def _ask(pipeline: "Pipeline", query: str, filters: dict[str, Any] | None, top_k: int, *, as_json: bool) -> None:
    from pipelines.retrieval import search

    documents = search(pipeline, query, filters=filters, top_k=top_k).documents
    if as_json:
        rows = [_row(rank, document) for rank, document in enumerate(documents, start=1)]
        click.echo(json.dumps({"query": query, "documents": rows}, ensure_ascii=False, indent=2))
        return
    for rank, document in enumerate(documents, start=1):
        title = document.meta.get("title") or document.id
        snippet = " ".join((document.content or "").split())[:_SNIPPET]
        click.echo(f"{rank:>3}  {document.score or 0:.3f}  {title}\n     {snippet}")
    if not documents:
        click.echo("Nothing was found.")


def _row(rank: int, document: "Document") -> dict[str, Any]:
    return {
        "rank": rank,
        "score": document.score,
        "id": document.id,
        "content": document.content,
        "meta": document.meta,
    }


def _rank(pipeline: "Pipeline", queries: Path, run_file: Path, filters: dict[str, Any] | None, top_k: int) -> None:
    """Write the ranking of every query; a document counts as its best passage does."""
    from haystack_lrl.evaluation.run_file import write_run
    from haystack_lrl.evaluation.testset import texts_by_id
    from haystack_lrl.records.errors import InputError
    from haystack_lrl.records.jsonl import read_jsonl
    from pipelines.rankings import rank_queries

    rows = ((f"{queries} line {number}", row) for number, row in read_jsonl(queries))
    texts = texts_by_id(queries, rows, columns=("text",))
    if blank := [name for name, text in texts.items() if not text]:
        raise InputError(f"{queries} has an empty text for {blank[0]!r}: mend or delete the line.")
    run = rank_queries(pipeline, texts, filters=filters, top_k=top_k).documents
    write_run(run_file, run)
    found = sum(map(bool, run.values()))
    click.echo(f"{run_file}: {len(run)} queries, of which {found} found something")
