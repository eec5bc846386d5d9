"""`haystack-lrl ask-rag`: an answer from the documents of an index, with its sources."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haystack_lrl.cli import options
from haystack_lrl.cli.store_options import place_of, store_options

if TYPE_CHECKING:
    from haystack import GeneratedAnswer

_SNIPPET = 200  # characters
_FACTS = ("answered", "reason", "citations", "dropped_citations", "language_ok", "language_reason", "sources")


@click.command("ask-rag")
@click.argument("question")
@store_options
@click.option(
    "--generator", required=True, metavar="SPEC", help="Server URL#MODEL, FILE.gguf, FOLDER or GENERATOR.yaml."
)
@click.option("--top-k", type=click.IntRange(1), default=5, show_default=True, help="Documents that the model reads.")
@click.option(
    "--prompts",
    type=options.FOLDER,
    metavar="FOLDER",
    help="answer.txt or not-in-documents.yaml of your own, in place of the package's.",
)
@click.option("--gate/--no-gate", default=True, show_default=True, help="Check the answer's language.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds without an answer that count as hung.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask_rag_command(
    question: str,
    generator: str,
    top_k: int,
    prompts: Path | None,
    timeout: float,
    *,
    gate: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the options of the store
) -> None:
    """Answer QUESTION from the documents of an index, and print the sources.

    \b
    haystack-lrl ask-rag "Kial vulkanoj estas plataj?" --language epo --model runs/epo/model --index index \\
        --generator http://localhost:8080/v1
    """
    from haystack_lrl.synthesis.generators import load_chat
    from pipelines.answering import ask, build_rag
    from pipelines.retrieval import search_parts
    from pipelines.stores import embedder_of, open_store

    place = place_of(given)
    parts: dict[str, Any] = search_parts(open_store(place), embedder_of(place))
    chat = load_chat(generator, timeout=timeout)
    pipeline = build_rag(
        language=place.language, generator=chat.generator, top_k=top_k, gate=gate, prompts=prompts, **parts
    )
    chat.warm_up()
    answer = ask(pipeline, question, top_k=top_k)
    if as_json:
        facts = {name: answer.meta[name] for name in _FACTS}
        click.echo(json.dumps({"question": question, "answer": answer.data, **facts}, ensure_ascii=False, indent=2))
    else:
        _print(answer)


def _print(answer: "GeneratedAnswer") -> None:
    click.echo(answer.data)
    for source in answer.meta["sources"]:
        title = source["meta"].get("title") or source["id"]
        mark = "*" if source["number"] in answer.meta["citations"] else " "
        snippet = " ".join((source["content"] or "").split())[:_SNIPPET]
        click.echo(f"\n{mark}[{source['number']}] {source['score'] or 0:.3f}  {title}\n     {snippet}")
    if answer.meta["citations"]:
        click.echo("\n* cited")
    if answer.meta["language_ok"] is False:
        click.echo(f"The answer failed the language check: {answer.meta['language_reason']}.", err=True)
