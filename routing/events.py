"""Routing events, for observers, other processes and the log."""

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
"""Anything that can be in cooldown: an endpoint, a quota domain, or a subaccount by its name."""


class Circuit(Enum):
    """The states of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a circuit from one state to another."""

    was: Circuit
    now: Circuit
    reason: str
    seconds: float = 0.0
    """Seconds for which an open circuit stays open, unless something closes it before."""
    k: int = 0
    """How often the open time was doubled."""
    ejected: bool = False
    """Whether the circuit opened because the deployment does not exist."""


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """The event that the circuit of an endpoint has changed its state."""

    endpoint: Endpoint
    transition: Transition


@dataclass(frozen=True, slots=True)
class CooldownStarted:
    """The event that a cooldown of an endpoint, a quota domain or a subaccount has started."""

    endpoint: Endpoint
    """The endpoint whose answer started the cooldown."""
    key: CooldownKey
    seconds: float
    why: FaultKind


@dataclass(frozen=True, slots=True)
class CooldownEnded:
    """The event that a success has ended a cooldown, so the next one will be short again."""

    endpoint: Endpoint
    key: CooldownKey


class OutcomeRecorded(NamedTuple):
    """The outcome of an attempt: the endpoint answered if *fault* is None. A named tuple, as it is made very often."""

    endpoint: Endpoint
    fault: FaultKind | None
    seconds: float
    """Seconds from the lease to the first content or to the failure."""


@dataclass(frozen=True, slots=True)
class LeaseAbandoned:
    """The event that a lease was garbage-collected without being closed, and is closed now."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class PoolsChanged:
    """The event that endpoints joined or left the pools."""

    joined: tuple[Endpoint, ...]
    left: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class StrategyFailed:
    """The event that a strategy raised, or returned an endpoint that is not a candidate; once for each model."""

    strategy: str
    model: str
    error: Exception


RoutingEvent = (
    CircuitChanged | CooldownStarted | CooldownEnded | OutcomeRecorded | LeaseAbandoned | PoolsChanged | StrategyFailed
)
Listener = Callable[[RoutingEvent], None]
_T = TypeVar("_T")


class EventQueue(deque[_T]):
    """A queue of events until no lock is held any more. `append` is safe under any lock, and in a finalizer."""

    def drain(self) -> Iterator[_T]:
        """Yield and remove the queued events; each one goes to one caller."""
        while self:
            try:
                yield self.popleft()
            except IndexError:  # another thread was quicker
                return


class EventPublisher:
    """Sends each routing event once to all listeners, and logs the events that matter to operators.

    `put` may be called under any lock; `publish` must be called without one. An exception of a listener is logged.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self._listeners = tuple(listeners)
        self._queue: EventQueue[RoutingEvent] = EventQueue()

    def subscribe(self, listener: Listener) -> None:
        """Add *listener*, which gets the events from the next one on."""
        self._listeners = (*self._listeners, listener)

    def put(self, event: RoutingEvent) -> None:
        """Queue an event until `publish`."""
        self._queue.append(event)

    def publish(self) -> None:
        """Send the queued events to the listeners. The caller must hold no lock."""
        for event in self._queue.drain() if self._queue else ():
            if type(event) is not OutcomeRecorded:
                _write(event)
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception:
                    log.exception("a listener failed on %s", type(event).__name__)


def _write(event: RoutingEvent) -> None:
    """Log an event that matters to operators. Outcomes of single requests are logged elsewhere."""
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
