"""Recorder of the latest requests and how they ended."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.world import Json

_KEPT = 2000
_KEPT_BYTES = 64 * 1024 * 1024
_SECRETS = ("authorization", "cookie", "proxy-authorization")


@dataclass(slots=True)
class Exchange:
    """One request and its response. Only the thread that serves it changes it."""

    kind: str
    tenant: str | None
    deployment: str | None
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    size: int
    at: float
    number: int = 0
    status: int | None = None
    bytes_sent: int = 0
    events_sent: int = 0
    client_left: bool = False
    client_left_at: float | None = None
    finished_at: float | None = None
    fault: str | None = None
    model_calls: int = 0
    """How often a model was called for it. Orchestration may call one several times."""

    def as_json(self) -> Json:
        """Render the exchange as JSON, without the headers that hold credentials."""
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _SECRETS}
        return {name: getattr(self, name) for name in self.__slots__ if name != "headers"} | {"headers": headers}


@dataclass(slots=True)
class _Counts:
    """Counts since the start."""

    requests: int = 0
    left: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    deployments: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)


class Recorder:
    """The latest recorded exchanges. Its lock guards them and the counts; no other lock is taken inside it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ring: deque[Exchange] = deque()
        self._bytes = 0
        self._counts = _Counts()

    def begin(self, exchange: Exchange) -> None:
        """Record the start of a request."""
        with self._lock:
            self._counts.requests += 1
            exchange.number = self._counts.requests
            self._ring.append(exchange)
            self._bytes += exchange.size
            while len(self._ring) > _KEPT or (self._bytes > _KEPT_BYTES and len(self._ring) > 1):
                self._bytes -= self._ring.popleft().size
            if exchange.deployment:
                self._counts.deployments[exchange.deployment] += 1
                self._counts.in_flight[exchange.deployment] += 1

    def end(self, exchange: Exchange, *, left: bool) -> None:
        """Record how a request ended. Only the first call for a request counts."""
        with self._lock:
            if exchange.finished_at is not None:
                return
            exchange.finished_at = self._clock()
            if left:
                exchange.client_left, exchange.client_left_at = True, exchange.finished_at
                self._counts.left += 1
            self._counts.statuses[str(exchange.status)] += 1
            if exchange.deployment:
                self._counts.in_flight[exchange.deployment] -= 1

    def requests(self, deployment: str | None = None) -> list[Json]:
        """List the recorded exchanges of one deployment, or of all."""
        with self._lock:
            kept = list(self._ring)
        return [exchange.as_json() for exchange in kept if deployment in (None, exchange.deployment)]

    def clear(self) -> None:
        """Delete the recorded exchanges. The counts stay."""
        with self._lock:
            self._ring.clear()
            self._bytes = 0

    def counts(self) -> Json:
        """Return the counts as JSON."""
        with self._lock:
            return {
                "requests": self._counts.requests,
                "client_left": self._counts.left,
                "statuses": dict(self._counts.statuses),
                "deployments": dict(self._counts.deployments),
                "in_flight": {name: count for name, count in self._counts.in_flight.items() if count},
            }
