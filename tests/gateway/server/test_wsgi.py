"""What an application is told of a request, and how what it answers is written: RFC 9110, RFC 9112 and PEP 3333."""

import time
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any
from wsgiref.validate import check_environ

import pytest

from gateway.server.client_connection import CONNECTION
from gateway.server.wsgi import Response, environ_of

JSON = ("Content-Type", "application/json")


class Taken:
    """A connection that takes all that is sent."""

    client = ("10.0.0.7", 4711)
    server = ("10.0.0.1", 3001)

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)

    @property
    def head(self) -> dict[str, str]:
        """The status, without a name, and the headers of what was sent."""
        status, *lines = b"".join(self.sent).partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        return {"": status, **dict(line.split(": ", 1) for line in lines)}

    @property
    def body(self) -> bytes:
        return b"".join(self.sent).partition(b"\r\n\r\n")[2]


def asked(
    method: str = "GET",
    path: str = "/",
    version: str = "1.1",
    fields: dict[str, str] | None = None,
    *,
    closes: bool | None = None,
) -> Any:
    body = SimpleNamespace(
        settle=lambda: True, read=lambda *_: b"", readline=bytes, readlines=list, __iter__=lambda: iter(())
    )
    return SimpleNamespace(
        method=method, path=path, query="a=b", version=version, fields=fields or {}, body=body,
        closes=version == "1.0" if closes is None else closes,
    )  # fmt: skip


def answered(request: Any, status: str, headers: list[tuple[str, str]], *pieces: bytes) -> tuple[Taken, Response]:
    taken = Taken()
    response = Response(request, taken, lambda: False)
    response.start_response(status, headers)
    for piece in pieces:
        response.write(piece)
    response.close()
    return taken, response


def test_a_request_is_described_as_wsgi_wants_it() -> None:
    fields = {"HTTP_HOST": "h:1", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "3", "HTTP_X_A": "1,2"}
    taken = Taken()
    environ = environ_of(asked("POST", "/a%20b%C3%A9", "1.1", fields), taken, multiprocess=True)
    check_environ(environ)

    assert (
        environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"],
    ) == ("POST", "/a b\xc3\xa9", "a=b")  # fmt: skip
    assert tuple(environ[key] for key in ("CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_A")) == ("text/plain", "3", "1,2")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("10.0.0.7", "4711")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("10.0.0.1", "3001")
    assert environ[CONNECTION] is taken
    assert (environ["wsgi.multiprocess"], environ["wsgi.input_terminated"]) == (True, True)


@pytest.mark.parametrize(("version", "protocol"), [("1.1", "HTTP/1.1"), ("1.0", "HTTP/1.0")])
def test_an_application_is_told_the_version_of_the_client(version: str, protocol: str) -> None:
    environ = environ_of(asked("GET", "/", version), Taken(), multiprocess=False)

    assert (protocol, False) == (environ["SERVER_PROTOCOL"], environ["wsgi.multiprocess"])


def test_a_body_of_known_length_is_sent_with_its_head_at_once_and_never_exceeded() -> None:
    taken, response = answered(asked(), "200 OK", [JSON, ("Content-Length", "2")], b"{}", b"more")

    assert len(taken.sent) == 1
    assert taken.body == b"{}"
    assert (taken.head[""], taken.head["Connection"]) == ("HTTP/1.1 200 OK", "keep-alive")
    assert response.may_be_followed


def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    """Each with its length in hexadecimal; an empty piece is none, since an empty chunk would be the last."""
    taken, response = answered(asked(), "200 OK", [JSON], b"", b"one", b"", b"x" * 26)

    assert taken.body == b"3\r\none\r\n1A\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"
    assert taken.head["Transfer-Encoding"] == "chunked"
    assert response.may_be_followed


def test_for_http_1_0_the_end_of_the_connection_ends_a_body_of_unknown_length() -> None:
    taken, response = answered(asked("GET", "/", "1.0"), "200 OK", [JSON], b"one")

    assert (taken.head[""], taken.head["Connection"], taken.body) == ("HTTP/1.0 200 OK", "close", b"one")
    assert not response.may_be_followed


def test_a_client_of_http_1_0_that_wants_to_go_on_may_only_if_the_body_has_a_length() -> None:
    request = asked("GET", "/", "1.0", closes=False)
    known, first = answered(request, "200 OK", [("Content-Length", "3")], b"one")
    unknown, last = answered(request, "200 OK", [JSON], b"one")

    assert [(t.head["Connection"], t.body) for t in (known, unknown)] == [("keep-alive", b"one"), ("close", b"one")]
    assert (first.may_be_followed, last.may_be_followed) == (True, False)


@pytest.mark.parametrize(
    ("closes", "is_stopping", "is_settled"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_a_connection_ends_if_the_client_the_worker_or_the_rest_of_the_body_says_so(
    closes: bool, is_stopping: bool, is_settled: bool
) -> None:
    taken, request = Taken(), asked(closes=closes)
    request.body.settle = lambda: is_settled
    response = Response(request, taken, lambda: is_stopping)
    response.start_response("200 OK", [("Content-Length", "2")])
    response.write(b"{}")

    assert taken.head["Connection"] == "close"
    assert not response.may_be_followed


def test_a_response_says_when_it_was_made() -> None:
    before = int(time.time())
    taken, _ = answered(asked(), "200 OK", [("Content-Length", "0")])

    assert before <= parsedate_to_datetime(taken.head["Date"]).timestamp() <= time.time()


def test_nothing_is_sent_of_a_response_that_was_not_started() -> None:
    taken = Taken()
    with pytest.raises(AssertionError, match="has not been started"):
        Response(asked(), taken, lambda: False).write(b"early")

    assert taken.sent == []


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [
        ("HEAD", "200 OK", "5"),
        ("GET", "304 Not Modified", "5"),
        ("GET", "204 No Content", None),
        ("GET", "103 Early Hints", None),
    ],
)
def test_where_there_may_be_no_body_none_is_sent(method: str, status: str, length: str | None) -> None:
    taken, response = answered(asked(method), status, [("Content-Length", "5")], b"12345")

    assert taken.body == b""
    assert length == taken.head.get("Content-Length")
    assert "Transfer-Encoding" not in taken.head
    assert response.may_be_followed


def test_what_concerns_the_connection_is_the_servers_to_say() -> None:
    headers = [("Connection", "close"), ("Transfer-Encoding", "gzip"), ("Content-Length", "0")]
    taken, _ = answered(asked(), "200 OK", headers)

    assert taken.head["Connection"] == "keep-alive"
    assert "Transfer-Encoding" not in taken.head


@pytest.mark.parametrize(
    "header", [("X", "a\r\nSet-Cookie: b"), ("X", "a\nb"), ("X\r\nY", "a"), ("X", "a\0"), ("", "")]
)
def test_a_header_that_would_break_its_line_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="not one line"):
        Response(asked(), Taken(), lambda: False).start_response("200 OK", [header])


def test_a_response_may_become_an_error_until_something_of_it_was_sent() -> None:
    taken = Taken()
    response = Response(asked(), taken, lambda: False)
    error = RuntimeError("late")
    response.start_response("200 OK", [("Content-Length", "1")])
    with pytest.raises(AssertionError):
        response.start_response("200 OK", [])
    response.start_response("500 Internal Server Error", [("Content-Length", "2")], (RuntimeError, error, None))
    response.write(b"no")

    with pytest.raises(RuntimeError, match="late"):
        response.start_response("200 OK", [], (RuntimeError, error, None))
    assert (taken.head[""], taken.body) == ("HTTP/1.1 500 Internal Server Error", b"no")


def test_an_error_that_replaces_a_response_has_a_length_of_its_own() -> None:
    taken = Taken()
    response = Response(asked(), taken, lambda: False)
    response.start_response("200 OK", [("Content-Length", "1")])
    response.start_response("500 Internal Server Error", [JSON], (RuntimeError, RuntimeError("late"), None))
    response.write(b"no")
    response.close()

    assert taken.body == b"2\r\nno\r\n0\r\n\r\n"
    assert "Content-Length" not in taken.head
