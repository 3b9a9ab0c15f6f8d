"""Upstream errors: they turn the errors of SAP AI Core and of the providers behind it into faults.

Error bodies have many shapes: an ``error`` object, an ``error`` word beside a ``message``, a list of errors, a flat
``message``, a ``detail``, an empty object, or plain text. All of them are read in this module.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dialects.core import orchestration_errors
from dialects.core.context_overflow import overflow_in
from dialects.core.faults import Fault, FaultKind, Quota
from dialects.core.redaction import cut, redacted
from dialects.core.retry_hints import advice, retry_after

_BY_STATUS = {
    400: FaultKind.INVALID_REQUEST,
    401: FaultKind.REFUSED_CREDENTIALS,
    403: FaultKind.REQUEST_FORBIDDEN,
    404: FaultKind.RESOURCE_NOT_FOUND,
    405: FaultKind.INVALID_REQUEST,
    408: FaultKind.TIMEOUT,
    409: FaultKind.INVALID_REQUEST,
    413: FaultKind.TOO_LARGE,
    415: FaultKind.INVALID_REQUEST,
    422: FaultKind.INVALID_REQUEST,
    424: FaultKind.SERVER_ERROR,
    429: FaultKind.RATE_LIMITED,
    503: FaultKind.OVERLOADED,
    504: FaultKind.TIMEOUT,
    529: FaultKind.OVERLOADED,
}
# Patterns that are more specific than the status. The first that matches the code or the message decides.
_BY_PATTERN: tuple[tuple[re.Pattern[str], FaultKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"content_?filter|ResponsibleAIPolicyViolation", FaultKind.CONTENT_FILTERED),
        (
            r"throttl|too[ _]?many[ _]?(requests?|tokens)|rate[ _]?limit|resource_exhausted|quota exceeded",
            FaultKind.RATE_LIMITED,
        ),
        (r"overloaded|service_?unavailable|capacity", FaultKind.OVERLOADED),
        (r"model_?timeout|deadline_exceeded", FaultKind.TIMEOUT),
        (
            r"model_not_found|response_not_found|response with id (?:(?!response with id ).)* not found",
            FaultKind.NOT_FOUND,
        ),
        # The conversation refers to an item that was not stored, which is the caller's mistake.
        (r"item with id (?:(?!item with id ).)* not found", FaultKind.INVALID_REQUEST),
    )
)
_BY_CODE = {
    "validationexception": FaultKind.INVALID_REQUEST,
    "invalid_request_error": FaultKind.INVALID_REQUEST,
    "invalid_argument": FaultKind.INVALID_REQUEST,
    "failed_precondition": FaultKind.INVALID_REQUEST,
    "invalid_prompt": FaultKind.INVALID_REQUEST,
    "internalserverexception": FaultKind.SERVER_ERROR,
    "modelstreamerrorexception": FaultKind.SERVER_ERROR,
    "api_error": FaultKind.SERVER_ERROR,
    "server_error": FaultKind.SERVER_ERROR,
    "internal": FaultKind.SERVER_ERROR,
    "not_found_error": FaultKind.NOT_FOUND,
    "permission_error": FaultKind.REQUEST_FORBIDDEN,
    "permission_denied": FaultKind.REQUEST_FORBIDDEN,
    "authentication_error": FaultKind.DEPLOYMENT_FORBIDDEN,
}
_BY_STATUS_IN_AI_CORES_SHAPE = {403: FaultKind.DEPLOYMENT_FORBIDDEN, 404: FaultKind.GONE}
"""The kinds of statuses that concern the deployment if SAP AI Core wrote the body, and otherwise the request."""
_BY_STATUS_IN_A_PROVIDERS_SHAPE = {401: FaultKind.DEPLOYMENT_FORBIDDEN}
"""The kinds of statuses if the provider wrote the body.

SAP AI Core has accepted the proxy's token by then, so a 401 means that the provider refuses this deployment's
credentials.
"""
_WITHIN = {FaultKind.OTHER: FaultKind.STREAM_BROKEN, FaultKind.REFUSED_CREDENTIALS: FaultKind.DEPLOYMENT_FORBIDDEN}
"""The kinds that change inside a stream: by then SAP AI Core has accepted the token, so the provider refuses."""
_NEVER_AN_OVERFLOW = frozenset({401, 403, 404, 413, 429})
"""The statuses that never mean a context overflow, whatever the message says, which may quote the request."""
_CALLERS_MISTAKES = frozenset({FaultKind.NOT_FOUND, FaultKind.INVALID_REQUEST})
_OUR_MESSAGES = {
    FaultKind.REFUSED_CREDENTIALS: "SAP AI Core refuses the proxy's credentials for this deployment.",
    FaultKind.DEPLOYMENT_FORBIDDEN: "SAP AI Core does not let the proxy use the deployment behind this model.",
    FaultKind.GONE: "The deployment behind this model does not exist any more or is not running.",
    FaultKind.OVERLOADED: "The model is overloaded.",
    FaultKind.SERVER_ERROR: "The model's endpoint failed.",
    FaultKind.TIMEOUT: "The model's endpoint took too long.",
    FaultKind.OTHER: "The model's endpoint answered with an unexpected status.",
}
_LONGEST_REASON = 300
"""The number of characters of a reason that are logged."""
_PAGE = "The request was refused between the proxy and the model, for example by a firewall."
"""The message for callers in place of an HTML page."""
_MESH = re.compile(
    r"RBAC: access denied|Missing Tenant Id\b.*|Jwt\b.*|(?:404 page|resource|deployment\b.*) not found\.?",
    re.IGNORECASE,
)
"""The plain-text errors of SAP AI Core's network, which answers before the request reaches a service."""
_LONGEST_MESH = 200
_PROVIDERS_KEYS = frozenset({"type", "param", "status", "innererror"})
"""The fields of an error object that only providers write, and the AI API does not."""
_AI_CORES_OWN_LIMIT = re.compile(r"rate limited by AI Core|\bTooManyRequests?\b")


@dataclass(frozen=True, slots=True)
class _ErrorBody:
    """The content of an error body, whatever its shape."""

    message: str = ""
    code: str = ""
    param: str | None = None
    by_ai_core: bool = False
    """Whether SAP AI Core itself reports on a deployment, rather than a provider or a firewall on the request."""
    by_provider: bool = False
    """Whether a provider wrote the error: it has fields that only providers write, or orchestration passed it on."""
    kind: FaultKind | None = None
    """The kind of the fault, if the body says more than the status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the provider's answer that the body repeats."""
    hints: str | None = None
    """The text that is searched for a retry hint; None means the whole body."""

    def cut(self) -> "_ErrorBody":
        """Return the error with each text cut to the length to which patterns are applied."""
        param = None if self.param is None else cut(self.param)
        return replace(self, message=cut(self.message), code=cut(self.code), param=param)


def fault_from(status: int, headers: Mapping[str, str], body: bytes, now: float | None = None) -> Fault:
    """Turn an HTTP error into a fault. The names in *headers* may be in any case.

    *now*, in seconds since the epoch, is used for a retry hint that is a date if the answer has no `Date` header.
    """
    said = _said(status, body).cut()
    typed = next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), "")
    code = said.code or cut(typed.partition(":")[0])
    kind = said.kind
    if said.by_ai_core:
        kind = _BY_STATUS_IN_AI_CORES_SHAPE.get(status)
    elif said.by_provider and kind is None:
        kind = _BY_STATUS_IN_A_PROVIDERS_SHAPE.get(status)
    fault = _fault(kind or _kind(status, code, said.message), status, said.message, code, said.param)
    hints = body.decode("utf-8", "replace") if said.hints is None else said.hints
    return replace(fault, retry_after=retry_after({**said.headers, **headers}, hints, now))


def reason(status: int, body: bytes) -> str:
    """Return the code and message of an HTTP error, in one line, without addresses, keys and tokens."""
    said = _said(status, body).cut()
    return " ".join(redacted(f"{said.code} {said.message}").split())[:_LONGEST_REASON] or "no reason"


def fault_of_orchestration(error: object) -> Fault:
    """Turn an error of orchestration inside an answer into a fault. Of several errors, the last attempt's counts."""
    said = orchestration_errors.read(error) or _unlike_orchestrations(error)
    fault = fault_in_stream(said.code, said.message, said.status)
    known = fault if said.kind is None else _fault(said.kind, said.status, cut(said.message), cut(said.code), None)
    return replace(known, retry_after=retry_after(said.headers, cut(said.message)))


def _unlike_orchestrations(error: object) -> orchestration_errors.OrchestrationError:
    """Read the message and the code of an error that does not have orchestration's shape, or of the last of a list."""
    last = error[-1] if isinstance(error, list) and error else error
    said = _from_object(last) if isinstance(last, dict) else _ErrorBody()
    return orchestration_errors.OrchestrationError(said.message or "the model failed", said.code)


def fault_in_stream(code: str, message: str, status: int | None = None) -> Fault:
    """Turn an error inside a stream, which began with status 200, into a fault."""
    code, message = cut(code), cut(message)
    if status is None:
        status = orchestration_errors.status_in(code)
    kind = _kind(status or 0, code, message)
    return replace(_fault(_WITHIN.get(kind, kind), status, message, code, None), retry_after=advice(message))


def _kind(status: int, code: str, message: str) -> FaultKind:
    if status < 500 and status not in _NEVER_AN_OVERFLOW and overflow_in(code, message):
        return FaultKind.CONTEXT_LENGTH_EXCEEDED
    if status == 401:
        return FaultKind.REFUSED_CREDENTIALS
    if status in (403, 404):
        return _refusal(status, code, message)
    by_status = _BY_STATUS.get(status)
    by_text = next((kind for text, kind in _BY_PATTERN if text.search(code) or text.search(message)), None)
    if by_text and (by_status is None or by_text in (FaultKind.CONTENT_FILTERED, FaultKind.RATE_LIMITED)):
        # The message about a caller's mistake may mention a token limit, so only the code can make it a rate limit.
        if by_status is FaultKind.INVALID_REQUEST and not any(
            text.search(code) for text, kind in _BY_PATTERN if kind is by_text
        ):
            return by_status
        return by_text
    if by_status:
        return by_status
    if named := _BY_CODE.get(code.lower()):
        return named
    return FaultKind.SERVER_ERROR if status >= 500 else FaultKind.OTHER


def _refusal(status: int, code: str, message: str) -> FaultKind:
    """Classify a provider's 403 or 404, by its code or, for mistakes of the caller only, by its message.

    Messages often quote the caller's text, which must not be able to cause a cooldown that affects other callers.
    """
    for text, kind in _BY_PATTERN:
        if text.search(code) or (kind in _CALLERS_MISTAKES and text.search(message)):
            return kind
    return _BY_STATUS[status]


def _fault(kind: FaultKind, status: int | None, message: str, code: str, param: str | None) -> Fault:
    own_limit = _AI_CORES_OWN_LIMIT.search(f"{code} {message}")
    quota = Quota.MODEL if kind is FaultKind.RATE_LIMITED and own_limit else Quota.ENDPOINT
    said = _OUR_MESSAGES.get(kind) or redacted(message) or f"The model's endpoint answered with status {status}."
    named = redacted(param) if param is not None else None
    overflow = overflow_in(code, message) if kind is FaultKind.CONTEXT_LENGTH_EXCEEDED else None
    return Fault(kind, said, status or None, None, quota, redacted(code) or None, named, overflow=overflow)


def _said(status: int, body: bytes) -> _ErrorBody:
    try:
        loaded = json.loads(body)
        said = _from(loaded)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        if (shorter := orchestration_errors.without_prompt(text)) != text:
            return replace(_said(status, shorter.encode()), hints="")
        if text.startswith("<"):
            return _ErrorBody(_PAGE)
        return _ErrorBody(text, by_ai_core=len(text) <= _LONGEST_MESH and _MESH.fullmatch(text) is not None)
    by_ai_core = not said.by_provider and _is_ai_cores(status, loaded)
    hints = said.message if orchestration_errors.repeats_prompt(loaded) else said.hints
    return replace(said, by_ai_core=by_ai_core, by_provider=said.by_provider or _is_a_providers(loaded), hints=hints)


def _is_ai_cores(status: int, loaded: Any) -> bool:
    """Return whether the body has the shape in which SAP AI Core itself reports on a deployment."""
    match loaded:
        case {"error": str(), "message": str(message)}:
            return status == 403 or "deployment" in message.lower()
        case {"error": {**error}} if not error.keys() & _PROVIDERS_KEYS:
            code = error.get("code")
            return "requestId" in error or (isinstance(code, str) and code.isdigit())
        case _:
            return False


def _is_a_providers(loaded: Any) -> bool:
    """Return whether the body has the shape of an error of OpenAI, Anthropic, Google or Azure."""
    match loaded:
        case {"error": {**error}} | [{"error": {**error}}, *_]:
            return bool(error.keys() & _PROVIDERS_KEYS)
        case _:
            return False


def _from(loaded: Any) -> _ErrorBody:
    if orchestrated := orchestration_errors.read(loaded.get("error") or loaded if isinstance(loaded, dict) else None):
        return _ErrorBody(
            orchestrated.message,
            orchestrated.code,
            by_provider=True,
            kind=orchestrated.kind,
            headers=orchestrated.headers,
            hints=orchestrated.message,
        )
    match loaded:
        case [first, *_]:
            return _from(first)
        case {"error": {**error}}:
            return _from_object(error)
        case {"error": [{**error}, *_]}:
            return _from_object(error)
        case {"error": str(word)}:
            return _ErrorBody(str(loaded.get("message") or word), word)
        case {"errors": {"message": str(message)}}:
            return _ErrorBody(message)
        case {"detail": [{"msg": str(message)}, *_]} | {"detail": str(message)}:
            return _ErrorBody(message)
        case {**flat}:
            return _from_object(flat)
        case _:
            return _ErrorBody(str(loaded) if loaded else "")


def _from_object(error: dict[Any, Any]) -> _ErrorBody:
    code = next((str(error[name]) for name in ("code", "__type", "type") if error.get(name)), "")
    if code.isdigit() and error.get("status"):
        code = str(error["status"])
    message = str(error.get("message") or error.get("Message") or "")
    param = error.get("param")
    return _ErrorBody(message, code.rpartition("#")[2], str(param) if param is not None else None)
