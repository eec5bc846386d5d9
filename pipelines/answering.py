"""Question answering: a search, numbered sources, a prompt, any chat model, and an answer whose citations hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import openai
from haystack import GeneratedAnswer, Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat.types import ChatGenerator
from haystack.core.component import Component
from haystack.core.errors import PipelineRuntimeError
from haystack.dataclasses import ChatMessage

from haystack_integrations.components.builders.lrl import LRLAnswerBuilder, LRLSourcesBuilder
from haystack_lrl.languages.table import language as look_up
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.chat import first_line
from haystack_lrl.synthesis.cited_answers import answer_instructions, not_in_documents
from pipelines.retrieval import add_search, explained, search_inputs

SOURCES = 5
"""Documents that the chat model reads."""

_QUESTION = "Sources:\n{{ sources }}\n\nQuestion: {{ query }}"


def build_rag(
    *,
    language: str,
    generator: ChatGenerator,
    top_k: int = SOURCES,
    gate: bool = True,
    prompts: Path | None = None,
    bm25: Component | None = None,
    embedder: Component | None = None,
    dense: Component | None = None,
    joiner: Component | None = None,
    ranker: Component | None = None,
) -> Pipeline:
    """Return a pipeline that answers from documents: a search, then `sources`, `prompt`, `generator` and `answer`.

    Run it with `{"query": {"query": text}}`, or by `ask`. Where the search finds nothing, no model is asked. The prompt
    becomes part of the pipeline, and so of its YAML.

    :param language: ISO 639-3 code of the answers' language.
    :param generator: any ChatGenerator.
    :param top_k: documents that it reads.
    :param gate: whether answers are checked for their language.
    :param prompts: folder with an `answer.txt` or `not-in-documents.yaml` in place of the package's own.
    :param bm25: with all that follows as in `add_search`.
    :raises InputError: for an unknown language, prompts that cannot be used, and nothing to search with.
    """
    spoken = look_up(language)
    pipeline = Pipeline()
    last = add_search(pipeline, bm25=bm25, embedder=embedder, dense=dense, joiner=joiner, ranker=ranker)
    messages = [ChatMessage.from_system(answer_instructions(spoken, prompts)), ChatMessage.from_user(_QUESTION)]
    pipeline.add_component("sources", LRLSourcesBuilder(top_k))
    pipeline.add_component("prompt", ChatPromptBuilder(messages))
    pipeline.add_component("generator", generator)
    pipeline.add_component("answer", LRLAnswerBuilder(language, not_in_documents(spoken, prompts), gate=gate))
    for sender, receiver in (
        (f"{last}.documents", "sources.documents"),
        ("sources.sources", "prompt.sources"),
        ("query.query", "prompt.query"),
        ("prompt.prompt", "generator.messages"),
        ("query.query", "answer.query"),
        ("sources.documents", "answer.documents"),
        ("prompt.prompt", "answer.prompt"),
        ("generator.replies", "answer.replies"),
    ):
        pipeline.connect(sender, receiver)
    return pipeline


def ask(
    pipeline: Pipeline, text: str, *, filters: Mapping[str, Any] | None = None, top_k: int = SOURCES
) -> GeneratedAnswer:
    """Ask a pipeline that `build_rag` made.

    :param text: the question, as it was typed.
    :param filters: as in `search`.
    :param top_k: documents that the model reads.
    :returns: the answer; LRLAnswerBuilder says what its metadata holds.
    :raises InputError: as `search`, and when the chat model's server gives no answer.
    """
    data = {**search_inputs(pipeline, text, filters=filters, top_k=top_k), "sources": {"top_k": top_k}}
    try:
        with explained():
            answers: list[GeneratedAnswer] = pipeline.run(data)["answer"]["answers"]
    except PipelineRuntimeError as error:
        if not isinstance(error.__cause__, openai.APIError | httpx.HTTPError | ConnectionError | TimeoutError):
            raise
        raise InputError(
            f"The chat model gave no answer ({first_line(error.__cause__)}): check its server, name, key and timeout."
        ) from error
    return answers[0]
