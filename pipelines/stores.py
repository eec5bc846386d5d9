"""Where documents lie: in memory and a folder, or in OpenSearch; always of one language and one model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from haystack import Document
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DocumentStore

from haystack_integrations.components.embedders.lrl import LRLTextEmbedder
from haystack_lrl.encoding.backends import Backend
from haystack_lrl.languages.table import language as look_up
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.folders import writing_folder
from haystack_lrl.records.jsonl import dump_line, read_jsonl
from pipelines.spaces import VectorSpace, vector_space
from pipelines.word_pattern import word_pattern

if TYPE_CHECKING:
    from pipelines.document_store import Vectors

LAYOUT = 1
"""Version of a memory store's folder, written in it: raised when the files change."""

_MANIFEST, _DOCUMENTS, _VECTORS = "index.json", "documents.jsonl", "embeddings.npy"


@dataclass(frozen=True)
class Place:
    """A document store, said in words.

    :param store: `memory` is kept in a folder, `opensearch` on a server.
    :param language: ISO 639-3 code of the documents' language.
    :param model: folder of the embedder.
    :param index: folder of a memory store; beginning of an OpenSearch index's name, or the alias.
    :param hosts: URLs of the server's nodes.
    :param certificates: file or folder of the authorities that the server's certificate is checked with.
    :param through_alias: whether `index` is an alias.
    """

    store: Literal["memory", "opensearch"]
    language: str
    model: Path
    index: str
    hosts: tuple[str, ...] = ()
    certificates: Path | None = None
    through_alias: bool = False


def open_store(place: Place, *, create: bool = False, vectors: "Vectors | None" = None) -> DocumentStore:
    """Return the store at a place.

    :param create: make an empty memory store where there is none; an OpenSearch index is always made.
    :param vectors: their form in an OpenSearch index, as `build_document_store` takes it.
    :raises InputError: when there is none, the server cannot be used, or the documents are of another model, dimension
        or language.
    :raises MissingExtraError: when the package for OpenSearch is not installed.
    """
    if place.store == "memory":
        return _open_memory(place, create=create)
    from pipelines.document_store import build_document_store
    from pipelines.server import Server

    if not place.hosts:
        raise InputError("An OpenSearch store needs the URL of its server: give hosts, such as http://localhost:9200.")
    server = Server(place.hosts, certificates=place.certificates)
    return build_document_store(
        place.language, place.model, server, name=place.index, through_alias=place.through_alias, vectors=vectors
    )


def save_store(place: Place, store: DocumentStore) -> None:
    """Write a memory store to its folder, whole or not at all; OpenSearch has saved its documents itself.

    :raises InputError: when the folder holds something else, or a document has no vector.
    """
    if not isinstance(store, InMemoryDocumentStore):
        return
    folder = Path(place.index)
    _check_free(folder)
    documents = list(store.storage.values())
    space = vector_space(place.model)
    with writing_folder(folder) as partial:
        np.save(partial / _VECTORS, _vectors(documents, space))
        with (partial / _DOCUMENTS).open("w", encoding="utf-8") as file:
            file.writelines(dump_line({**document.to_dict(flatten=False), "embedding": None}) for document in documents)
        manifest = {**_identity(place, space), "documents": len(documents)}
        (partial / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def embedder_of(place: Place, backend: Backend = "auto") -> LRLTextEmbedder:
    """Return the embedder of queries for the documents at a place."""
    return LRLTextEmbedder(str(place.model), backend=backend, progress_bar=False)


def empty_memory(language: str) -> InMemoryDocumentStore:
    """Return an empty store in memory that compares vectors by cosine, and words as the language needs it.

    BM25 is Lucene's: BM25+ without its lower bound, with Lucene's parameters. Documents go when the store goes.
    """
    return InMemoryDocumentStore(
        bm25_tokenization_regex=word_pattern(look_up(language)),
        bm25_algorithm="BM25Plus",
        bm25_parameters={"k1": 1.2, "b": 0.75, "delta": 0.0},
        embedding_similarity_function="cosine",
        shared=False,
        return_embedding=False,
    )


def _open_memory(place: Place, *, create: bool) -> InMemoryDocumentStore:
    folder = Path(place.index)
    store = empty_memory(place.language)
    if not (folder / _MANIFEST).is_file():
        if not create:
            raise InputError(f"There is no index in {folder}: make one with `haystack-lrl index`, or check the path.")
        _check_free(folder)
        return store
    manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    for key, expected in _identity(place, vector_space(place.model)).items():
        if manifest.get(key) != expected:
            raise InputError(
                f"The index in {folder} is of the {key} {manifest.get(key)!r}, not {expected!r}: "
                "use what it was made with, or index the documents anew into another folder."
            )
    store.write_documents(list(_read(folder)))
    return store


def _read(folder: Path) -> Iterator[Document]:
    vectors = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)
    for (_, row), vector in zip(read_jsonl(folder / _DOCUMENTS), vectors, strict=True):
        yield Document.from_dict({**row, "embedding": vector.tolist()})


def _identity(place: Place, space: VectorSpace) -> dict[str, Any]:
    return {
        "model": space.fingerprint,
        "dimension": space.dimension,
        "language": look_up(place.language).code,
        "layout": LAYOUT,
    }


def _vectors(documents: list[Document], space: VectorSpace) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the vectors, shape (documents, dimensions)."""
    vectors = np.zeros((len(documents), space.dimension), dtype=np.float32)
    for row, document in zip(vectors, documents, strict=True):
        if document.embedding is None or len(document.embedding) != space.dimension:
            raise InputError(f"Document {document.id} has no vector of {space.dimension} numbers: embed it first.")
        row[:] = document.embedding
    return vectors


def _check_free(folder: Path) -> None:
    """Refuse a folder that is not an index: writing one replaces the folder."""
    if folder.exists() and not (folder / _MANIFEST).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an index: choose another folder.")
