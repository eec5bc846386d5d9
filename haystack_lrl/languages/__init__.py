"""What the package knows of a language: names, scripts, sentence ends, search tokens."""
