"""Haystack joiners of rankings by words and by meaning."""

from haystack_integrations.components.joiners.lrl.document_joiner import Fusion, LRLDocumentJoiner

__all__ = ["Fusion", "LRLDocumentJoiner"]
