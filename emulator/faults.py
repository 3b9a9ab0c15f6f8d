"""Faults: the ways a deployment can fail, for how many requests, and the error responses they cause."""

import threading
from dataclasses import dataclass, replace
from enum import Enum

from emulator.errors import ErrorResponse, bedrock, gatekeeper, of_family, overflow, throttled
from emulator.models import Family
from emulator.world import Json

LONGEST = 120.0
_ENVOY = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
_RATE_LIMITED = (
    "Your request has been rate limited by AI Core due to exceeding the allowed request. Please try again later."
)
_FIREWALL = "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>Request blocked.</body>\r\n</html>\r\n"
_INVALID = "The request is not valid."


class FaultKind(Enum):
    """The ways a deployment can fail."""

    ERROR_500 = "500"
    ERROR_503 = "503"
    ERROR_529 = "529"
    QUOTA = "429-quota"
    PROVIDER = "429-provider"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    FORBIDDEN_BY_PROVIDER = "403-provider"
    FIREWALL = "403-html"
    NOT_FOUND = "404"
    NOT_FOUND_BY_PROVIDER = "404-provider"
    INVALID = "400"
    EMPTY_400 = "400-empty"
    OVERFLOW = "400-overflow"
    RESET = "reset"
    HANG = "hang"
    SLOW = "slow"
    DEAD = "dead"
    ERROR_EVENT = "error-event"
    GARBAGE = "garbage"
    CUT = "cut"
    CUT_ERROR = "cut-error"
    EOF = "eof"
    STALL = "stall"


MID_STREAM = frozenset(
    {
        FaultKind.DEAD,
        FaultKind.ERROR_EVENT,
        FaultKind.GARBAGE,
        FaultKind.CUT,
        FaultKind.CUT_ERROR,
        FaultKind.EOF,
        FaultKind.STALL,
    }
)


OF_MODELS = frozenset(
    {
        FaultKind.ERROR_500,
        FaultKind.ERROR_529,
        FaultKind.QUOTA,
        FaultKind.PROVIDER,
        FaultKind.INVALID,
        FaultKind.FORBIDDEN_BY_PROVIDER,
        FaultKind.NOT_FOUND_BY_PROVIDER,
        FaultKind.OVERFLOW,
    }
)
"""The faults of a model. Orchestration gets them from the model that it calls, and may call it again."""
_PROVIDERS = {FaultKind.INVALID: 400, FaultKind.FORBIDDEN_BY_PROVIDER: 403, FaultKind.NOT_FOUND_BY_PROVIDER: 404}
"""The status of errors that come from a model's provider, in the format of its family."""


_KEYS = ("kind", "times", "after_events", "retry_after", "delay", "message")


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of failure, and for how many requests it lasts."""

    kind: FaultKind
    times: int | None = None
    after_events: int = 0
    retry_after: float | None = None
    delay: float = 0.0
    message: str = _INVALID

    @classmethod
    def parse(cls, body: Json) -> "Fault":
        """Parse a fault from JSON; raises `ValueError` if it is invalid."""
        unknown = sorted(body.keys() - _KEYS)
        if unknown:
            raise ValueError(f"unknown keys: {', '.join(unknown)}; there are {', '.join(_KEYS)}")
        kind = next((each for each in FaultKind if each.value == str(body.get("kind"))), None)
        if kind is None:
            kinds = ", ".join(each.value for each in FaultKind)
            raise ValueError(f"unknown kind: {body.get('kind')}; there are {kinds}")
        if kind is FaultKind.SLOW and not body.get("delay"):
            raise ValueError("slow needs a delay, in seconds")
        times, wait = body.get("times"), body.get("retry_after")
        return cls(
            kind,
            None if times is None else int(times),
            int(body.get("after_events") or 0),
            None if wait is None else float(wait),
            float(body.get("delay") or 0.0),
            str(body.get("message") or _INVALID),
        )

    def as_json(self) -> Json:
        """Render a fault as JSON that `parse` accepts."""
        return {
            "kind": self.kind.value,
            "times": self.times,
            "after_events": self.after_events,
            "retry_after": self.retry_after,
            "delay": self.delay,
            "message": self.message,
        }


class FaultBoard:
    """The active faults by deployment. Its lock guards the faults and the counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self._served: dict[str, int] = {}

    def set(self, id: str, fault: Fault) -> None:
        """Give a deployment a fault."""
        with self._lock:
            self._faults[id] = fault
            self._served[id] = 0

    def heal(self, id: str | None = None) -> None:
        """Remove the fault of a deployment, or all faults."""
        with self._lock:
            if id is None:
                self._faults.clear()
            else:
                self._faults.pop(id, None)

    def take(self, id: str) -> Fault | None:
        """Return the fault of a deployment and count its use. A fault with a number of uses ends after the last one."""
        with self._lock:
            fault = self._faults.get(id)
            if fault is None:
                return None
            self._served[id] += 1
            if fault.times is not None:
                left = fault.times - 1
                if left <= 0:
                    del self._faults[id]
                else:
                    self._faults[id] = replace(fault, times=left)
            return fault

    def as_json(self) -> Json:
        """Return the active faults, and how often each was used."""
        with self._lock:
            active = {seat: fault.as_json() for seat, fault in self._faults.items()}
            return {"active": active, "served": dict(self._served)}


def error_response(fault: Fault, family: Family) -> ErrorResponse | None:
    """Build the error response of a fault; return None for a fault without one."""
    said = _refusal(fault, family)
    if said is not None and fault.retry_after is not None:
        said.headers["Retry-After"] = f"{fault.retry_after:g}"
    return said


def _refusal(fault: Fault, family: Family) -> ErrorResponse | None:  # noqa: C901, PLR0912  # a table of answers, one case each
    """Return the error response of each kind of fault, without its ``Retry-After``."""
    match fault.kind:
        case FaultKind.ERROR_500:
            return of_family(
                family, 500, "The system encountered an unexpected error during processing. Try your request again."
            )
        case FaultKind.ERROR_503:
            return ErrorResponse(503, _ENVOY)
        case FaultKind.ERROR_529:
            return _overloaded(family)
        case FaultKind.QUOTA:
            return gatekeeper(_RATE_LIMITED, 429, "TooManyRequest")
        case FaultKind.PROVIDER:
            return throttled(family)
        case FaultKind.UNAUTHORIZED:
            return ErrorResponse(401, "Jwt is expired")
        case FaultKind.FORBIDDEN:
            return ErrorResponse(403, "RBAC: access denied")
        case FaultKind.FIREWALL:
            return ErrorResponse(403, _FIREWALL, {"Content-Type": "text/html"})
        case FaultKind.NOT_FOUND:
            return ErrorResponse(
                404, {"error": {"code": "404", "message": "Resource not found", "requestId": "0", "target": "/"}}
            )
        case FaultKind.INVALID | FaultKind.FORBIDDEN_BY_PROVIDER | FaultKind.NOT_FOUND_BY_PROVIDER:
            return of_family(family, _PROVIDERS[fault.kind], fault.message)
        case FaultKind.OVERFLOW:
            return overflow(family)
        case FaultKind.EMPTY_400:
            return ErrorResponse(400, {}, bedrock("").headers if family is Family.CLAUDE else {})
        case _:
            return None


def _overloaded(family: Family) -> ErrorResponse:
    """Build the error of an overloaded model. Only Anthropic documents a status for it."""
    if family is Family.CLAUDE:
        return ErrorResponse(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    return ErrorResponse(529, {"error": {"code": "529", "message": "Overloaded", "type": "overloaded_error"}})
