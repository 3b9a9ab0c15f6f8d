"""Classification of faults: how each kind affects circuit, cooldown and retries."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from dialects.core.faults import Fault, FaultKind, Quota


class Effect(Enum):
    """The effect of a fault on the circuit breaker."""

    NEUTRAL = "neutral"
    """The fault says nothing about the health of the endpoint."""
    THROTTLE = "throttle"
    """Neutral, except that it ends a probe: the circuit opens again."""
    REFUSAL = "refusal"
    """Neutral, unless another endpoint accepts the same request. One other endpoint is asked to find out."""
    FAILURE = "failure"
    EJECT = "eject"
    """The deployment does not exist, so the circuit opens at once."""


class Scope(Enum):
    """The target of a cooldown."""

    NONE = "none"
    ENDPOINT = "endpoint"
    DOMAIN = "domain"
    SUBACCOUNT = "subaccount"


@dataclass(frozen=True, slots=True)
class Classification:
    """How one kind of fault affects the endpoint, and whether the request is tried elsewhere."""

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
"""The faults with which SAP AI Core refuses the proxy's own credentials, independent of the caller."""


def scope_of(fault: Fault) -> Scope:
    """Return what *fault* puts in cooldown, by its classification, its quota and its retry hint.

    `OutcomeRecorder` also puts a subaccount in cooldown once all of its endpoints are forbidden.
    """
    match fault:
        case Fault(kind=FaultKind.RATE_LIMITED, quota=Quota.ENDPOINT):
            return Scope.ENDPOINT
        case Fault(kind=FaultKind.OVERLOADED, retry_after=None):
            return Scope.NONE
        case _:
            return CLASSIFICATIONS[fault.kind].cooldown
