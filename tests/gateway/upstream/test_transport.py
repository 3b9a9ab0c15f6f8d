"""The transport, against real sockets: what is sent and comes back, and faults before the headers."""

import gzip
import socket
import zlib

import pytest

from dialects.core.faults import FaultError, FaultKind
from tests.gateway.peers import CHUNKED, OK, answer, answering, chunk, fault_of, forever
from tests.support.processes import free_port

PATIENCE = 30.0


def read(call, lifetime):
    call.head(lifetime, PATIENCE)
    return call.read(lifetime, PATIENCE)


# What is sent and what comes back


def test_a_request_arrives_as_it_was_given_and_nothing_is_added_that_was_not_asked_for(serve, transport, lifetime):
    server = serve(forever(answer()))

    call = transport.begin(
        "POST", server.url + "/a?b=c", {"Content-Type": "application/json"}, b'{"x":1}', connect_timeout=PATIENCE
    )

    assert read(call, lifetime) == b"hello"
    [(method, path, headers, body)] = server.requests
    assert (method, path, body) == ("POST", "/a?b=c", b'{"x":1}')
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "sap-ai-core-llm-proxy",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
    }


def test_a_request_without_a_body_says_no_length(serve, transport, lifetime):
    server = serve(forever(answer()))
    call = transport.begin("GET", server.url, {}, None, connect_timeout=PATIENCE)

    assert read(call, lifetime) == b"hello"
    [(method, path, headers, _)] = server.requests
    assert (method, path) == ("GET", "/")
    assert "content-length" not in headers


def test_a_large_body_arrives_whole(serve, begin, lifetime):
    server = serve(forever(answer()))
    body = bytes(range(256)) * 40_000

    assert read(begin(server.url, body), lifetime) == b"hello"
    assert body == server.requests[0][3]


def test_what_the_transport_says_itself_cannot_be_said_otherwise(serve, begin, lifetime):
    server = serve(forever(answer()))
    headers = {"accept-encoding": "gzip", "HOST": "elsewhere", "Content-Length": "0", "Transfer-Encoding": "chunked"}

    read(begin(server.url, b"{}", **headers), lifetime)

    said = server.requests[0][2]
    assert ("identity", f"127.0.0.1:{server.port}", "2") == (
        said["accept-encoding"], said["host"], said["content-length"],
    )  # fmt: skip
    assert "transfer-encoding" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nInjected: b"),
        ("X", "a\nInjected: b"),
        ("X", "a\0b"),
        ("X\r\nInjected", "b"),
        ("X Y", "b"),
        ("", "b"),
        ("X", "€"),
    ],
)
def test_a_header_that_would_say_something_else_is_not_sent(serve, begin, name, value):
    server = serve(forever(answer()))

    assert FaultKind.UNREACHABLE is fault_of(begin, server.url, **{name: value}).kind
    assert server.connections == 0


def test_a_path_says_nothing_beyond_its_line(serve, begin, lifetime):
    server = serve(forever(answer()))

    read(begin(server.url + "/a b\r\nInjected: c/é"), lifetime)

    assert (server.requests[0][1], "injected" in server.requests[0][2]) == ("/a%20bInjected:%20c/%C3%A9", False)


def test_status_headers_and_media_type_are_known_before_the_body(serve, begin, lifetime):
    server = serve(
        forever(answer(b"{}", b"429 Slow down", b"Content-Type: Application/JSON; charset=utf-8\r\nRetry-After: 7\r\n"))
    )
    call = begin(server.url)
    call.head(lifetime, PATIENCE)

    assert (call.status, call.headers["retry-after"], call.content_type) == (429, "7", "application/json")


def test_a_header_that_comes_twice_is_one_with_a_comma(serve, begin, lifetime):
    call = begin(serve(forever(answer(headers=b"X-A: 1\r\nx-a: 2\r\nX-Empty:\r\n"))).url)
    call.head(lifetime, PATIENCE)

    assert (call.headers["x-a"], call.headers["x-empty"]) == ("1, 2", "")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_body_that_is_compressed_though_nobody_asked_is_unpacked(serve, begin, lifetime, pack):
    coding = b"gzip" if pack is gzip.compress else b"deflate"
    server = serve(forever(answer(pack(b"x" * 3_000_000), headers=b"Content-Encoding: %s\r\n" % coding)))

    assert read(begin(server.url), lifetime) == b"x" * 3_000_000
    assert read(begin(server.url), lifetime) == b"x" * 3_000_000
    assert server.connections == 1


def test_a_compressed_body_is_unpacked_in_pieces_of_bounded_size(serve, begin, lifetime):
    call = begin(serve(forever(answer(gzip.compress(b"x" * 9_000_000), headers=b"Content-Encoding: gzip\r\n"))).url)
    call.head(lifetime, PATIENCE)
    sizes = []
    while (piece := call.take(lifetime, PATIENCE)) is not None:
        sizes.append(len(piece))

    assert sum(sizes) == 9_000_000
    assert max(sizes) <= 1024 * 1024


def test_a_body_beyond_the_limit_is_refused_even_when_it_is_small_on_the_wire(serve, begin, lifetime):
    server = serve(forever(answer(gzip.compress(b"x" * 100_000), headers=b"Content-Encoding: gzip\r\n")))
    call = begin(server.url)
    call.head(lifetime, PATIENCE)

    assert FaultKind.STREAM_BROKEN is fault_of(call.read, lifetime, PATIENCE, 99_999).kind
    call = begin(server.url)
    call.head(lifetime, PATIENCE)
    assert len(call.read(lifetime, PATIENCE, 100_000)) == 100_000


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"no gzip at all", b"gzip"),
        (gzip.compress(b"hello" * 100)[:-9], b"gzip"),
        (gzip.compress(b"hello") + b"more", b"gzip"),
    ],
    ids=["something else", "cut short", "and more"],
)
def test_a_body_that_does_not_unpack_is_broken(serve, begin, lifetime, body, coding):
    server = serve(forever(answer(body, headers=b"Content-Encoding: %s\r\n" % coding)))

    assert FaultKind.STREAM_BROKEN is fault_of(read, begin(server.url), lifetime).kind


def test_an_empty_body_needs_no_unpacking(serve, begin, lifetime):
    assert read(begin(serve(forever(answer(b"", headers=b"Content-Encoding: gzip\r\n"))).url), lifetime) == b""


def test_a_body_packed_in_a_way_that_nobody_can_unpack_is_no_answer(serve, begin, lifetime):
    server = serve(forever(answer(b"?", headers=b"Content-Encoding: br\r\n")))

    assert FaultKind.UNREACHABLE is fault_of(read, begin(server.url), lifetime).kind


def test_cookies_of_one_answer_do_not_go_out_with_the_next_request(serve, begin, lifetime):
    server = serve(forever(answer(headers=b"Set-Cookie: tenant=eu; Path=/\r\n")))

    for _ in range(2):
        read(begin(server.url), lifetime)

    assert "cookie" not in server.requests[1][2]


def test_the_environment_has_no_say(serve, begin, lifetime, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert read(begin(serve(forever(answer())).url), lifetime) == b"hello"


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"304 Not", b"307 Temporary", b"308 Permanent"])
def test_a_redirect_is_not_followed_and_carries_no_token_away(serve, begin, lifetime, status):
    other = serve(forever(answer()))
    server = serve(forever(answer(b"", status, b"Location: %s\r\n" % other.url.encode())))
    fault = fault_of(begin(server.url).head, lifetime, PATIENCE)

    assert (FaultKind.SERVER_ERROR, "redirect" in fault.message) == (fault.kind, True)
    assert other.requests == []


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Type: x/y\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
    ],
)
def test_an_interim_answer_is_passed_over(serve, begin, lifetime, interim):
    call = begin(serve(forever(interim + answer())).url)

    assert read(call, lifetime) == b"hello"
    assert (call.status, dict(call.headers)) == (200, {"content-length": "5"})


@pytest.mark.parametrize("status", [b"204 No Content", b"200 OK\r\nContent-Length: 0"])
def test_an_answer_without_a_body_is_at_its_end_with_its_head(serve, begin, lifetime, status):
    server = serve(forever(b"HTTP/1.1 %s\r\n\r\n" % status))

    assert read(begin(server.url), lifetime) == b""
    assert read(begin(server.url), lifetime) == b""
    assert server.connections == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_body_without_a_length_ends_with_its_connection(serve, begin, lifetime, version):
    server = serve(answering(b"HTTP/%s 200 OK\r\n\r\nhello" % version))

    assert read(begin(server.url), lifetime) == b"hello"


def test_headers_after_the_body_are_passed_over(serve, begin, lifetime):
    server = serve(forever(OK + CHUNKED + b"\r\n" + chunk(b"hello") + b"0\r\nX-Late: 1\r\n\r\n"))
    call = begin(server.url)

    assert read(call, lifetime) == b"hello"
    assert "x-late" not in call.headers
    assert read(begin(server.url), lifetime) == b"hello"
    assert server.connections == 1


# Faults before the headers


def test_a_refused_connection_is_unreachable(begin, lifetime):
    assert FaultKind.UNREACHABLE is fault_of(begin(f"http://127.0.0.1:{free_port()}/").head, lifetime, PATIENCE).kind


@pytest.mark.parametrize(
    "url", ["http://[nowhere/", "nowhere", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http:///x"]
)
def test_a_broken_url_is_unreachable(begin, url):
    assert FaultKind.UNREACHABLE is fault_of(begin, url).kind


def test_a_server_that_does_not_speak_tls_is_unreachable(serve, begin, lifetime):
    server = serve(lambda _, peer: peer.send(answer()))

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url.replace("http:", "https:")).head, lifetime, PATIENCE).kind


@pytest.mark.parametrize(
    "last_words",
    [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nX: y",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 050 Odd\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    ],
    ids=lambda words: words[:40].decode(),
)
def test_an_answer_that_is_none_is_unreachable_and_sent_once(serve, begin, lifetime, last_words):
    server = serve(answering(last_words))

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url).head, lifetime, PATIENCE).kind
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "first_words",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    ],
    ids=lambda words: words[:40].decode(),
)
def test_what_can_be_no_answer_any_more_is_not_waited_for(serve, begin, lifetime, first_words):
    """The connection stays open."""

    def script(_, peer):
        peer.request()
        peer.send(first_words)
        peer.left()

    assert FaultKind.UNREACHABLE is fault_of(begin(serve(script).url).head, lifetime, PATIENCE).kind


def test_a_reset_before_the_answer_is_unreachable_and_a_post_is_not_repeated(serve, begin, lifetime):
    def script(server, peer):
        server.requests.append(peer.request())
        peer.reset()

    server = serve(script)

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url).head, lifetime, PATIENCE).kind
    assert len(server.requests) == 1


@pytest.mark.parametrize("closing", ["gently", "at once"])
def test_an_answer_to_a_body_that_was_not_read_is_heard(serve, begin, lifetime, closing):
    """The server says that it is too large; if it closes at once, sending fails."""

    def script(_, peer):
        peer.sock.recv(1000)
        peer.send(answer(b"too large", b"413 Too Large"))
        if closing == "gently":
            peer.sock.shutdown(socket.SHUT_WR)
            peer.sock.settimeout(PATIENCE)
            while peer.sock.recv(65536):
                pass

    server = serve(script, forever(answer()))
    call = begin(server.url, b"x" * (3_000_000 if closing == "gently" else 30_000_000))

    assert (read(call, lifetime), call.status) == (b"too large", 413)
    assert read(begin(server.url), lifetime) == b"hello"


def test_no_fault_names_the_host_or_the_token(begin, lifetime):
    port = free_port()
    with pytest.raises(FaultError) as caught:
        begin(f"http://127.0.0.1:{port}/secret-path").head(lifetime, PATIENCE)

    shown = f"{caught.value!r}{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert not any(word in shown for word in ("127.0.0.1", str(port), "secret-path", "hunter2"))
