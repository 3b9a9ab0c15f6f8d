"""What can be broken, and what a client sees of it."""

import contextlib
import re
import socket
import time

import pytest
import requests

from emulator.faults import Fault, FaultKind
from tests.emulator.client import EVERY_DOOR, SONNET, data_lines, events, left, request, say

LONG = "scene:long 20"


def _stream(client, door, model, text=LONG):
    path, body = request(door, model, text, stream=True)
    return client.post(model, path, body, stream=True)


def _bytes(answer):
    """What arrived, and whether the end was an end."""
    got = b""
    with answer:
        try:
            for piece in answer.iter_content(None):
                got += piece
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError):
            return got, False
    return got, True


STATUS = [
    ("500", 500, "application/json"),
    ("503", 503, "text/plain; charset=utf-8"),
    ("529", 529, "application/json"),
    ("429-quota", 429, "application/json"),
    ("429-provider", 429, "application/json"),
    ("401", 401, "text/plain; charset=utf-8"),
    ("403", 403, "text/plain; charset=utf-8"),
    ("403-provider", 403, "application/json"),
    ("403-html", 403, "text/html"),
    ("404", 404, "application/json"),
    ("404-provider", 404, "application/json"),
    ("400", 400, "application/json"),
    ("400-empty", 400, "application/json"),
]


@pytest.mark.parametrize(("kind", "status", "mime"), STATUS)
def test_a_status_is_answered_as_often_as_told_and_then_no_more(eu, kind, status, mime):
    path, body = request("invoke", SONNET, "Hello")
    seat = eu.break_(SONNET, kind=kind, times=2)

    answers = [eu.post(SONNET, path, body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert mime == answers[0].headers["content-type"]
    assert eu.admin("GET", "faults") == {"active": {}, "served": {seat: 2}}
    assert eu.post(SONNET, path, body, number=1).status_code == 200


def test_a_fault_stays_until_it_is_healed(eu):
    path, body = request("invoke", SONNET, "Hello")
    seat = eu.break_(SONNET, kind="500")

    assert [eu.post(SONNET, path, body).status_code for _ in range(3)] == [500] * 3
    assert eu.admin("GET", "faults")["served"][seat] == 3
    eu.admin("DELETE", f"faults/{seat}")
    assert eu.post(SONNET, path, body).status_code == 200


def test_the_two_kinds_of_429_look_like_themselves(eu):
    bedrock, chat, gemini = (
        (SONNET, *request("invoke", SONNET, "a")),
        ("gpt-4.1", *request("chat", "gpt-4.1", "a")),
        ("gemini-2.5-flash", *request("gemini", "gemini-2.5-flash", "a")),
    )
    for model, path, body in (bedrock, chat, gemini):
        eu.break_(model, kind="429-quota", times=1, retry_after=7)
        answer = eu.post(model, path, body)
        assert answer.json()["error"] == "TooManyRequest"
        assert "rate limited by AI Core" in answer.json()["message"]
        assert answer.headers["Retry-After"] == "7"
        eu.break_(model, kind="429-provider", times=1)
    throttled = eu.post(*bedrock)
    assert throttled.json() == {"message": "Too many tokens, please wait before trying again."}
    assert throttled.headers["x-amzn-errortype"] == "ThrottlingException"
    assert "Retry-After" not in throttled.headers
    assert eu.post(*chat).json()["error"]["code"] == "429"
    assert eu.post(*gemini).json()["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_a_validation_error_says_what_it_is_told_to(eu):
    for model, path, body in (
        (SONNET, *request("invoke", SONNET, "a")),
        ("gpt-4.1", *request("chat", "gpt-4.1", "a")),
        ("gemini-2.5-flash", *request("gemini", "gemini-2.5-flash", "a")),
    ):
        eu.break_(model, kind="400", message="The moon is full.")
        assert "The moon is full." in eu.post(model, path, body).text


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_comes_without_an_answer(eu, stream):
    path, body = request("invoke", SONNET, "Hello", stream=stream)
    eu.break_(SONNET, kind="reset", times=1)

    with pytest.raises(requests.ConnectionError):
        eu.post(SONNET, path, body)
    assert eu.post(SONNET, path, body).status_code == 200


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_a_stream_breaks_where_it_is_told_to(eu, door, model):
    whole = _bytes(_stream(eu, door, model))[0]
    pieces = {}
    for kind in ("dead", "error-event", "cut", "cut-error", "eof", "garbage"):
        seat = eu.break_(model, kind=kind, after_events=2, times=1)
        answer = _stream(eu, door, model)
        assert answer.status_code == 200
        pieces[kind] = _bytes(answer)
        record = eu.admin("GET", f"requests?deployment={seat}")[-1]
        assert (record["fault"], record["client_left"], record["bytes_sent"]) == (kind, False, len(pieces[kind][0]))

    assert {kind: ended for kind, (_, ended) in pieces.items()} == {kind: kind != "cut" for kind in pieces}
    assert b"word0" not in pieces["dead"][0] + pieces["error-event"][0]
    assert b"word0" in pieces["cut"][0]
    sizes = {kind: len(got) for kind, (got, _) in pieces.items()}
    assert sizes["dead"] < sizes["cut"] == sizes["eof"] < sizes["cut-error"] < len(whole)
    assert b"\xff" in pieces["garbage"][0]


def test_an_error_in_a_stream_is_written_as_its_family_writes_it(eu):
    last = {
        ("invoke", SONNET): {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ("converse", SONNET): {"throttlingException": {"message": "Too many tokens, please wait before trying again."}},
    }
    for (door, model), expected in last.items():
        eu.break_(model, kind="cut-error", after_events=1, times=1)
        assert events(_stream(eu, door, model))[-1] == expected
    eu.break_("gpt-4.1", kind="error-event", times=1)
    assert events(_stream(eu, "chat", "gpt-4.1"))[-1]["error"]["code"] == "429"
    eu.break_("gpt-5", kind="error-event", times=1)
    kinds = [event["type"] for event in events(_stream(eu, "responses", "gpt-5"))]
    assert kinds[-2:] == ["response.failed", "error"]
    eu.break_("gemini-2.5-flash", kind="error-event", times=1)
    assert events(_stream(eu, "gemini", "gemini-2.5-flash"))[-1]["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_after_events_counts_what_a_reader_would_call_content(eu):
    for count in (1, 3, 7):
        eu.break_(SONNET, kind="eof", after_events=count, times=1)
        found = events(_stream(eu, "invoke", SONNET))
        assert sum(event["type"] == "content_block_delta" for event in found) == count


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("dead", lambda body, ended, whole: body == b"" and ended),
        ("eof", lambda body, ended, whole: len(body) == len(whole) // 2 and ended),
        ("cut", lambda body, ended, whole: not ended),
        ("garbage", lambda body, ended, whole: b"\xff" in body and ended),
    ],
)
def test_an_answer_in_one_piece_breaks_too(eu, kind, check):
    path, body = request("chat", "gpt-4.1", LONG)
    whole = eu.post("gpt-4.1", path, body).content
    eu.break_("gpt-4.1", kind=kind, times=1)
    answer = eu.post("gpt-4.1", path, body, stream=True)

    got, ended = _bytes(answer)

    assert answer.status_code == 200
    assert check(got, ended, whole), (got, ended)


def test_an_error_in_band_is_a_500_when_there_is_no_band(eu):
    path, body = request("chat", "gpt-4.1", LONG)
    eu.break_("gpt-4.1", kind="cut-error")

    assert eu.post("gpt-4.1", path, body).status_code == 500


def test_a_stall_keeps_the_line_open_until_the_client_hangs_up(eu):
    seat = eu.break_(SONNET, kind="stall", after_events=2, times=1)
    answer = _stream(eu, "invoke", SONNET)
    pieces = answer.iter_content(None)

    got = next(pieces)
    while got.count(b"content_block_delta") < 2:
        got += next(pieces)
    assert eu.admin("GET", "state")["in_flight"] == {seat: 1}
    answer.close()

    record = left(eu, seat)
    assert record["events_sent"] == 4
    assert eu.admin("GET", "state")["in_flight"] == {}


def test_a_hang_says_nothing_until_the_client_hangs_up(eu):
    seat = eu.break_(SONNET, kind="hang", times=1)
    path, body = request("invoke", SONNET, "Hello", stream=True)
    url = f"{eu.url}/v2/inference/deployments/{seat}/{path}"

    with pytest.raises(requests.Timeout):
        requests.post(url, json=body, headers=eu.headers, timeout=0.3)

    record = left(eu, seat)
    assert (record["status"], record["bytes_sent"]) == (None, 0)


def test_a_client_that_leaves_a_slow_stream_is_noticed(eu):
    seat = eu.deployment(SONNET)
    with _stream(eu, "invoke", SONNET, "scene:slow 300 scene:long 200") as answer:
        next(answer.iter_content(10))

    assert left(eu, seat)["events_sent"] < 200


def test_a_client_that_stays_has_notleft(eu):
    for door, model in EVERY_DOOR:
        say(eu, door, model, LONG, stream=True)

    assert eu.admin("GET", "state")["in_flight"] == {}
    assert not any(record["client_left"] for record in eu.admin("GET", "requests"))


def test_slow_means_slow(eu):
    path, body = request("invoke", SONNET, "Hello")
    eu.break_(SONNET, kind="slow", delay=0.3, times=1)
    started = time.monotonic()

    assert eu.post(SONNET, path, body).status_code == 200
    assert time.monotonic() - started >= 0.3
    eu.admin("PUT", "settings", {"latency": 0.2})
    started = time.monotonic()
    eu.post(SONNET, path, body)
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_a_slow_model_is_as_slow_in_one_piece_as_in_many(eu, door, model):
    for stream in (False, True):
        started = time.monotonic()
        say(eu, door, model, "scene:slow 20 scene:long 10", stream=stream)
        assert time.monotonic() - started > 0.07


def test_tokens_and_the_management_can_be_broken_too(eu):
    eu.admin("PUT", "faults/token:eu", {"kind": "503", "times": 1})
    form = {
        "grant_type": "client_credentials",
        "client_id": eu.key["clientid"],
        "client_secret": eu.key["clientsecret"],
    }
    assert eu.session.post(eu.key["url"] + "/oauth/token", data=form).status_code == 503
    assert eu.session.post(eu.key["url"] + "/oauth/token", data=form).status_code == 200
    eu.admin("PUT", "faults/management:eu", {"kind": "reset", "times": 1})
    with pytest.raises(requests.ConnectionError):
        eu.get("/v2/lm/deployments")
    assert eu.get("/v2/lm/deployments").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("faults/nowhere", {"kind": "500"}, 404),
        ("faults/ID", {"kind": "boring"}, 400),
        ("faults/ID", {"kind": "500", "colour": "red"}, 400),
        ("faults/ID", [], 400),
        ("settings", {"converse_sse": "xml"}, 400),
        ("settings", {"nothing": 1}, 400),
        ("deployments/ID", {"status": "SLEEPY"}, 400),
        ("deployments/nowhere", {"status": "STOPPED"}, 404),
    ],
)
def test_switches_that_do_not_exist_cannot_be_turned(eu, path, body, status):
    url = f"{eu.url}/admin/{path.replace('ID', eu.deployment(SONNET))}"

    assert status == eu.session.put(url, json=body).status_code


def test_a_cut_can_be_a_reset_on_the_socket(eu):
    seat = eu.break_(SONNET, kind="reset", times=1)
    head = "".join(f"{name}: {value}\r\n" for name, value in eu.headers.items())
    with socket.create_connection(eu.url.removeprefix("http://").split(":"), timeout=60) as raw:
        line = f"POST /v2/inference/deployments/{seat}/invoke HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{line}{head}Content-Length: 0\r\n\r\n".encode())
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(100) == b""


def test_garbage_is_no_event(eu):
    eu.break_(SONNET, kind="garbage", times=1)
    raw, _ = _bytes(_stream(eu, "invoke", SONNET))

    with pytest.raises(AssertionError):
        data_lines(raw)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "broken"}, "unknown kind: broken; there are 500, 503, 529, 429-quota, "),
        ({}, "unknown kind: None; there are 500, "),
        ({"kind": "503", "seconds": 8}, "unknown keys: seconds; there are kind, times, after_events, "),
        ({"kind": "slow"}, "slow needs a delay, in seconds"),
    ],
)
def test_a_fault_that_would_do_nothing_is_refused_with_what_there_is(body, said):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        Fault.parse(body)

    assert str(caught.value).startswith(said)
    assert Fault.parse({"kind": 503}) == Fault(FaultKind.ERROR_503)
