"""The foundation of all dialects: conversations, stream events, faults, and the readers and relays of streams."""
