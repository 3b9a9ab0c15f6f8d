"""The settings of the server itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How connections are accepted and how long clients may take; times are in seconds.

    *connections*, *requests* and *waiting* count for each process.
    """

    connections: int = 4096
    """Connections that are open at the same time."""
    requests: int = 1000
    """Requests in progress at the same time."""
    waiting: int = 1000
    """Requests that may wait for a place among those in progress."""
    waiting_seconds: float = 10.0
    """How long a request waits for a place."""
    header_timeout: float = 10.0
    """From the first byte of a request to the end of its headers."""
    keep_alive: float = 75.0
    """How long a connection stays open between two requests, or before the first one."""
    body_timeout: float = 30.0
    """How long a request body may make no progress."""
    write_timeout: float = 60.0
    """How long a client may take nothing of its response."""
    drain_delay: float = 0.0
    """From SIGTERM, which makes `/ready` a 503, until no more connections are accepted."""
    drain_seconds: float = 25.0
    """How long requests that are open may go on after that."""
    admin_port: int | None = None
    """Where the supervising process answers operators; None: nowhere."""
    admin_host: str = "127.0.0.1"
