"""How many files and sockets a process may have open, and how many connections that is enough for."""

from typing import Final

_MOST: Final = 1 << 20
_OTHERS: Final = 64
"""Descriptors for everything but connections: the log, libraries, status files."""
_UPSTREAM: Final = 2
"""Connections to SAP AI Core that a request in progress may have."""


def raise_limit() -> int | None:
    """Allow this process as many descriptors as it may have; give their number, None where there is no limit."""
    try:
        import resource  # noqa: PLC0415 - Windows has no such module
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            return soft
        return most
    return None if soft == resource.RLIM_INFINITY else soft


def affordable_connections(connections: int, requests: int, descriptors: int | None) -> int:
    """Give the number of client connections for which *descriptors* are enough, at most *connections*.

    Each takes one, and up to *requests* of them have connections to SAP AI Core at the same time.
    """
    if descriptors is None:
        return connections
    left = descriptors - _OTHERS
    beside_all_requests = left - _UPSTREAM * requests
    affordable = beside_all_requests if beside_all_requests >= requests else left // (1 + _UPSTREAM)
    return max(1, min(connections, affordable))
