"""Adapt a text embedder to a low-resource language, prove the gain, and serve it with Haystack."""

__version__ = "0.1.0"
