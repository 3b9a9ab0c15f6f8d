"""Errors in all the shapes they are seen in."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.faults import FaultKind, Quota, http_status
from dialects.core.upstream_errors import fault_from, fault_in_stream
from tests.dialects import golden

NOW = 1_760_000_000.0
AI_CORES_LIMIT = "Your request has been rate limited by AI Core due to exceeding the allowed request."


def fault(status, body, headers=()):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fault_from(status, dict(headers), data)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (
            400,
            {"error": "BadRequest", "message": "Subpath is not allowed"},
            "invalid_request",
            "Subpath is not allowed",
        ),
        (400, {"error": {"code": None, "message": "bad", "param": "n"}}, "invalid_request", "bad"),
        (400, [{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}], "invalid_request", "bad"),
        (400, {"error": [{"code": 400, "message": "first"}, {}]}, "invalid_request", "first"),
        (400, {"message": "messages.0: bad"}, "invalid_request", "messages.0: bad"),
        (400, {"Message": "capital"}, "invalid_request", "capital"),
        (400, {"errors": {"message": "many"}}, "invalid_request", "many"),
        (400, {"detail": [{"msg": "one"}]}, "invalid_request", "one"),
        (400, {"detail": "flat"}, "invalid_request", "flat"),
        (400, {"error": "word"}, "invalid_request", "word"),
        (400, {}, "invalid_request", "The model's endpoint answered with status 400."),
        (400, "text", "invalid_request", "text"),
        (400, None, "invalid_request", "The model's endpoint answered with status 400."),
        (400, b"plain \xff", "invalid_request", "plain \ufffd"),
        (400, b"", "invalid_request", "The model's endpoint answered with status 400."),
        (400, {"message": "max_tokens: too many tokens"}, "invalid_request", "max_tokens: too many tokens"),
        (400, {"error": {"code": "content_filter", "message": "x"}}, "content_filtered", "x"),
        (400, {"error": {"code": "rate_limit", "message": "x"}}, "rate_limited", "x"),
        (400, {"error": {"code": "RateLimitReached", "message": "x"}}, "rate_limited", "x"),
        (401, b"Jwt is expired", "refused_credentials", None),
        (401, {"error": {"code": "401", "message": "Access denied"}}, "refused_credentials", None),
        (404, {"error": {"code": "model_not_found", "message": "no x"}}, "not_found", "no x"),
        (404, {"error": {"message": "Response with id resp_1 not found."}}, "not_found", None),
        (404, {"error": {"message": "Item with id 'rs_1' not found."}}, "invalid_request", None),
        (408, {}, "timeout", None),
        (413, {"message": "big"}, "too_large", "big"),
        (424, {"message": "x"}, "server_error", None),
        (429, {"message": "slow"}, "rate_limited", "slow"),
        (500, {}, "server_error", None),
        (501, b"", "server_error", None),
        (500, {"message": "Overloaded"}, "overloaded", None),
        (502, b"no healthy upstream", "server_error", None),
        (503, b"", "overloaded", None),
        (504, b"", "timeout", None),
        (529, b"", "overloaded", None),
        (418, {"message": "teapot"}, "other", None),
        (302, {"__type": "x#ValidationException", "message": "v"}, "invalid_request", "v"),
    ],
)
def test_every_shape_of_error_is_understood(status, body, kind, message):
    found = fault(status, body)

    assert found.kind is FaultKind(kind)
    assert status == found.status
    assert message is None or found.message == message


AI_API = {"code": "02013404", "message": "m", "requestId": "r", "target": "/v2/lm"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"RBAC: access denied"),
        (403, b" Missing Tenant Id in the token\n"),
        (403, b"Jwt verification fails"),
        (403, {"error": {"code": "403", "message": "Forbidden"}}),
        (403, {"error": AI_API}),
        (403, {"error": "Forbidden", "message": "m"}),
        (404, {"error": {"code": "404", "message": "Resource not found"}}),
        (404, {"error": AI_API}),
        (404, {"error": "NotFound", "message": "Deployment d1 not found"}),
        (404, b"404 page not found"),
        (404, b"deployment d1 not found."),
    ],
)
def test_what_ai_core_itself_says_is_about_the_deployment(status, body):
    kind = {403: FaultKind.DEPLOYMENT_FORBIDDEN, 404: FaultKind.GONE}[status]

    assert (kind, status, 502) == (
        fault(status, body).kind,
        fault(status, body).status,
        http_status(fault(status, body)),
    )


FIREWALL = b"\n<html><head><title>Denied at 10.0.0.1</title></head></html>"


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "m"}},
        {"error": {"message": "m", "type": "invalid_request_error", "param": "prompt", "code": None}},
        {"error": {"message": "m", "type": "invalid_request_error", "param": None, "code": "404"}},
        {"error": {"message": "m", "code": "403", "innererror": {}}},
        {"error": {"message": "m", "code": "DeploymentNotFound"}},
        {"type": "error", "error": {"type": "permission_error", "message": "m"}, "request_id": "r"},
        {"error": {"request_id": "r", "code": 404, "message": "m", "location": "LLM Module"}},
        {"message": "m"},
        {"error": {"message": "m: too many requests, throttled, TooManyRequests, overloaded", "type": "t"}},
        b"m: RBAC: access denied",
        b"Jwt " + b"x" * 200,
        FIREWALL,
        b"<?xml version='1.0'?><Error/>",
        {},
        b"",
    ],
)
def test_what_anybody_else_says_with_403_or_404_is_about_the_request(status, body):
    found = fault(status, body, {"x-amzn-errortype": "AccessDeniedException"}.items())
    kind = {403: FaultKind.REQUEST_FORBIDDEN, 404: FaultKind.RESOURCE_NOT_FOUND}[status]

    assert (kind, status, status) == (found.kind, found.status, http_status(found))
    assert found.message.startswith(("m", "Jwt", "The model's endpoint answered", "The request was refused between"))


def test_what_ai_cores_proxy_for_models_does_not_find_need_not_be_a_deployment():
    found = fault(404, {"error": "NotFound", "message": "no such file"})

    assert (found.kind, found.message) == (FaultKind.RESOURCE_NOT_FOUND, "no such file")


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_page_for_browsers_is_not_shown(status):
    message = "The request was refused between the proxy and the model, for example by a firewall."

    assert message == fault(status, FIREWALL).message


@pytest.mark.parametrize(
    ("code", "kind"),
    [("RateLimitReached", FaultKind.RATE_LIMITED), ("content_filter", FaultKind.CONTENT_FILTERED)],
)
@pytest.mark.parametrize("status", [403, 404])
def test_a_code_says_more_than_such_a_status(status, code, kind):
    assert fault(status, {"error": {"code": code, "message": "m"}}).kind is kind


def test_amazons_header_names_the_error():
    headers = {"X-Amzn-ErrorType": "ThrottlingException:http://internal"}

    assert FaultKind.RATE_LIMITED is fault(400, {"message": "slow"}, headers.items()).kind
    assert fault(400, {"message": "slow"}, headers.items()).code == "ThrottlingException"


def test_a_parameter_and_a_code_are_kept():
    found = fault(400, {"error": {"code": "unsupported_value", "message": "x", "param": "temperature"}})

    assert (found.code, found.param) == ("unsupported_value", "temperature")
    assert fault(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("body", "quota"),
    [
        ({"error": "TooManyRequest", "message": AI_CORES_LIMIT}, Quota.MODEL),
        ({"error": "TooManyRequests", "message": "x"}, Quota.MODEL),
        ({"message": "Too many tokens, please wait"}, Quota.ENDPOINT),
    ],
)
def test_whose_quota_is_used_up(body, quota):
    assert fault(429, body).quota is quota


def test_only_a_limit_has_a_quota_of_the_models():
    assert Quota.ENDPOINT is fault(400, {"error": "BadRequest", "message": AI_CORES_LIMIT}).quota


@pytest.mark.parametrize(
    ("code", "message", "status", "kind"),
    [
        ("throttlingException", "x", None, FaultKind.RATE_LIMITED),
        ("429", "x", None, FaultKind.RATE_LIMITED),
        ("overloaded_error", "x", None, FaultKind.OVERLOADED),
        ("validationException", "x", None, FaultKind.INVALID_REQUEST),
        ("x", "x", 500, FaultKind.SERVER_ERROR),
        ("api_error", "x", None, FaultKind.SERVER_ERROR),
        ("modelTimeoutException", "x", None, FaultKind.TIMEOUT),
        ("403", "x", None, FaultKind.REQUEST_FORBIDDEN),
        ("PERMISSION_DENIED", "x", 403, FaultKind.REQUEST_FORBIDDEN),
        ("permission_error", "x", None, FaultKind.REQUEST_FORBIDDEN),
        ("NOT_FOUND", "x", 404, FaultKind.RESOURCE_NOT_FOUND),
        ("401", "x", None, FaultKind.DEPLOYMENT_FORBIDDEN),
        ("authentication_error", "x", None, FaultKind.DEPLOYMENT_FORBIDDEN),
        ("", "", None, FaultKind.STREAM_BROKEN),
        ("²", "x", None, FaultKind.STREAM_BROKEN),
        ("9" * 5000, "x", None, FaultKind.STREAM_BROKEN),
    ],
)
def test_an_error_inside_a_stream_is_understood(code, message, status, kind):
    assert fault_in_stream(code, message, status).kind is kind


SECRETS = "http://10.1.2.3/v2/inference with Bearer TOKEN"


@pytest.mark.parametrize("kind", ["message", "code", "param", "type", "status"])
def test_no_field_of_an_error_tells_our_addresses_and_tokens(kind):
    error = {"message": "bad", "code": "7", "param": "n"} | {kind: SECRETS}
    if kind == "type":
        del error["code"]
    found = fault(400, {"error": error})

    assert "… with Bearer …" in (found.message, found.code, found.param)
    assert "10.1.2.3" not in repr(found)
    assert "TOKEN" not in repr(found)


def test_no_error_within_a_stream_tells_them_either():
    found = fault_in_stream(SECRETS, SECRETS)

    assert (found.message, found.code) == ("… with Bearer …", "… with Bearer …")


def test_amazons_header_tells_them_neither():
    assert fault(400, {"message": "m"}, {"x-amzn-errortype": "at 10.1.2.3"}.items()).code == "at …"


def test_words_beyond_2000_characters_are_not_looked_at():
    late = "x" * 1990 + "y" * 20 + " overloaded content_filter Bearer TOKEN"
    found = fault(418, {"error": {"message": late, "code": late, "param": late}})

    assert FaultKind.OTHER is found.kind
    assert (found.code, found.param) == ("x" * 1990 + "y" * 10,) * 2


WORDS = ("error", "message", "errors", "detail", "code", "type", "param", "status", "msg", "__type", "Message")


@given(st.integers(300, 599), golden.junk(WORDS))
def test_any_body_is_an_error(status, body):
    assert fault(status, body).message


@given(st.integers(300, 599), st.binary())
def test_any_bytes_are_an_error(status, body):
    assert fault(status, body).message


def test_a_body_that_is_too_deep_is_still_an_error():
    assert FaultKind.SERVER_ERROR is fault(500, b"[" * 100_000).kind
    assert FaultKind.SERVER_ERROR is fault(500, b"[" * 900 + b"]" * 900).kind


def test_an_error_says_when_to_come_back_by_the_clock_of_whoever_answered() -> None:
    theirs = NOW + 600
    date = {"Date": formatdate(theirs, usegmt=True), "Retry-After": formatdate(theirs + 20, usegmt=True)}
    undated = {"Retry-After": formatdate(NOW + 30, usegmt=True)}

    assert fault_from(429, date, b"{}", NOW).retry_after == 20.0
    assert fault_from(429, undated, b"{}", NOW).retry_after == 30.0
    assert fault(503, {"error": {"message": "x"}}, {"retry-after": "7"}.items()).retry_after == 7.0
    assert fault(429, {"error": {"details": [{"retryDelay": "17s"}]}}).retry_after == 17.0
    assert fault(429, {}).retry_after is None


def test_an_error_within_a_stream_says_so_in_its_words() -> None:
    assert fault_in_stream("429", "Quota exceeded. Please retry in 31.5s.").retry_after == 31.5
    assert fault_in_stream("429", "Quota exceeded.").retry_after is None


@pytest.mark.parametrize("code", ["\u0664\u0662\u0669", "\u00b2\u00b2\u00b2", "999", "000", "0429", "9" * 5_000])
def test_a_code_that_is_no_status_in_plain_digits_is_none(code: str) -> None:
    assert fault_in_stream(code, "It failed.").status is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "param": None}},
        {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}},
        {"error": {"code": 401, "message": "Request had invalid credentials.", "status": "UNAUTHENTICATED"}},
        [{"error": {"code": 401, "message": "Request had invalid credentials.", "status": "UNAUTHENTICATED"}}],
    ],
    ids=["openai", "anthropic", "google", "google-list"],
)
def test_a_providers_401_is_about_the_one_deployment_and_not_about_the_proxys_token(body) -> None:
    assert FaultKind.DEPLOYMENT_FORBIDDEN is fault(401, body).kind


@pytest.mark.parametrize(
    "body",
    [
        b"Jwt is expired",
        b"<html>401</html>",
        b"",
        {},
        {"error": {"code": "401", "message": "x"}},
        {"error": "Unauthorized"},
    ],
)
def test_any_other_401_is_about_the_token(body) -> None:
    assert FaultKind.REFUSED_CREDENTIALS is fault(401, body).kind


@pytest.mark.parametrize("body", [b"%b1%b", b'{"error": %b1%b}', b'{"error": {"message": %b1%b}}'])
@pytest.mark.parametrize("depth", [100, 600, 900, 5000])
def test_lists_in_lists_without_end_are_an_error_like_any_other(body: bytes, depth: int) -> None:
    assert fault(400, body % (b"[" * depth, b"]" * depth)).kind is FaultKind.INVALID_REQUEST
