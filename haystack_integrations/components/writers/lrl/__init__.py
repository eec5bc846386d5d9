"""A Haystack writer that loses no document and counts each."""

from haystack_integrations.components.writers.lrl.document_writer import LRLDocumentWriter
from haystack_integrations.components.writers.lrl.outcome import Refused, Written

__all__ = ["LRLDocumentWriter", "Refused", "Written"]
