"""Texts to vectors, and exact search over them."""
