"""The dialects of embedding models."""
