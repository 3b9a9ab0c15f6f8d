"""What a failure means for circuit, cooldown and retry: one table, read by all."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from dialects.core.faults import Fault, FaultKind, Quota


class Effect(Enum):
    """What a circuit breaker makes of it."""

    NEUTRAL = "neutral"
    """Nothing was learnt about the endpoint."""
    THROTTLE = "throttle"
    """Neutral, except that it ends a probe."""
    REFUSAL = "refusal"
    """Neutral, unless another endpoint accepts the same request; so one other is asked, and no more."""
    FAILURE = "failure"
    EJECT = "eject"
    """The deployment is not there: open at once."""


class Scope(Enum):
    """What is put in cooldown."""

    NONE = "none"
    ENDPOINT = "endpoint"
    DOMAIN = "domain"
    SUBACCOUNT = "subaccount"


@dataclass(frozen=True, slots=True)
class Classification:
    """What one kind of fault says about the endpoint, and about this request."""

    effect: Effect
    cooldown: Scope
    try_elsewhere: bool


_CALLERS = Classification(Effect.NEUTRAL, Scope.NONE, try_elsewhere=False)
_REFUSAL = Classification(Effect.REFUSAL, Scope.NONE, try_elsewhere=True)
_FAILURE = Classification(Effect.FAILURE, Scope.NONE, try_elsewhere=True)
_OURS = Classification(Effect.NEUTRAL, Scope.NONE, try_elsewhere=False)

CLASSIFICATIONS: Mapping[FaultKind, Classification] = MappingProxyType(
    {
        FaultKind.INVALID_REQUEST: _CALLERS,
        FaultKind.CONTENT_FILTERED: _CALLERS,
        FaultKind.CONTEXT_LENGTH_EXCEEDED: _CALLERS,
        FaultKind.TOO_LARGE: _CALLERS,
        FaultKind.NOT_FOUND: _CALLERS,
        FaultKind.UNAUTHENTICATED: _CALLERS,
        FaultKind.CALLER_LEFT: _CALLERS,
        FaultKind.RATE_LIMITED: Classification(Effect.THROTTLE, Scope.DOMAIN, try_elsewhere=True),
        FaultKind.OVERLOADED: Classification(Effect.FAILURE, Scope.ENDPOINT, try_elsewhere=True),
        FaultKind.SERVER_ERROR: _FAILURE,
        FaultKind.TIMEOUT: _FAILURE,
        FaultKind.UNREACHABLE: _FAILURE,
        FaultKind.STREAM_BROKEN: _FAILURE,
        FaultKind.REFUSED_CREDENTIALS: Classification(Effect.NEUTRAL, Scope.SUBACCOUNT, try_elsewhere=True),
        FaultKind.NO_TOKEN: Classification(Effect.NEUTRAL, Scope.SUBACCOUNT, try_elsewhere=True),
        FaultKind.DEPLOYMENT_FORBIDDEN: _FAILURE,
        FaultKind.REQUEST_FORBIDDEN: _REFUSAL,
        FaultKind.RESOURCE_NOT_FOUND: _REFUSAL,
        FaultKind.GONE: Classification(Effect.EJECT, Scope.NONE, try_elsewhere=True),
        FaultKind.UNAVAILABLE: _OURS,
        FaultKind.DEFECT: _OURS,
        FaultKind.OTHER: _FAILURE,
    }
)

REFUSES_THE_PROXY = frozenset({FaultKind.REFUSED_CREDENTIALS, FaultKind.DEPLOYMENT_FORBIDDEN})
"""The faults by which SAP AI Core refuses the proxy itself, whoever the caller is."""


def scope_of(fault: Fault) -> Scope:
    """What *fault* puts in cooldown: its row, narrowed by whose quota it was and by whether it gave a hint.

    The subaccount, too, once every endpoint in it is forbidden: that takes the balancer to see.
    """
    match fault:
        case Fault(kind=FaultKind.RATE_LIMITED, quota=Quota.ENDPOINT):
            return Scope.ENDPOINT
        case Fault(kind=FaultKind.OVERLOADED, retry_after=None):
            return Scope.NONE
        case _:
            return CLASSIFICATIONS[fault.kind].cooldown
