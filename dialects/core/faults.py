"""Faults: the kinds of failure of a request, in one list for all vendors."""

from dataclasses import dataclass, field
from enum import Enum


class FaultKind(Enum):
    """The kinds of failure that a caller, the router or an operator treats differently."""

    INVALID_REQUEST = "invalid_request"
    """The request itself is invalid, so no other endpoint would accept it."""
    CONTENT_FILTERED = "content_filtered"
    """The provider refused the prompt."""
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    """The conversation is longer than the model's context. Clients shorten it and try again."""
    TOO_LARGE = "too_large"
    """The body is larger than the proxy, the network or the provider accepts."""
    NOT_FOUND = "not_found"
    """The caller named something that does not exist: a model, a path, a response."""
    UNAUTHENTICATED = "unauthenticated"
    """The caller's own key is missing or wrong."""
    CALLER_LEFT = "caller_left"
    """The caller closed the connection or its time limit was reached."""
    RATE_LIMITED = "rate_limited"
    """A quota is used up. `Fault.quota` says which one."""
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STREAM_BROKEN = "stream_broken"
    """The answer began but ended early, or cannot be read."""
    REFUSED_CREDENTIALS = "refused_credentials"
    """SAP AI Core refuses the proxy's access token. The caller cannot do anything about it."""
    NO_TOKEN = "no_token"  # noqa: S105 - the name of a kind
    """The proxy cannot get an access token for a subaccount, so none of its endpoints can be asked."""
    DEPLOYMENT_FORBIDDEN = "deployment_forbidden"
    """SAP AI Core accepts the proxy's token, but does not allow it to use this deployment."""
    REQUEST_FORBIDDEN = "request_forbidden"
    """The provider, a firewall before it, or the permissions of the caller's key forbid this request."""
    RESOURCE_NOT_FOUND = "resource_not_found"
    """The provider cannot find something that the request names."""
    GONE = "gone"
    """The deployment no longer exists, or is not running."""
    UNAVAILABLE = "unavailable"
    """No endpoint can take the request now."""
    DEFECT = "defect"
    """The proxy itself failed because of a bug."""
    OTHER = "other"
    """A failure that no rule classifies. It has a kind of its own so that metrics show such gaps."""


class Quota(Enum):
    """The quota that is used up. Endpoints that share it are no alternative."""

    MODEL = "model"
    """SAP AI Core's own limit per model and tenant. All deployments of the model in the tenant share it."""
    ENDPOINT = "endpoint"
    """The provider's limit for one deployment."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """The token counts of a context overflow. None means that the error does not state the number.

    *tokens* is the length of the input and *limit* the model's context length. *output* is the requested length of the
    answer, if the model counts it as well.
    """

    tokens: int | None = None
    limit: int | None = None
    output: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure of a request.

    *message* is shown to the caller, so it contains no secret and no upstream address. *status* is the HTTP status that
    the upstream returned. *retry_after* is in seconds. *code* and *param* are machine-readable details that some
    dialects have. *unanswered* is whether the model received the request and sent nothing within the time limit; it may
    still be working, and the request may be billed. *overflow* has the token counts if the conversation is too long.
    *unasked* is whether the endpoint was not asked because the request cannot be rendered for it. *cause* is a more
    detailed reason, which only operators may see.
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
        """The message with its cause, for logs and operators. Callers see only the message."""
        return self.message if self.cause is None else f"{self.message.removesuffix('.')}: {self.cause}."


class FaultError(Exception):
    """The exception that carries a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.kind.value}: {fault.message}")
        self.fault = fault


UNREADABLE = (
    *(ValueError, SyntaxError, LookupError, TypeError, AttributeError),
    *(OverflowError, RecursionError, MemoryError),
)
"""The exceptions that parsers can raise for an answer of an unexpected shape."""
NONSENSE = Fault(FaultKind.STREAM_BROKEN, "The model's response cannot be read.")


def invalid(message: str, param: str | None = None) -> FaultError:
    """Build the error for an invalid request. *param* names the field that is wrong."""
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
    """Return the HTTP status for the caller.

    A mistake of the caller keeps the upstream's 4xx status; any other fault gets the status of its kind.
    """
    if fault.kind in _CALLERS_OWN and fault.status is not None and 400 <= fault.status < 500:
        return fault.status
    return STATUSES[fault.kind]
