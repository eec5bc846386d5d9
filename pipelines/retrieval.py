"""Search pipelines: by words (BM25), by vectors, by both, with a reranker behind them or without."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.core.component import Component
from haystack.core.errors import PipelineRuntimeError
from haystack.core.serialization import component_to_dict
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DocumentStore
from haystack.errors import FilterError

from haystack_integrations.components.joiners.lrl import Fusion, LRLDocumentJoiner
from haystack_integrations.components.preprocessors.lrl import LRLQueryCleaner
from haystack_lrl.records.errors import InputError, MissingExtraError

CANDIDATES = 100
"""Documents that each retriever hands on to fusion or to a reranker."""

Mode = Literal["hybrid", "bm25", "dense"]

Data: TypeAlias = dict[str, dict[str, Any]]
"""Values by component and input, as `Pipeline.run` takes and returns them."""

_FORM = 'write {"field": "meta.language", "operator": "==", "value": "eng"} or an AND, OR or NOT of such conditions'
_LAST_FIRST = ("ranker", "fusion", "dense", "bm25")


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    :param documents: the answer, best first; their scores are of the last component.
    :param lexical: the ranking by words with its own scores; empty where the pipeline has none.
    :param dense: the ranking by vectors with its own scores; empty where the pipeline has none.
    """

    documents: list[Document]
    lexical: list[Document]
    dense: list[Document]


def retrievers_of(store: DocumentStore, *, top_k: int = CANDIDATES) -> tuple[Component, Component]:
    """Return the retrievers by words and by vectors of a store; filters narrow both before they choose.

    :param top_k: documents that each finds.
    :raises TypeError: for a store of another kind.
    """
    if isinstance(store, InMemoryDocumentStore):
        return InMemoryBM25Retriever(store, top_k=top_k), InMemoryEmbeddingRetriever(store, top_k=top_k)
    from haystack_integrations.components.retrievers.opensearch import (
        OpenSearchBM25Retriever,
        OpenSearchEmbeddingRetriever,
    )
    from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore

    if not isinstance(store, OpenSearchDocumentStore):
        raise TypeError(f"retrievers_of knows memory and OpenSearch, not {type(store).__name__}: give its retrievers.")
    return (
        OpenSearchBM25Retriever(document_store=store, top_k=top_k, fuzziness=0),
        OpenSearchEmbeddingRetriever(document_store=store, top_k=top_k, efficient_filtering=True),
    )


def joiner_of(
    store: DocumentStore, *, fusion: Fusion = "scores", dense_weight: float = 0.5, top_k: int | None = 10
) -> LRLDocumentJoiner:
    """Return what fuses both rankings of a store, which knows the scale of its scores."""
    floor = 0.0 if isinstance(store, InMemoryDocumentStore) else 0.5
    return LRLDocumentJoiner(fusion, dense_weight, top_k, floor)


def search_parts(
    store: DocumentStore,
    embedder: Component,
    mode: Mode = "hybrid",
    *,
    fusion: Fusion = "scores",
    dense_weight: float = 0.5,
    top_k: int = 10,
) -> dict[str, Component]:
    """Return the components by which `build_search` or `add_search` searches a store: new ones, for one pipeline.

    :param embedder: of queries; not used where only words are searched.
    :param fusion: with `dense_weight` and `top_k`, of the joiner of a hybrid; where a reranker follows, `top_k` is what
        it reads.
    """
    bm25, dense = retrievers_of(store)
    if mode == "bm25":
        return {"bm25": bm25}
    by_meaning = {"embedder": embedder, "dense": dense}
    if mode == "dense":
        return by_meaning
    joiner = joiner_of(store, fusion=fusion, dense_weight=dense_weight, top_k=top_k)
    return {"bm25": bm25, **by_meaning, "joiner": joiner}


def reranker_of(model: str) -> Component:
    """Return a cross-encoder that reads query and document together: slow, so for the best candidates.

    :param model: folder or hub id.
    :raises MissingExtraError: when its package is not installed.
    """
    try:
        from haystack_integrations.components.rankers.sentence_transformers import SentenceTransformersSimilarityRanker
    except ImportError as error:
        raise MissingExtraError("A reranker needs a package: pip install sentence-transformers-haystack") from error
    return SentenceTransformersSimilarityRanker(model=model)


def build_search(
    *,
    bm25: Component | None = None,
    embedder: Component | None = None,
    dense: Component | None = None,
    joiner: Component | None = None,
    ranker: Component | None = None,
) -> Pipeline:
    """Return a pipeline that searches; parameters and errors are those of `add_search`."""
    pipeline = Pipeline()
    add_search(pipeline, bm25=bm25, embedder=embedder, dense=dense, joiner=joiner, ranker=ranker)
    return pipeline


def add_search(
    pipeline: Pipeline,
    *,
    bm25: Component | None = None,
    embedder: Component | None = None,
    dense: Component | None = None,
    joiner: Component | None = None,
    ranker: Component | None = None,
) -> str:
    """Add a search to a pipeline: `query`, then `bm25` or `embedder` and `dense` or all, `fusion`, and `ranker`.

    :param bm25: retriever that takes a `query`.
    :param embedder: of queries, for `dense`.
    :param dense: retriever that takes a `query_embedding`.
    :param joiner: takes `lexical` and `dense` documents, as `joiner_of` a store does; needed where both are searched.
    :param ranker: takes `query` and `documents`, such as SentenceTransformersSimilarityRanker.
    :returns: the component whose output `documents` is the result.
    :raises InputError: when there is nothing to search with, or half of it.
    """
    _check(bm25, embedder, dense, joiner)
    pipeline.add_component("query", LRLQueryCleaner())
    last = ""
    if bm25 is not None:
        last = _add(pipeline, "bm25", bm25, {"query.query": "query"})
    if embedder is not None and dense is not None:
        _add(pipeline, "embedder", embedder, {"query.query": "text"})
        last = _add(pipeline, "dense", dense, {"embedder.embedding": "query_embedding"})
    if joiner is not None:
        ways = {"bm25.documents": "lexical", "dense.documents": "dense"}
        last = _add(pipeline, "fusion", joiner, ways)
    if ranker is not None:
        last = _add(pipeline, "ranker", ranker, {"query.query": "query", f"{last}.documents": "documents"})
    return last


def _check(
    bm25: Component | None, embedder: Component | None, dense: Component | None, joiner: Component | None
) -> None:
    if bm25 is None and dense is None:
        raise InputError("There is nothing to search with: give bm25, or embedder and dense, or all three.")
    if (embedder is None) != (dense is None):
        raise InputError("A search by vectors needs the embedder of queries and the retriever dense: give both.")
    if (joiner is not None) != (bm25 is not None and dense is not None):
        raise InputError("Two rankings need a joiner, and a joiner two rankings: see joiner_of and search_parts.")


def _add(pipeline: Pipeline, name: str, instance: Component, inputs: Mapping[str, str]) -> str:
    pipeline.add_component(name, instance)
    for sender, socket in inputs.items():
        pipeline.connect(sender, f"{name}.{socket}")
    return name


def search(pipeline: Pipeline, text: str, *, filters: Mapping[str, Any] | None = None, top_k: int = 10) -> SearchResult:
    """Ask a pipeline that `build_search` made.

    :param text: the query, as it was typed.
    :param filters: in Haystack's form; both retrievers see only the documents that pass.
    :param top_k: the most documents that are returned; fewer only where fewer were found.
    :raises InputError: for an empty query, filters or a `top_k` that cannot be, and a server that does not answer.
    """
    data = search_inputs(pipeline, text, filters=filters, top_k=top_k)
    with explained():
        return search_result(pipeline, pipeline.run(data, include_outputs_from=set(_LAST_FIRST)), top_k=top_k)


def search_inputs(pipeline: Pipeline, text: str, *, filters: Mapping[str, Any] | None = None, top_k: int = 10) -> Data:
    """Return what `pipeline.run` and `run_async` take for a search; parameters and errors are those of `search`."""
    if top_k < 1:
        raise InputError(f"top_k={top_k!r} asks for no document: choose at least 1.")
    if filters and "operator" not in filters:
        raise InputError(f"The filters {dict(filters)!r:.100} have no operator: {_FORM}.")
    known = pipeline.inputs(include_components_with_connected_inputs=True)
    last = _last(pipeline)
    data: Data = {"query": {"query": text}}
    for name in ("bm25", "dense"):
        if name in known:
            # only what is fused or ranked afterwards needs more candidates than answers
            most = top_k if name == last else max(top_k, _own_top_k(pipeline, name))
            data[name] = {"top_k": most, **({"filters": dict(filters)} if filters else {})}
    if "top_k" in known[last]:
        data.setdefault(last, {})["top_k"] = top_k
    return data


def search_result(pipeline: Pipeline, outputs: Mapping[str, Any], *, top_k: int = 10) -> SearchResult:
    """Return what a run found, which must hold the outputs of `bm25`, `dense`, `fusion` and `ranker`, where present."""
    found = {name: list(outputs.get(name, {}).get("documents", [])) for name in _LAST_FIRST}
    return SearchResult(found[_last(pipeline)][:top_k], found["bm25"], found["dense"])


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what a component of a running pipeline refuses into the error that the caller can mend.

    :raises InputError: for what the caller gave, and for a server that does not answer or refuses the query.
    """
    try:
        yield
    except PipelineRuntimeError as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise InputError(str(cause)) from error
        if isinstance(cause, FilterError):
            raise InputError(f"The filters cannot be used ({cause}): {_FORM}.") from error
        said = _said_by_server(cause)
        if said is None:
            raise
        raise InputError(said) from error


def _said_by_server(cause: BaseException | None) -> str | None:
    """Return what is wrong with OpenSearch or what it refuses, in one sentence; None for what is not of it."""
    try:
        from opensearchpy.exceptions import ConnectionError as Unreachable
        from opensearchpy.exceptions import TransportError
    except ImportError:
        return None
    if isinstance(cause, Unreachable):
        return "The search server does not answer in time: check that it runs, then ask again."
    if isinstance(cause, TransportError):
        if cause.error == "search_phase_execution_exception" and cause.status_code in (500, 503):
            return "A part of the index does not answer: check that all nodes of the server run, then ask again."
        return f"The search server refuses the query ({cause.status_code}, {cause.error}): mend what it says."
    return None


def _last(pipeline: Pipeline) -> str:
    return next(name for name in _LAST_FIRST if name in pipeline.graph.nodes)


def _own_top_k(pipeline: Pipeline, name: str) -> int:
    parameters = component_to_dict(pipeline.get_component(name), name)["init_parameters"]
    return parameters.get("top_k") or CANDIDATES
