"""The process: listening, workers, drain and reload, and the admin listener."""
