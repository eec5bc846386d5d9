"""Test sets, runs, metrics, statistics and the report."""
