"""What each kind of failure says about the endpoint, and about this request: one table, read by all."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from dialects.faults import Fault, FaultKind, Quota


class Outcome(Enum):
    """Whose failure it is, as metrics count it."""

    CALLER = "caller"
    RATE_LIMITED = "rate-limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    STREAM = "stream"
    CREDENTIALS = "credentials"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    GONE = "gone"
    UNAVAILABLE = "unavailable"
    DEFECT = "defect"
    OTHER = "other"


class Effect(Enum):
    """What a circuit breaker makes of it."""

    NEUTRAL = "neutral"
    """Nothing was learnt about the endpoint."""
    THROTTLE = "throttle"
    """Neutral, except that it ends a probe."""
    REFUSAL = "refusal"
    """Neutral, unless another endpoint takes the same request; so one other is asked, and no more."""
    FAILURE = "failure"
    TRIP = "trip"
    """The endpoint is not there: open at once."""


class Scope(Enum):
    """What has to rest."""

    NONE = "none"
    ENDPOINT = "endpoint"
    DOMAIN = "domain"
    SUBACCOUNT = "subaccount"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row."""

    outcome: Outcome
    effect: Effect
    cooling: Scope
    try_elsewhere: bool


_CALLERS = Verdict(Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, try_elsewhere=False)
_REFUSED = Verdict(Outcome.REFUSED, Effect.REFUSAL, Scope.NONE, try_elsewhere=True)
_SERVERS = Verdict(Outcome.SERVER, Effect.FAILURE, Scope.NONE, try_elsewhere=True)

VERDICTS: Mapping[FaultKind, Verdict] = MappingProxyType(
    {
        FaultKind.INVALID_REQUEST: _CALLERS,
        FaultKind.CONTENT_FILTERED: _CALLERS,
        FaultKind.TOO_LARGE: _CALLERS,
        FaultKind.NOT_FOUND: _CALLERS,
        FaultKind.UNAUTHENTICATED: _CALLERS,
        FaultKind.CALLER_LEFT: _CALLERS,
        FaultKind.RATE_LIMITED: Verdict(Outcome.RATE_LIMITED, Effect.THROTTLE, Scope.DOMAIN, try_elsewhere=True),
        FaultKind.OVERLOADED: Verdict(Outcome.OVERLOADED, Effect.FAILURE, Scope.ENDPOINT, try_elsewhere=True),
        FaultKind.SERVER_ERROR: _SERVERS,
        FaultKind.TIMEOUT: _SERVERS,
        FaultKind.UNREACHABLE: _SERVERS,
        FaultKind.STREAM_BROKEN: Verdict(Outcome.STREAM, Effect.FAILURE, Scope.NONE, try_elsewhere=True),
        FaultKind.REFUSED_CREDENTIALS: Verdict(
            Outcome.CREDENTIALS, Effect.NEUTRAL, Scope.SUBACCOUNT, try_elsewhere=True
        ),
        FaultKind.NO_TOKEN: Verdict(Outcome.CREDENTIALS, Effect.NEUTRAL, Scope.SUBACCOUNT, try_elsewhere=True),
        FaultKind.DEPLOYMENT_FORBIDDEN: Verdict(Outcome.FORBIDDEN, Effect.FAILURE, Scope.NONE, try_elsewhere=True),
        FaultKind.REQUEST_FORBIDDEN: _REFUSED,
        FaultKind.RESOURCE_NOT_FOUND: _REFUSED,
        FaultKind.GONE: Verdict(Outcome.GONE, Effect.TRIP, Scope.NONE, try_elsewhere=True),
        FaultKind.UNAVAILABLE: Verdict(Outcome.UNAVAILABLE, Effect.NEUTRAL, Scope.NONE, try_elsewhere=False),
        FaultKind.DEFECT: Verdict(Outcome.DEFECT, Effect.NEUTRAL, Scope.NONE, try_elsewhere=False),
        FaultKind.OTHER: Verdict(Outcome.OTHER, Effect.FAILURE, Scope.NONE, try_elsewhere=True),
    }
)


def scope_of(fault: Fault) -> Scope:
    """What *fault* makes rest: its row, narrowed by whose quota it was and by whether it gave a hint."""
    match fault:
        case Fault(kind=FaultKind.RATE_LIMITED, quota=Quota.ENDPOINT):
            return Scope.ENDPOINT
        case Fault(kind=FaultKind.OVERLOADED, retry_after=None):
            return Scope.NONE
        case _:
            return VERDICTS[fault.kind].cooling
