"""Pairs to kept and rejected pairs, hard negatives, splits and batches."""
