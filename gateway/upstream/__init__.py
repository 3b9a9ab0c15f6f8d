"""The ways to SAP AI Core: inference over plain sockets, everything else over requests."""
