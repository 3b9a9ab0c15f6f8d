"""The ways to SAP AI Core: tokens, connections, calls, listings."""
