"""The limit of open file descriptors, and the number of connections that it allows."""

from typing import Final

_MOST: Final = 1 << 20
_OTHERS: Final = 64
"""The number of descriptors for everything except connections: the log, libraries, status files."""
_UPSTREAM: Final = 2
"""The maximum number of connections to SAP AI Core for one request in progress."""


def raise_limit() -> int | None:
    """Raise this process's limit of descriptors to the maximum, and return it; None if there is no limit."""
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
    """Return the number of client connections for which *descriptors* suffice, at most *connections*.

    Each connection needs one descriptor, and up to *requests* of them also need connections to SAP AI Core.
    """
    if descriptors is None:
        return connections
    left = descriptors - _OTHERS
    beside_all_requests = left - _UPSTREAM * requests
    affordable = beside_all_requests if beside_all_requests >= requests else left // (1 + _UPSTREAM)
    return max(1, min(connections, affordable))
