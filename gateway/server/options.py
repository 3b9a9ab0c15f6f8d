"""The settings of the server itself."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen

_Seconds = Annotated[float, Gt(0), Le(86_400)]
_Count = Annotated[int, Ge(1), Le(100_000)]
_Memory = Annotated[int, Ge(1024 * 1024)]
Port = Annotated[int, Ge(1), Le(65535)]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Settings of the server: worker processes, limits of requests and connections, and time limits of clients."""

    workers: Annotated[int, Ge(1), Le(256)] = 1
    """The number of worker processes. Each selects deployments independently of the others."""
    max_body_bytes: Annotated[int, Ge(1024)] = 64 * 1024 * 1024
    """The maximum size of a request body in bytes, before and after decompression."""
    max_request_memory_bytes: _Memory | None = None
    """The maximum memory in bytes that one request may take: its body, the media it names, and what is held of the
    answer. It is estimated. The default is 16 times `max_body_bytes`. It is at most `max_memory_bytes`, or half of that
    if there are several keys."""
    max_memory_bytes: _Memory | None = None
    """The maximum memory in bytes that all requests in one worker may take. Beyond it, requests get a 503. If there are
    several keys, the requests of each may take half of it. The default is half of the memory of the machine or the
    container, divided by `workers`, and at least 64 MiB."""
    connections: _Count = 4096
    """The maximum number of open connections in one worker. Beyond it, idle connections are closed, and then new ones
    wait."""
    requests: _Count = 1000
    """The maximum number of requests in progress in one worker."""
    waiting: Annotated[int, Ge(0), Le(100_000)] = 1000
    """The maximum number of further requests in one worker that wait until one in progress ends."""
    waiting_seconds: Annotated[float, Ge(0), Le(3600)] = 10.0
    """The maximum time that such a request waits, in seconds."""
    requests_per_key: _Count | None = None
    """The maximum number of requests in progress with one key in one worker. A key has the same share of the waiting
    requests. If there are several keys, the default is half of `requests`; otherwise there is no such limit."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies. For a connection from one of them, wrong keys are counted for the last
    address in X-Forwarded-For that is not listed here."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names under which a proxy without keys serves requests, besides localhost, `host` and all IP addresses. Each
    is a name without a port. A web page can make any other name lead to the proxy. admin_port follows the same list."""
    header_timeout: _Seconds = 10.0
    """The time in which a client must send the headers of a request, in seconds."""
    keep_alive: _Seconds = 75.0
    """The time after which a connection without a request is closed, in seconds."""
    body_timeout: _Seconds = 30.0
    """The maximum pause while a client sends the body of a request, in seconds."""
    write_timeout: _Seconds = 60.0
    """The maximum time in which a client reads nothing of its answer, in seconds."""
    drain_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """The time between SIGTERM and the drain, in seconds. In it, /ready is 503, and connections are still accepted."""
    drain_seconds: Annotated[float, Ge(0), Le(86_400)] = 25.0
    """The time that open requests have to end in a drain, in seconds."""
    admin_port: Port | None = None
    """The port on which the supervising process serves /health, /ready, /metrics and /router/state. The default is
    none."""
    admin_host: Annotated[str, MinLen(1)] = "127.0.0.1"
    """The address of admin_port. If other machines can reach it, /metrics and /router/state require a key."""
