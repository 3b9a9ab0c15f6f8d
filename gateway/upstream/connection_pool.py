"""The pool of connections that are kept for later requests."""

import threading
from collections import deque
from typing import Final

from gateway.requests.lifetime import Clock
from gateway.upstream.connection import Connection

Key = tuple[bool, str, int]
"""The destination of a connection: whether it uses TLS, the host and the port."""

MOST_KEPT: Final = 256
"""The maximum number of kept connections to one host."""
LONGEST_IDLE: Final = 120.0
"""Seconds after which an idle connection is not used again."""


class ConnectionPool:
    """Keeps idle connections by destination. The most recently used one is used first.

    `_lock` guards the kept connections and the closed state. Connections are checked and closed without it.
    """

    def __init__(self, clock: Clock, most: int = MOST_KEPT, longest_idle: float = LONGEST_IDLE) -> None:
        self._clock = clock
        self._most = most
        self._longest_idle = longest_idle
        self._lock = threading.Lock()
        self._kept: dict[Key, deque[tuple[Connection, float]]] = {}
        self._closed = False

    def take(self, key: Key) -> Connection | None:
        """Return a usable connection to *key* and remove it from the pool; None if there is none."""
        while (found := self._newest(key)) is not None:
            connection, kept_at = found
            if self._clock() - kept_at < self._longest_idle and connection.is_usable():
                return connection
            connection.close()
        return None

    def give(self, key: Key, connection: Connection) -> None:
        """Keep a connection for a later request, and close the surplus and expired ones."""
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
        """Close all kept connections to *key*, because one of them was dead and the others may be, too."""
        with self._lock:
            dropped = self._kept.pop(key, ())
        for connection, _ in dropped:
            connection.close()

    def close(self) -> None:
        """Close all kept connections, and from now on every connection that is given back."""
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
