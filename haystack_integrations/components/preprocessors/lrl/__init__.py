"""Haystack preprocessors for text in languages that Haystack's own do not know."""

from haystack_integrations.components.preprocessors.lrl.document_splitter import LRLDocumentSplitter
from haystack_integrations.components.preprocessors.lrl.query_cleaner import LRLQueryCleaner

__all__ = ["LRLDocumentSplitter", "LRLQueryCleaner"]
