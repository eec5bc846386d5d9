"""Translation of documents into a low-resource language."""

from haystack_integrations.components.translators.lrl.document_translator import LRLDocumentTranslator

__all__ = ["LRLDocumentTranslator"]
