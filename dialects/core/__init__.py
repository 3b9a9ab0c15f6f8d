"""What every dialect stands on: conversations, events, faults, and the way of a stream through them."""
