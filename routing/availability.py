"""Availability of endpoints, and the error for a request that no endpoint can take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dialects.core.faults import Fault, FaultKind
from routing.classification import REFUSES_THE_PROXY
from routing.endpoint import Endpoint
from routing.events import Circuit


class Availability(Enum):
    """The availability of an endpoint: whether it may be selected now, and if not, why."""

    AVAILABLE = "ready"
    PROBE = "half-open: may be probed"
    PROBING = "half-open: a probe is in progress"
    OPEN = "open"
    GONE = "gone"
    COOLDOWN = "cooling"
    DRAINED = "drained"


_SELECTABLE = frozenset({Availability.AVAILABLE, Availability.PROBE})

MAKER_LEFT = Fault(
    FaultKind.NOT_FOUND,
    "This request continues a response of a deployment that no longer exists.",
    404,
    param="previous_response_id",
)


@dataclass(frozen=True, slots=True)
class EndpointState:
    """A snapshot of one endpoint."""

    endpoint: Endpoint
    availability: Availability
    circuit: Circuit
    why: str
    """Why the endpoint is unavailable; if it is available, why its circuit is in this state."""
    seconds: float
    """Seconds until the endpoint may be selected; 0 if it may be now, infinite if that is not known."""
    k: int
    """How often the open time of the circuit was doubled."""
    in_flight: int
    latency: float
    weight: float
    """The configured weight, reduced during slow start."""
    strategy: str
    """The name of the strategy for the model."""
    last_error: FaultKind | None = None
    answered: float = math.inf
    """Seconds since the endpoint last began to answer; infinite if it never did."""
    cooldown: FaultKind | None = None
    """The kind of fault that started the current cooldown; None if there is none."""


class NoEndpointError(ValueError):
    """Raised if no endpoint can take the request now.

    *fault* is the error to send to the caller. *wait* is the number of seconds until an endpoint is available, or None
    if waiting does not help.
    """

    def __init__(self, fault: Fault, wait: float | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.wait = wait


def nearest(states: Sequence[EndpointState]) -> float | None:
    """Return the seconds until the first of *states* may be selected; None if that is not known."""
    seconds = min((state.seconds for state in states), default=math.inf)
    return seconds if math.isfinite(seconds) else None


def unavailable(model: str, states: Sequence[EndpointState]) -> NoEndpointError:
    """Return the error that says why no endpoint of *states* was leased, and when to try again."""
    if any(state.availability in _SELECTABLE for state in states):
        return NoEndpointError(Fault(FaultKind.UNAVAILABLE, f"no other deployment of {model!r} is left to try", 503))
    after = nearest(states)
    spent = sum(state.cooldown is FaultKind.RATE_LIMITED for state in states)
    if spent:
        which = "every deployment" if spent == len(states) else f"{spent} of {len(states)} deployments"
        fault = Fault(FaultKind.RATE_LIMITED, f"the quota of {which} of {model!r} is used up", 429, after)
    elif all(state.cooldown in REFUSES_THE_PROXY for state in states):
        message = f"SAP AI Core refuses the proxy's credentials for every deployment of {model!r}"
        fault = Fault(FaultKind.REFUSED_CREDENTIALS, message, 502, after)
    else:
        fault = Fault(FaultKind.UNAVAILABLE, f"no deployment of {model!r} can take the request now", 503, after)
    return NoEndpointError(fault, after)
