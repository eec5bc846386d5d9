"""A Haystack document store on OpenSearch for one language and one model, and its renewal without downtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError

import haystack_lrl
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as look_up
from haystack_lrl.records.errors import InputError
from pipelines.server import Server
from pipelines.spaces import VectorSpace, vector_space
from pipelines.text_fields import text_mapping, text_settings

LAYOUT = 1
"""Version of settings and mappings, part of every index's name: raised when they change."""

Vectors = Literal["float", "4x"]

_META = "haystack_lrl"
_METHODS: dict[Vectors, dict[str, Any]] = {
    "float": {"method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}},
    # the graph is searched with 7 bits a number; what is found is scored again with the floats on disk
    "4x": {"mode": "on_disk", "compression_level": "4x", "space_type": "cosinesimil"},
}


def index_name(name: str, language: str, space: VectorSpace) -> str:
    """Return the index of one model: never two models or two layouts under one name."""
    return f"{name}-{look_up(language).code}-v{LAYOUT}-{space.fingerprint[:12]}"


def index_mappings(language: Language, space: VectorSpace, vectors: Vectors = "float") -> dict[str, Any]:
    """Return the mappings: text, vectors by cosine, metadata as keywords, and who made the index."""
    return {
        "_meta": {
            _META: {
                "model": space.fingerprint,
                "dimension": space.dimension,
                "language": language.code,
                "vectors": vectors,
                "layout": LAYOUT,
                "version": haystack_lrl.__version__,
            }
        },
        "properties": {
            "content": text_mapping(language),
            "embedding": {"type": "knn_vector", "dimension": space.dimension, **_METHODS[vectors]},
        },
        # a title that looks like a date would make all others wrong
        "date_detection": False,
        # a keyword of over 32,766 bytes would make the server refuse the whole document
        "dynamic_templates": [
            {"strings": {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 8191}}}
        ],
    }


def build_document_store(
    language: str,
    model: Path | VectorSpace,
    server: Server,
    *,
    name: str = "documents",
    through_alias: bool = False,
    vectors: Vectors | None = None,
    settings: Mapping[str, Any] | None = None,
    return_embedding: bool = False,
) -> OpenSearchDocumentStore:
    """Return the store of a language and a model: its index is made where there is none, and checked where there is.

    To index anew while others search, write into the index of the new model and then `switch_alias`; searchers read
    through the alias all the time.

    :param model: folder of the embedder, or what is known of its vectors.
    :param name: the beginning of the index's name; with `through_alias` the alias itself, which must exist.
    :param vectors: form in an index that is made: `float`, the default, or `4x`, of which searches read a quarter, for
        vectors that outgrow the server's memory (eval/README.md has figures). An index that is there keeps its own.
    :param settings: index settings beyond ours, such as `{"index.number_of_replicas": 2}`.
    :param return_embedding: whether documents that are found bring their vectors along.
    :raises InputError: when the server cannot be used, the alias is not there, or the index holds vectors of another
        model, dimension, language or form.
    """
    space = model if isinstance(model, VectorSpace) else vector_space(model)
    spoken = look_up(language)
    index = name if through_alias else index_name(name, language, space)
    mappings = index_mappings(spoken, space, vectors or "float")
    wanted = {"index.knn": True, **text_settings(spoken), **(settings or {})}
    with server.client() as client:
        server.wait(client)
        if not through_alias and not client.indices.exists(index=index):
            _create(client, index, {"mappings": mappings, "settings": wanted})
        asked = ("model", "dimension", "language", *(("vectors",) if vectors else ()))
        _check(client, index, {key: mappings["_meta"][_META][key] for key in asked})
    return OpenSearchDocumentStore(
        **server.options,
        index=index,
        embedding_dim=space.dimension,
        return_embedding=return_embedding,
        mappings=mappings,
        settings=wanted,
        create_index=not through_alias,  # an index of the alias's name would stand in its way
        http_auth=server.auth,
    )


def _create(client: OpenSearch, index: str, body: dict[str, Any]) -> None:
    try:
        client.indices.create(index=index, body=body)
    except RequestError as error:
        if error.error != "resource_already_exists_exception":  # another process was faster
            raise


def _check(client: OpenSearch, index: str, expected: Mapping[str, Any]) -> None:
    """Compare what an index, or each index behind an alias, says of itself with what is expected of it."""
    try:
        found = client.indices.get_mapping(index=index)
    except NotFoundError as error:
        raise InputError(f"There is no index or alias {index!r}: write documents, then switch_alias.") from error
    for actual, body in found.items():
        says = body["mappings"].get("_meta", {}).get(_META)
        if says is None:
            raise InputError(f"The index {actual!r} was not made by this package: choose another name.")
        for key, wanted in expected.items():
            if says.get(key) != wanted:
                raise InputError(
                    f"The index {actual!r} is of the {key} {says.get(key)!r}, not {wanted!r}: "
                    f"use what it was made with, or index the documents anew."
                )


def switch_alias(server: Server, alias: str, store: OpenSearchDocumentStore) -> list[str]:
    """Let an alias point at the index of a store and at no other, in one step that no search falls into.

    :returns: the indices that it pointed at before; delete them when nobody needs the way back.
    :raises InputError: when an index has the alias's name, or there is no such index.
    """
    index = store.to_dict()["init_parameters"]["index"]
    with server.client() as client:
        if not client.indices.exists(index=index):
            raise InputError(f"There is no index {index!r} that the alias {alias!r} could point at: index first.")
        if not client.indices.exists_alias(name=alias) and client.indices.exists(index=alias):
            raise InputError(f"{alias!r} is an index and so cannot be an alias: choose another name.")
        before = sorted(client.indices.get_alias(name=alias)) if client.indices.exists_alias(name=alias) else []
        # what is searchable only after a refresh would be missing at first
        client.indices.refresh(index=index)
        gone = [{"remove": {"index": old, "alias": alias}} for old in before if old != index]
        client.indices.update_aliases(body={"actions": [*gone, {"add": {"index": index, "alias": alias}}]})
    return before
