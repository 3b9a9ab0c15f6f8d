"""The adaptation of a conversation to what a model accepts."""
