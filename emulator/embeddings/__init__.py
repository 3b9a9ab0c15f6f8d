"""Embeddings, in each vendor's format."""
