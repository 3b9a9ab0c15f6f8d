"""The server process: listening sockets, workers, drain, reload, and the admin listener."""
