"""The connections that are kept for the next request."""

import threading
from collections import deque
from typing import Final

from gateway.requests.lifetime import Clock
from gateway.upstream.connection import Connection

Key = tuple[bool, str, int]
"""Whether a connection is secure, and to which host and port it goes."""

MOST_KEPT: Final = 256
"""How many connections to one host are kept."""
LONGEST_IDLE: Final = 120.0
"""Seconds after which a connection that nobody used is used no more."""


class ConnectionPool:
    """Keeps connections by where they go; the one that was used last is used first.

    `_lock` guards which are kept, and whether any more are; connections are looked at and closed without it.
    """

    def __init__(self, clock: Clock, most: int = MOST_KEPT, longest_idle: float = LONGEST_IDLE) -> None:
        self._clock = clock
        self._most = most
        self._longest_idle = longest_idle
        self._lock = threading.Lock()
        self._kept: dict[Key, deque[tuple[Connection, float]]] = {}
        self._closed = False

    def take(self, key: Key) -> Connection | None:
        """Give a connection over which a request may go, if there is one."""
        while (found := self._newest(key)) is not None:
            connection, kept_at = found
            if self._clock() - kept_at < self._longest_idle and connection.is_usable():
                return connection
            connection.close()
        return None

    def give(self, key: Key, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if there are enough; what is too old goes."""
        now = self._clock()
        dropped = []
        with self._lock:
            kept = self._kept.setdefault(key, deque())
            kept.append((connection, now))
            while kept and (self._closed or len(kept) > self._most or now - kept[0][1] >= self._longest_idle):
                dropped.append(kept.popleft()[0])
        for each in dropped:
            each.close()

    def drop(self, key: Key) -> None:
        """Close all that are kept for *key*: one of them led nowhere, and so may the others."""
        with self._lock:
            dropped = self._kept.pop(key, ())
        for connection, _ in dropped:
            connection.close()

    def close(self) -> None:
        """Close all that are kept, and from now on each that is given."""
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, {}
        for connections in kept.values():
            for connection, _ in connections:
                connection.close()

    def _newest(self, key: Key) -> tuple[Connection, float] | None:
        with self._lock:
            kept = self._kept.get(key)
            return kept.pop() if kept else None
