"""Search three documents; `diff before.py after.py` shows all that changes when our embedders take over.

    python examples/swap_embedder/before.py runs/epo/model
    python examples/swap_embedder/after.py runs/epo/model

The stock embedders are in a package of their own: pip install sentence-transformers-haystack
"""

import sys

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

# isort: split
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

MODEL = sys.argv[1] if len(sys.argv) > 1 else "runs/epo/model"
QUESTION = "Kiel protekti tomatojn kontraŭ pluvo?"
DOCUMENTS = [
    Document(content="Tegmento el plasto super la tomatoj tenas la foliojn sekaj."),
    Document(content="La nokta trajno al Prago ekveturas je la deka."),
    Document(content="Abeloj sekigas la nektaron per siaj flugiloj."),
]

store = InMemoryDocumentStore(embedding_similarity_function="cosine")

indexing = Pipeline()
indexing.add_component("embedder", SentenceTransformersDocumentEmbedder(model=MODEL, progress_bar=False))
indexing.add_component("writer", DocumentWriter(store))
indexing.connect("embedder.documents", "writer.documents")
indexing.run({"embedder": {"documents": DOCUMENTS}})

search = Pipeline()
search.add_component("embedder", SentenceTransformersTextEmbedder(model=MODEL, progress_bar=False))
search.add_component("retriever", InMemoryEmbeddingRetriever(store))
search.connect("embedder.embedding", "retriever.query_embedding")
for document in search.run({"embedder": {"text": QUESTION}})["retriever"]["documents"]:
    print(f"{document.score:.3f}  {document.content}")
