"""Training, merging and the saved model."""
