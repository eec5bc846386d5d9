"""Haystack embedders for models that haystack-lrl adapted, and for any other SentenceTransformer with prompts."""

from haystack_integrations.components.embedders.lrl.document_embedder import LRLDocumentEmbedder
from haystack_integrations.components.embedders.lrl.text_embedder import LRLTextEmbedder

__all__ = ["LRLDocumentEmbedder", "LRLTextEmbedder"]
