"""Embeddings, in the bodies of each vendor."""
