"""Training data by a chat model: queries about documents, and triplets from anchors."""

from haystack_integrations.components.generators.lrl.query_generator import LRLQueryGenerator
from haystack_integrations.components.generators.lrl.triplet_generator import LRLTripletGenerator

__all__ = ["LRLQueryGenerator", "LRLTripletGenerator"]
