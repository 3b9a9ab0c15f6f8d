"""Framing: the formats in which messages are written into a stream of bytes."""
