"""Whether an endpoint is available, and what to tell a caller when none is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dialects.core.faults import Fault, FaultKind
from routing.classification import REFUSES_THE_PROXY
from routing.endpoint import Endpoint
from routing.events import Circuit


class Availability(Enum):
    """Whether an endpoint may be selected now, and if not, why."""

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
    """Everything that is known about one endpoint at one moment."""

    endpoint: Endpoint
    availability: Availability
    circuit: Circuit
    why: str
    """Why it is not available; of one that is, why its circuit is in this state."""
    seconds: float
    """Until it may be selected again; 0 if it may be now, infinite if only a listing of deployments can say."""
    k: int
    """How often the open time of its circuit was doubled."""
    in_flight: int
    latency: float
    weight: float
    """Its weight, less what slow start holds back."""
    strategy: str
    """The name of the strategy that selects it."""
    last_error: FaultKind | None = None
    answered: float = math.inf
    """Seconds since it last began to answer; infinite if it never did."""
    cooldown: FaultKind | None = None
    """What put it in cooldown, if it is in one."""


class NoEndpointError(ValueError):
    """No endpoint can take the request now.

    *fault* is what to tell the caller; *wait* is how many seconds it takes until one may be asked,
    None if nothing is to be had by waiting.
    """

    def __init__(self, fault: Fault, wait: float | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.wait = wait


def nearest(states: Sequence[EndpointState]) -> float | None:
    """In how many seconds the first of *states* may be selected; None if nobody can say."""
    seconds = min((state.seconds for state in states), default=math.inf)
    return seconds if math.isfinite(seconds) else None


def unavailable(model: str, states: Sequence[EndpointState]) -> NoEndpointError:
    """Say why none of *states* was leased, and when it is worth coming back."""
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
