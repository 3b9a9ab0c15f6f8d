"""Routing events: what happened, for observers, other processes and the log."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeVar

from dialects.core.faults import FaultKind
from routing.endpoint import Endpoint, QuotaDomain

log = logging.getLogger(__name__)

CooldownKey = Endpoint | QuotaDomain | str
"""What can be in cooldown: an endpoint, a quota domain, or a subaccount by its name."""


class Circuit(Enum):
    """The states of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Transition:
    """A circuit went from one state to another."""

    was: Circuit
    now: Circuit
    reason: str
    seconds: float = 0.0
    """How long an open circuit stays open, if nothing happens before."""
    k: int = 0
    """How often that time was doubled."""
    ejected: bool = False
    """Whether it opened because the deployment is not there."""


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """An endpoint's circuit changed its state."""

    endpoint: Endpoint
    transition: Transition


@dataclass(frozen=True, slots=True)
class CooldownStarted:
    """An endpoint, a quota domain or a whole subaccount is in cooldown."""

    endpoint: Endpoint
    """Where it was noticed."""
    key: CooldownKey
    seconds: float
    why: FaultKind


@dataclass(frozen=True, slots=True)
class CooldownEnded:
    """An answer came from where a cooldown had been, so the next one will be short again."""

    endpoint: Endpoint
    key: CooldownKey


class OutcomeRecorded(NamedTuple):
    """It is known how a request went: answered if *fault* is None. Every request has one, so it is cheap to make."""

    endpoint: Endpoint
    fault: FaultKind | None
    seconds: float
    """From the lease to the first content, or to the failure."""


@dataclass(frozen=True, slots=True)
class LeaseAbandoned:
    """A lease was garbage-collected without being released, and is released now."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class PoolsChanged:
    """Endpoints joined or left."""

    joined: tuple[Endpoint, ...]
    left: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class StrategyFailed:
    """A strategy raised, or named what it was not offered; published once for each model."""

    strategy: str
    model: str
    error: Exception


RoutingEvent = (
    CircuitChanged | CooldownStarted | CooldownEnded | OutcomeRecorded | LeaseAbandoned | PoolsChanged | StrategyFailed
)
Listener = Callable[[RoutingEvent], None]
_T = TypeVar("_T")


class EventQueue(deque[_T]):
    """Keeps what happened until no lock is held any more. `append` is safe under any lock, and in a finalizer."""

    def drain(self) -> Iterator[_T]:
        """Give what was appended, each event to one caller."""
        while self:
            try:
                yield self.popleft()
            except IndexError:  # another thread was quicker
                return


class EventPublisher:
    """Tells listeners what happened, each event once, and logs what an operator wants to know.

    Events are `put` under any lock, and published by whoever holds none. A listener that raises is logged.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self._listeners = tuple(listeners)
        self._queue: EventQueue[RoutingEvent] = EventQueue()

    def subscribe(self, listener: Listener) -> None:
        """Tell *listener* as well, from the next event on."""
        self._listeners = (*self._listeners, listener)

    def put(self, event: RoutingEvent) -> None:
        """Remember an event until `publish`."""
        self._queue.append(event)

    def publish(self) -> None:
        """Tell what happened; the caller holds no lock."""
        for event in self._queue.drain() if self._queue else ():
            if type(event) is not OutcomeRecorded:
                _write(event)
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception:
                    log.exception("a listener failed on %s", type(event).__name__)


def _write(event: RoutingEvent) -> None:
    """Log what an operator wants to know; single requests are logged by whoever serves them."""
    match event:
        case CircuitChanged(endpoint, change):
            level = logging.WARNING if change.now is Circuit.OPEN else logging.INFO
            was, now = change.was.value, change.now.value
            log.log(level, "circuit of %s: %s -> %s: %s", _named(endpoint), was, now, change.reason)
        case CooldownStarted(_, key, seconds, why):
            log.warning("%s is in cooldown for %.1f s: %s", _named(key), seconds, why.value)
        case StrategyFailed(strategy, model, error):
            message = "the strategy %s failed for %s, so the first candidate is selected"
            log.error(message, strategy, model, exc_info=error)
        case LeaseAbandoned(endpoint):
            log.warning("a lease on %s was never released: close leases, or use them in a `with`", _named(endpoint))


def _named(key: CooldownKey) -> str:
    if isinstance(key, str):
        return f"subaccount {key}"
    if isinstance(key, Endpoint):
        return f"{key.model} at {key.subaccount}/{key.deployment}"
    return f"the quota of {key.model} in {key.subaccount}"
