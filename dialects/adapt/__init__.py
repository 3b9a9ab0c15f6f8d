"""How a conversation is adapted to what a model takes."""
