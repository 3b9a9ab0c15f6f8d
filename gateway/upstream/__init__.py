"""Clients of SAP AI Core: inference over plain sockets, all other calls over `requests`."""
