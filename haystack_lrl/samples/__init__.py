"""Sample data for the quickstart, CC0."""
