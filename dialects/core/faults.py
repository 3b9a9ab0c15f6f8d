"""Faults: what can go wrong, in one list for all vendors."""

from dataclasses import dataclass, field
from enum import Enum


class FaultKind(Enum):
    """The kinds of failure that a caller, a router or an operator would treat differently."""

    INVALID_REQUEST = "invalid_request"
    """The request itself is wrong; no other endpoint would take it."""
    CONTENT_FILTERED = "content_filtered"
    """The provider refused the prompt."""
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    """The conversation is longer than the model takes: clients shorten it and ask again."""
    TOO_LARGE = "too_large"
    """The body has more bytes than somebody on the way takes."""
    NOT_FOUND = "not_found"
    """The caller named something that does not exist: a model, a path, a response."""
    UNAUTHENTICATED = "unauthenticated"
    """The caller's own key is missing or wrong."""
    CALLER_LEFT = "caller_left"
    """The caller hung up or ran out of patience."""
    RATE_LIMITED = "rate_limited"
    """A quota is used up: `Fault.quota` says whose."""
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STREAM_BROKEN = "stream_broken"
    """The answer began and then ended early, or made no sense."""
    REFUSED_CREDENTIALS = "refused_credentials"
    """SAP AI Core refuses the proxy's token; the caller is not to blame."""
    NO_TOKEN = "no_token"  # noqa: S105 - the name of a kind
    """No access token for a subaccount is to be had: no endpoint of it can be asked."""
    DEPLOYMENT_FORBIDDEN = "deployment_forbidden"
    """SAP AI Core takes the proxy's token, but does not let it use this deployment."""
    REQUEST_FORBIDDEN = "request_forbidden"
    """The provider, a firewall on the way to it, or the rights of the caller's key forbid this request."""
    RESOURCE_NOT_FOUND = "resource_not_found"
    """The provider does not find something that this request names."""
    GONE = "gone"
    """The deployment does not exist any more, or does not run."""
    UNAVAILABLE = "unavailable"
    """No endpoint can take the request now."""
    DEFECT = "defect"
    """The proxy itself failed; nobody else is to blame."""
    OTHER = "other"
    """Nothing above: a gap in a table, counted so that it shows."""


class Quota(Enum):
    """Whose quota is used up, hence what else is no alternative."""

    MODEL = "model"
    """SAP AI Core's own limit, per model and tenant: sister deployments share it."""
    ENDPOINT = "endpoint"
    """The provider's limit behind one deployment."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """By how much a conversation is longer than its model takes, in tokens; None where nobody said so.

    *output* is what was asked for beyond the input, where the model counts both.
    """

    tokens: int | None = None
    limit: int | None = None
    output: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure: what kind, what the caller reads, when to come back.

    *message* may be shown to a caller: it holds no secret and no upstream address.
    *status* is the HTTP status the failure came with, *retry_after* is in seconds,
    *code* and *param* are the machine-readable details some dialects carry. *unanswered* is a
    model that got the request and kept silent for too long: it may still be at work, and be paid for it.
    *overflow* is what was counted where the conversation is too long. *unasked* is a request that cannot be written
    for the endpoint, which therefore was not asked. *cause* is why, as far as only an operator may know it.
    """

    kind: FaultKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    quota: Quota = Quota.ENDPOINT
    code: str | None = None
    param: str | None = None
    unanswered: bool = False
    overflow: Overflow | None = None
    unasked: bool = False
    cause: object | None = field(default=None, compare=False, repr=False)

    @property
    def explained(self) -> str:
        """The message and its cause, for logs and operators: more than a caller is shown."""
        return self.message if self.cause is None else f"{self.message.removesuffix('.')}: {self.cause}."


class FaultError(Exception):
    """Carries a fault up the stack."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.kind.value}: {fault.message}")
        self.fault = fault


UNREADABLE = (
    *(ValueError, SyntaxError, LookupError, TypeError, AttributeError),
    *(OverflowError, RecursionError, MemoryError),
)
"""What is raised while an answer is read that makes no sense."""
NONSENSE = Fault(FaultKind.STREAM_BROKEN, "The model's response cannot be read.")


def invalid(message: str, param: str | None = None) -> FaultError:
    """Build the error for a request that cannot be carried out as it was written."""
    return FaultError(Fault(FaultKind.INVALID_REQUEST, message, 400, param=param))


STATUSES = {
    FaultKind.INVALID_REQUEST: 400,
    FaultKind.CONTENT_FILTERED: 400,
    FaultKind.CONTEXT_LENGTH_EXCEEDED: 400,
    FaultKind.TOO_LARGE: 413,
    FaultKind.NOT_FOUND: 404,
    FaultKind.UNAUTHENTICATED: 401,
    FaultKind.CALLER_LEFT: 499,
    FaultKind.RATE_LIMITED: 429,
    FaultKind.OVERLOADED: 503,
    FaultKind.SERVER_ERROR: 502,
    FaultKind.TIMEOUT: 504,
    FaultKind.UNREACHABLE: 502,
    FaultKind.STREAM_BROKEN: 502,
    FaultKind.REFUSED_CREDENTIALS: 502,
    FaultKind.NO_TOKEN: 503,
    FaultKind.DEPLOYMENT_FORBIDDEN: 502,
    FaultKind.REQUEST_FORBIDDEN: 403,
    FaultKind.RESOURCE_NOT_FOUND: 404,
    FaultKind.GONE: 502,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.DEFECT: 500,
    FaultKind.OTHER: 502,
}
_CALLERS_OWN = frozenset(
    {
        FaultKind.INVALID_REQUEST,
        FaultKind.CONTENT_FILTERED,
        FaultKind.TOO_LARGE,
        FaultKind.NOT_FOUND,
        FaultKind.UNAUTHENTICATED,
        FaultKind.REQUEST_FORBIDDEN,
    }
)


def http_status(fault: Fault) -> int:
    """Choose the HTTP status a caller sees: its own mistakes keep theirs, ours get one of ours."""
    if fault.kind in _CALLERS_OWN and fault.status is not None and 400 <= fault.status < 500:
        return fault.status
    return STATUSES[fault.kind]
