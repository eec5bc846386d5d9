"""What stands around a chat model in question answering: numbered sources before it, checked answers after it."""

from haystack_integrations.components.builders.lrl.answer_builder import LRLAnswerBuilder
from haystack_integrations.components.builders.lrl.sources_builder import LRLSourcesBuilder

__all__ = ["LRLAnswerBuilder", "LRLSourcesBuilder"]
