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
    """The number of worker processes. Each of them selects deployments by itself."""
    max_body_bytes: Annotated[int, Ge(1024)] = 64 * 1024 * 1024
    """The largest request body in bytes, also after it was decompressed."""
    connections: _Count = 4096
    """One worker has at most this many connections open. Beyond that, idle ones are closed, then new ones wait."""
    requests: _Count = 1000
    """One worker has at most this many requests in progress."""
    waiting: Annotated[int, Ge(0), Le(100_000)] = 1000
    """In one worker, at most this many further requests wait until one of those has ended."""
    waiting_seconds: Annotated[float, Ge(0), Le(3600)] = 10.0
    """A request waits for that for at most this many seconds."""
    requests_per_key: _Count | None = None
    """One worker has at most this many requests of one key in progress, and a key has the same share of the requests
    that wait. The default is half of `requests` if there are several keys."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies. If a connection comes from one of them, wrong keys count for the
    last address in X-Forwarded-For that is not one of them."""
    header_timeout: _Seconds = 10.0
    """A client must send the headers of a request within this many seconds."""
    keep_alive: _Seconds = 75.0
    """A connection without a request stays open for this many seconds."""
    body_timeout: _Seconds = 30.0
    """A client may pause for this many seconds while it sends the body of a request."""
    write_timeout: _Seconds = 60.0
    """A client may read nothing of its answer for this many seconds."""
    drain_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """After SIGTERM, /ready is 503 at once, and connections are still accepted for this many seconds."""
    drain_seconds: Annotated[float, Ge(0), Le(86_400)] = 25.0
    """After that, open requests may go on for this many seconds."""
    admin_port: Port | None = None
    """The port of /health, /ready, /metrics and /router/state in the supervising process. The default is none."""
    admin_host: Annotated[str, MinLen(1)] = "127.0.0.1"
    """The address of that port. If other machines can reach it, /metrics and /router/state need a key."""
