"""The process: workers, connections, drain and reload."""
