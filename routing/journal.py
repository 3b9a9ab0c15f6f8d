"""What routing tells those who watch: what happened, and how things stand."""

import math
from dataclasses import dataclass
from enum import Enum

from dialects.faults import FaultKind
from routing.endpoint import Endpoint, QuotaDomain


class Circuit(Enum):
    """A breaker's states."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Transition:
    """A circuit went from one state to another; *number* counts a breaker's transitions, from 1."""

    number: int
    was: Circuit
    now: Circuit
    reason: str
    seconds: float = 0.0
    """How long an open circuit stays open, if nothing happens before."""
    k: int = 0


@dataclass(frozen=True, slots=True)
class CircuitMoved:
    """An endpoint's circuit changed its state."""

    endpoint: Endpoint
    transition: Transition


@dataclass(frozen=True, slots=True)
class Cooled:
    """Something rests: an endpoint, a quota domain or a whole subaccount."""

    endpoint: Endpoint
    """Where it was noticed."""
    key: Endpoint | QuotaDomain | str
    seconds: float
    why: FaultKind


@dataclass(frozen=True, slots=True)
class Settled:
    """A lease learnt how its request went: answered if *fault* is None."""

    endpoint: Endpoint
    fault: FaultKind | None
    seconds: float
    """From the lease to the first content, or to the failure."""


@dataclass(frozen=True, slots=True)
class PoolsChanged:
    """Endpoints came or went."""

    joined: tuple[Endpoint, ...]
    left: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class StrategyErred:
    """A strategy raised, or named what it was not offered; told once for each model."""

    strategy: str
    model: str
    error: Exception


RoutingEvent = CircuitMoved | Cooled | Settled | PoolsChanged | StrategyErred


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """How a circuit stands."""

    state: Circuit
    reason: str
    """Why it came into this state."""
    since: float
    """When it came into this state, or last proved to belong there, by the breaker's clock."""
    until: float | None
    """When an open circuit becomes half-open, by the breaker's clock; None if it is not open."""
    k: int
    """How often its open time was doubled."""
    probing: bool
    """Whether the one permit of a circuit that is not closed is out."""
    gone: bool
    """Whether it is open because the deployment is not there."""
    share: float
    """The part of its weight that slow start grants the endpoint; 1 until it has begun."""


class Standing(Enum):
    """Whether an endpoint may be chosen, and if not, why."""

    READY = "ready"
    PROBE = "half-open: may be probed"
    PROBING = "half-open: a probe is out"
    OPEN = "open"
    GONE = "gone"
    COOLING = "cooling"
    EXCLUDED = "tried already"


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint, as a choice sees it."""

    endpoint: Endpoint
    standing: Standing
    why: str
    seconds: float
    """Until it may be chosen again; 0 if it may be now."""
    in_flight: int
    weight: float
    latency: float
    cooled_by: FaultKind | None = None
    """What made it rest, if it rests."""


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Everything that is known about one endpoint."""

    endpoint: Endpoint
    standing: Standing
    circuit: Circuit
    why: str
    seconds: float
    """Until it may be chosen again; 0 if it may be now, infinite if only a discovery can say."""
    k: int
    in_flight: int
    latency: float
    weight: float
    domain: QuotaDomain
    last_error: FaultKind | None
    answered: float = math.inf
    """Seconds since it last began to answer; infinite if it never did."""
