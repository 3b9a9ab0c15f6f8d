"""The settings of the server itself."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen

_Seconds = Annotated[float, Gt(0), Le(86_400)]
_Count = Annotated[int, Ge(1), Le(100_000)]
Port = Annotated[int, Ge(1), Le(65535)]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How many processes there are, how they accept connections, and how long clients may take."""

    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Processes. Each balances for itself."""
    max_body_bytes: Annotated[int, Ge(1024)] = 64 * 1024 * 1024
    """Bytes that a request may have."""
    connections: _Count = 4096
    """Connections that one process has open at the same time; beyond, idle ones are closed, then new ones wait."""
    requests: _Count = 1000
    """Requests that one process answers at the same time."""
    waiting: Annotated[int, Ge(0), Le(100_000)] = 1000
    """Requests that may wait in one process for a place among those that are answered."""
    waiting_seconds: Annotated[float, Ge(0), Le(3600)] = 10.0
    """Seconds that a request waits for such a place."""
    header_timeout: _Seconds = 10.0
    """Seconds from the first byte of a request to the end of its headers."""
    keep_alive: _Seconds = 75.0
    """Seconds that a connection stays open without a request."""
    body_timeout: _Seconds = 30.0
    """Seconds for which a request body may make no progress."""
    write_timeout: _Seconds = 60.0
    """Seconds for which a client may read nothing of its response."""
    drain_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """Seconds from SIGTERM, when /ready becomes a 503, until no more connections are accepted."""
    drain_seconds: Annotated[float, Ge(0), Le(86_400)] = 25.0
    """Seconds that open requests may go on after that."""
    admin_port: Port | None = None
    """The port on which the supervising process answers /health, /ready, /metrics and /router/state for all workers."""
    admin_host: Annotated[str, MinLen(1)] = "127.0.0.1"
    """The address of that port; where others than this machine reach it, /metrics and /router/state want a key."""
