"""Vocabulary, training, merging and the saved model."""
