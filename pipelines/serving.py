"""What the server answers with: the pipelines of one place, loaded once, and their results as JSON."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from haystack import Document, Pipeline
from haystack.core.errors import PipelineRuntimeError

from haystack_lrl.records.errors import InputError, MissingExtraError
from haystack_lrl.synthesis.generators import load_chat
from pipelines.answering import ask, build_rag
from pipelines.retrieval import Mode, build_search, search, search_parts
from pipelines.stores import Place, embedder_of, open_store

try:
    from fastapi import HTTPException
except ImportError as error:
    raise MissingExtraError('The server needs packages: pip install "haystack-lrl[serve]"') from error

logger = logging.getLogger(__name__)

ENVIRONMENT = "HAYSTACK_LRL_SERVING"
"""Environment variable with a `Serving` as JSON, which the wrappers read: hayhooks gives them nothing else."""

_MOST = 100  # documents in one answer
_lock = threading.Lock()
_opened: dict["Serving", "Service"] = {}


@dataclass(frozen=True)
class Serving:
    """What is served.

    :param place: where the documents lie.
    :param generator: chat model that answers, as `haystack_lrl.synthesis.generators.load_chat` takes it; None only
        searches.
    :param mode: rankings to search by.
    :param dense_weight: share of the vectors in a hybrid, 0..1.
    """

    place: Place
    generator: str | None = None
    mode: Mode = "hybrid"
    dense_weight: float = 0.5

    def to_environment(self) -> None:
        """Say it to the wrappers of this process and of those that it starts."""
        os.environ[ENVIRONMENT] = json.dumps(asdict(self), default=str)  # paths

    @classmethod
    def from_environment(cls) -> Self:
        """Return what the environment says.

        :raises InputError: when it says nothing, or something else.
        """
        try:
            row = json.loads(os.environ[ENVIRONMENT])
            place = row.pop("place")
            place.update(model=Path(place["model"]), hosts=tuple(place.get("hosts", ())))
            if place.get("certificates"):
                place["certificates"] = Path(place["certificates"])
            return cls(Place(**place), **row)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise InputError(
                f"The environment variable {ENVIRONMENT} does not say what to serve: set it to JSON such as "
                '{"place": {"store": "memory", "language": "epo", "model": "runs/epo/model", "index": "index"}}.'
            ) from error


@dataclass(frozen=True)
class Service:
    """Pipelines with their models in memory.

    :param search: searches.
    :param rag: searches and answers; None without a generator.
    :param turns: as many as the generator answers at a time.
    """

    search: Pipeline
    rag: Pipeline | None = None
    turns: threading.Semaphore = field(default_factory=threading.Semaphore)


def open_service(serving: Serving) -> Service:
    """Return the pipelines of what is served; all who ask for the same share them.

    :raises InputError: when the store, the model or the generator cannot be used.
    :raises MissingExtraError: when a package is not installed.
    """
    with _lock:  # hayhooks sets wrappers up in several threads
        if serving not in _opened:
            _opened[serving] = _open(serving)
        return _opened[serving]


def _open(serving: Serving) -> Service:
    store = open_store(serving.place)

    def parts() -> dict[str, Any]:  # a component belongs to one pipeline; the weights are shared
        return search_parts(store, embedder_of(serving.place), serving.mode, dense_weight=serving.dense_weight)

    finder = build_search(**parts())
    finder.warm_up()
    if serving.generator is None:
        return Service(finder)
    chat = load_chat(serving.generator)
    chat.warm_up()
    rag = build_rag(language=serving.place.language, generator=chat.generator, **parts())
    rag.warm_up()
    return Service(finder, rag, threading.Semaphore(chat.workers))


def found_by(
    service: Service, query: str, *, top_k: int = 10, filters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Search, and return the documents with their places in both rankings, and the beginnings of these.

    :returns: `documents`, `lexical` and `dense`; a ranking that the pipeline does not have is None.
    :raises InputError: for a blank query, and filters or a `top_k` that cannot be.
    """
    if top_k > _MOST:
        raise InputError(f"top_k={top_k} is more than an answer holds: ask for {_MOST} at most.")
    found = search(service.search, query, filters=filters, top_k=top_k)
    known = service.search.graph.nodes
    lexical = list(_rows(found.lexical)) if "bm25" in known else None
    dense = list(_rows(found.dense)) if "dense" in known else None
    documents = list(_rows(found.documents))
    for name, ranking in (("lexical", lexical), ("dense", dense)):
        places = {row["id"]: {"rank": row["rank"], "score": row["score"]} for row in ranking or []}
        for row in documents:
            row[name] = places.get(row["id"])
    return {"documents": documents, "lexical": lexical and lexical[:top_k], "dense": dense and dense[:top_k]}


def _rows(documents: Iterable[Document]) -> Iterator[dict[str, Any]]:
    for rank, document in enumerate(documents, start=1):
        row = {"rank": rank, "id": document.id, "content": document.content or "", "score": document.score}
        yield {**row, **_shown(document.meta)}


def _shown(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata that readers see; the rest, such as paths, stays here."""
    return {key: str(meta.get(key) or "") for key in ("title", "url", "language")}


def answered_by(service: Service, query: str) -> dict[str, Any]:
    """Answer from the documents, and return the answer with its numbered sources.

    :raises InputError: for a blank query, and where there is no generator.
    """
    if service.rag is None:
        raise InputError("This server only searches: start it with a generator.")
    with service.turns:
        answer = ask(service.rag, query)
    sources = [
        {
            **{key: source[key] for key in ("number", "id", "content", "score")},
            **_shown(source["meta"]),
            "cited": source["number"] in answer.meta["citations"],
        }
        for source in answer.meta["sources"]
    ]
    facts = {key: answer.meta[key] for key in ("answered", "reason", "language_ok", "language_reason")}
    return {"answer": answer.data, **facts, "sources": sources}


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Turn errors into HTTP statuses with one sentence: 422 for what was asked, 502 and 503 for what is behind us.

    :raises HTTPException: in place of any error of a pipeline.
    """
    try:
        yield
    except (InputError, PipelineRuntimeError) as error:
        chain = _causes(error)
        failed = next((cause for cause in chain if isinstance(cause, PipelineRuntimeError)), None)
        if failed is not None and failed.component_name == "generator":
            logger.exception("The generator failed")
            raise HTTPException(502, "The language model does not answer: the server's log says why.") from error
        if any(map(_is_away, chain)):
            logger.exception("The document store failed")
            raise HTTPException(503, "The document store does not answer: try again later.") from error
        if isinstance(error, InputError):
            raise HTTPException(422, str(error)) from error
        logger.exception("The search failed")
        raise HTTPException(500, "The search failed: the server's log says why.") from error


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it was raised from."""
    chain: list[BaseException] = []
    while error is not None:
        chain.append(error)
        error = error.__cause__
    return chain


def _is_away(error: BaseException) -> bool:
    """Tell whether an error is of a store that cannot answer now, and not of what was asked of it."""
    try:
        from opensearchpy.exceptions import OpenSearchException, RequestError
    except ImportError:
        return False
    return isinstance(error, OpenSearchException) and not isinstance(error, RequestError)


def asked_last(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return the user's last message of an OpenAI-compatible chat; its parts of text where it has parts.

    :raises InputError: when there is none.
    """
    for message in reversed(list(messages)):
        if message.get("role") == "user":
            content = message.get("content") or ""
            parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
            return "\n".join(parts)
    raise InputError("The chat has no message of the user: ask something.")
