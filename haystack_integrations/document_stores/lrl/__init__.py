"""What Haystack's document stores lack for searches that can be relied on."""

from haystack_integrations.document_stores.lrl.complete_results import CompleteResults

__all__ = ["CompleteResults"]
