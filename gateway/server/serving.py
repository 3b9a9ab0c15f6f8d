"""The start of the server: the address to listen on, and the choice between supervisor and single process."""

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.config.settings import Settings

if TYPE_CHECKING:
    from gateway.server.runtime import CreateApplication

_BACKLOG: Final = 2048


class PortTakenError(OSError):
    """Raised if another process already listens on the proxy's port."""


class UnknownHostError(OSError):
    """Raised if the name of the host to listen on cannot be resolved."""


def address_of(host: str) -> str:
    """Resolve a host to an address, IPv4 if it has one. Raises `UnknownHostError`."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(f"cannot listen on {host}: {getattr(error, 'strerror', None) or error}") from error
    return str(min(found, key=lambda each: each[0] is not socket.AF_INET)[4][0])


def ensure_free(address: str, port: int) -> None:
    """Raise `PortTakenError` if the port cannot be opened."""
    listen(address, port).close()


def listen(address: str, port: int) -> socket.socket:
    """Open a listening socket. Raises `PortTakenError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise PortTakenError(
            f"cannot listen on {address}:{port}: {os.strerror(error.errno) if error.errno else error}"
        ) from error


def serve(settings: Settings, load: Callable[[], Settings], create: "CreateApplication") -> int:
    """Serve at the address of *settings* until the process is told to stop; return the exit code.

    The host of *settings* is an address, not a name. *create* builds the application in each worker process. On SIGHUP,
    *load* is called for new settings, and new workers take over.
    """
    if hasattr(os, "fork"):
        from gateway.server.supervisor import Supervisor  # noqa: PLC0415 - Windows lacks modules that it needs

        return Supervisor(settings, load, create).run()
    from gateway.server.single_process import serve_here  # noqa: PLC0415 - only needed without fork

    return serve_here(settings, create)
