"""Where to listen, and which server does."""

import ipaddress
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.config.settings import Settings

if TYPE_CHECKING:
    from gateway.server.runtime import CreateApplication

_BACKLOG: Final = 2048


class PortTakenError(OSError):
    """Somebody else listens where the proxy wants to."""


class UnknownHostError(OSError):
    """The name of the host to listen on leads nowhere."""


def address_of(host: str) -> str:
    """Look up the address of a host, IPv4 if it has one; raises `UnknownHostError`. The server takes no names."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(f"cannot listen on {host}: {getattr(error, 'strerror', None) or error}") from error
    return str(min(found, key=lambda each: each[0] is not socket.AF_INET)[4][0])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ensure_free(address: str, port: int) -> None:
    """Raise `PortTakenError` if nobody can listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            raise PortTakenError(
                f"cannot listen on {address}:{port}: {os.strerror(error.errno) if error.errno else error}"
            ) from error


def listen(address: str, port: int) -> socket.socket:
    """Listen at an address; raises `PortTakenError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise PortTakenError(
            f"cannot listen on {address}:{port}: {os.strerror(error.errno) if error.errno else error}"
        ) from error


def serve(settings: Settings, load: Callable[[], Settings], create: "CreateApplication") -> int:
    """Serve at the address that is the host of *settings* until told to stop; give the exit code.

    *create* builds the application in each worker process. On SIGHUP new workers take over, with the settings that
    *load* gives then.
    """
    if hasattr(os, "fork"):
        from gateway.server.supervisor import Supervisor  # noqa: PLC0415 - Windows has not what it needs

        return Supervisor(settings, load, create).run()
    from gateway.server.single_process import serve_here  # noqa: PLC0415 - only where the other one cannot be used

    return serve_here(settings, create)
