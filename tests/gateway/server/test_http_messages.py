"""What is read from the bytes of a connection: requests, their bodies, and what is refused. RFC 9112."""

import tracemalloc

import pytest

from dialects.core.faults import FaultError
from gateway.server.http_messages import RefusedError, Request, Requests

CHUNKS = b"3\r\nbeg\r\n2;a=b\r\nun\r\n0\r\nTrailer: x\r\n\r\n"
FRAMED = {
    "length": b"Content-Length: 5\r\n\r\nbegun",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
}
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"


class Scripted:
    """A connection on which these pieces come, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.sent = b""

    def recv(self, size: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if rest := piece[size:]:
            self.pieces.insert(0, rest)
        return piece[:size]

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def expect_rest(self, seconds: float) -> None:
        pass


def requests_of(*pieces: bytes) -> Requests:
    return Requests(Scripted(*pieces))  # type: ignore[arg-type]  # as much of a connection as is needed


def all_in(*pieces: bytes) -> list[tuple[str, str, str, bytes]]:
    """Method, path, query and body of all requests."""
    requests, found = requests_of(*pieces), []
    while (request := requests.next()) is not None:
        found.append((request.method, request.path, request.query, request.body.read()))
    return found


def only(*pieces: bytes) -> Request:
    request = requests_of(*pieces).next()

    assert request is not None
    return request


def test_however_the_bytes_are_cut_they_are_the_same_requests() -> None:
    sent = b"\r\nPOST /a?b=c HTTP/1.1\r\nHost: x\r\n" + FRAMED["chunks"] + b"GET /d HTTP/1.1\r\n\r\n"
    sent += b"POST /e HTTP/1.1\r\n" + FRAMED["length"]
    whole = all_in(sent)

    assert whole == [("POST", "/a", "b=c", b"begun"), ("GET", "/d", "", b""), ("POST", "/e", "", b"begun")]
    assert [cut for cut in range(1, len(sent)) if all_in(sent[:cut], sent[cut:]) != whole] == []
    assert all_in(*(bytes([byte]) for byte in sent)) == whole


@pytest.mark.parametrize("framing", FRAMED)
def test_a_request_that_offers_another_protocol_is_read_with_its_body(framing: str) -> None:
    """Java's HTTP client offers HTTP/2 with every first request."""
    sent = b"POST /a HTTP/1.1\r\n" + UPGRADE + FRAMED[framing] + b"GET /b HTTP/1.1\r\n\r\n"
    whole = all_in(sent)

    assert whole == [("POST", "/a", "", b"begun"), ("GET", "/b", "", b"")]
    assert [cut for cut in range(1, len(sent)) if all_in(sent[:cut], sent[cut:]) != whole] == []


def test_a_request_for_a_web_socket_is_one_like_others() -> None:
    sent = b"GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /b HTTP/1.1\r\n\r\n"

    assert all_in(sent) == [("GET", "/a", "", b""), ("GET", "/b", "", b"")]


def test_headers_are_named_and_joined_as_wsgi_wants_it() -> None:
    request = only(b"GET / HTTP/1.1\r\nX-A: 1 \r\nx-a:2\r\nX_A: 3\r\nContent-Type: text/\xe9\r\nEmpty:\r\n\r\n")

    assert request.fields == {"HTTP_X_A": "1,2", "CONTENT_TYPE": "text/\xe9", "HTTP_EMPTY": ""}


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a%20b?c=%20d?e#f", "/a%20b", "c=%20d?e"),
        (b"//a/b", "//a/b", ""),
        (b"http://h:1/a?b", "/a", "b"),
        (b"*", "*", ""),
    ],
)
def test_a_target_is_split_into_path_and_query(target: bytes, path: str, query: str) -> None:
    request = only(b"OPTIONS " + target + b" HTTP/1.1\r\n\r\n")

    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: te, close\r\n", True),
        (b"GET / HTTP/1.0\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False),
        (b"CONNECT a:1 HTTP/1.1\r\n", True),
    ],
)
def test_a_client_says_whether_more_may_follow(head: bytes, closes: bool) -> None:
    assert only(head + b"\r\n").closes is closes


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length : 1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"GET / HTTP/1.1\r\nX-A: b\r\n c\r\n", 400),
        (b"GET / HTTP/1.1\r\nX-A: b\nX-B: c\r\n", 400),
        (b"GET / HTTP/1.1\r\nX-A: b\0\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        (b"GET / HTTP/1.1\r\nExpect: the-worst\r\n", 417),
        (b"GET http://[a HTTP/1.1\r\n", 400),
        (b"GET / HTTP/2.0\r\n", 400),
        (b"GET / HTTP/0.9\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", 400),
    ],
)
def test_what_could_be_understood_in_two_ways_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        requests_of(head + b"\r\n").next()

    assert refused.value.status == status


def test_a_name_that_is_too_long_to_be_one_is_refused() -> None:
    """Names are remembered."""
    head = b"GET / HTTP/1.1\r\n" + b"a" * 1025 + b": b\r\n\r\n"
    with pytest.raises(RefusedError) as refused:
        requests_of(head).next()

    assert refused.value.status == 431
    assert only(head.replace(b"a" * 1025, b"a" * 1024)).fields == {"HTTP_" + "A" * 1024: "b"}


def test_a_request_is_answered_before_what_follows_it_is_refused() -> None:
    requests = requests_of(b"GET /a HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    first = requests.next()

    assert first is not None
    assert (first.path, first.body.settle(), requests.have_begun) == ("/a", True, True)
    with pytest.raises(RefusedError):
        requests.next()


@pytest.mark.parametrize("more", [b"", UPGRADE, UPGRADE + b"Content-Length: 1\r\n"])
def test_no_more_than_so_many_requests_are_read_ahead(more: bytes) -> None:
    """Each takes a hundred times the memory of its eighteen bytes."""
    requests = requests_of((b"GET / HTTP/1.1\r\n" + more + b"\r\n" + b"x" * (b"Length" in more)) * 100)
    answered = [requests.next() is not None for _ in range(64)]

    assert answered == [True] * 64
    with pytest.raises(RefusedError, match="More than 64"):
        requests.next()


def test_a_head_is_refused_as_soon_as_it_cannot_become_one() -> None:
    connection = Scripted(b"\x16\x03\x01\x02\x00", b"more")
    with pytest.raises(RefusedError):
        Requests(connection).next()  # type: ignore[arg-type]  # as above

    assert connection.pieces == [b"more"]


def test_a_body_is_read_in_portions_of_any_size() -> None:
    body = only(b"POST / HTTP/1.1\r\n" + FRAMED["chunks"]).body

    assert [body.read(0), body.read(1), body.read(3), body.read(9), body.read()] == [b"", b"b", b"egu", b"n", b""]


def test_a_body_takes_no_more_memory_in_small_chunks_than_in_large_ones() -> None:
    sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nxx\r\n" * 50_000 + b"0\r\n\r\n"
    tracemalloc.start()
    try:
        body = only(sent).body.read()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(body) == 100_000
    assert most < 1_000_000


def test_a_body_is_asked_for_where_the_client_waits_for_that_and_it_has_not_come() -> None:
    plain, expecting = (b"POST / HTTP/1.1\r\n" + more + FRAMED["length"] for more in (b"", b"Expect: 100-Continue\r\n"))
    late, came, waits = requests_of(plain[:-5], b"begun"), requests_of(expecting), requests_of(expecting[:-5], b"begun")
    bodies = [request.body.read() for each in (late, came, waits) if (request := each.next()) is not None]

    assert bodies == [b"begun"] * 3
    assert [each.connection.sent for each in (late, came, waits)] == [b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize("trailers", [101, 1])
def test_trailers_are_limited_as_headers_are(trailers: int) -> None:
    size = 10 if trailers > 1 else 33_000
    sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + (b"A: " + b"b" * size + b"\r\n") * trailers
    body = only(sent[:50], sent[50:] + b"\r\n").body
    with pytest.raises(FaultError) as error:
        body.read()

    assert error.value.fault.status == 400
    assert not body.settle()
