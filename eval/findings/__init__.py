"""Findings of the source papers, tested again: one script and one result a claim."""
