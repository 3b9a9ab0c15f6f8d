"""The transport, against real sockets: what is sent and comes back, and faults before the headers."""

import gzip
import socket
import time
from contextlib import closing

import pytest

from dialects.faults import FaultError, FaultKind
from gateway.config.service_keys import Secret
from gateway.upstream.transport import Transport
from tests.gateway.peers import answer, answering, fault_of, forever, post
from tests.support.processes import free_port

# What is sent and what comes back


def test_a_request_arrives_as_it_was_given_and_nothing_is_added_that_was_not_asked_for(serve, transport):
    server = serve(forever(answer()))

    upstream = transport.post(server.url + "/a?b=c", {"Content-Type": "application/json"}, b'{"x":1}', stream=True)

    assert b"hello" == upstream.read()
    [(method, path, headers, body)] = server.requests
    assert ("POST", "/a?b=c", b'{"x":1}') == (method, path, body)
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "sap-ai-core-llm-proxy",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
    }


def test_status_headers_and_media_type_are_known_before_the_body(serve, transport):
    server = serve(
        forever(answer(b"{}", b"429 Slow down", b"Content-Type: Application/JSON; charset=utf-8\r\nRetry-After: 7\r\n"))
    )

    with post(transport, server.url) as upstream:
        assert (
            429,
            "7",
            "application/json",
        ) == (upstream.status, upstream.headers["retry-after"], upstream.content_type)


def test_a_connection_is_used_again_once_its_body_was_read_to_the_end(serve, transport):
    server = serve(forever(answer()))

    for _ in range(3):
        post(transport, server.url).read()

    assert (3, 1) == (len(server.requests), server.connections)


def test_a_connection_whose_body_was_not_read_is_dropped(serve, transport):
    server = serve(forever(answer()))

    post(transport, server.url).close()
    post(transport, server.url).read()

    assert 2 == server.connections


def test_as_many_connections_are_kept_as_asked_for(serve):
    server = serve(forever(answer()))
    with closing(Transport(connections=2)) as transport:
        for _ in range(2):
            open_now = [post(transport, server.url) for _ in range(2)]
            for upstream in open_now:
                upstream.read()

    assert 2 == server.connections


def test_a_compressed_body_is_unpacked(serve, transport):
    server = serve(forever(answer(gzip.compress(b"x" * 100_000), headers=b"Content-Encoding: gzip\r\n")))

    assert b"x" * 100_000 == post(transport, server.url).read()


def test_a_body_beyond_the_limit_is_refused_even_when_it_is_small_on_the_wire(serve, transport):
    server = serve(forever(answer(gzip.compress(b"x" * 100_000), headers=b"Content-Encoding: gzip\r\n")))

    assert FaultKind.STREAM_BROKEN is fault_of(post(transport, server.url).read, 99_999).kind
    assert 100_000 == len(post(transport, server.url).read(100_000))


def test_cookies_of_one_answer_do_not_go_out_with_the_next_request(serve, transport):
    server = serve(forever(answer(headers=b"Set-Cookie: tenant=eu; Path=/\r\n")))

    for _ in range(2):
        post(transport, server.url).read()

    assert "cookie" not in server.requests[1][2]


def test_the_environment_has_no_say(serve, transport, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server = serve(forever(answer()))

    assert b"hello" == post(transport, server.url).read()


def test_a_proxy_that_is_named_is_used(serve):
    proxy = serve(forever(answer(b"by proxy")))
    with closing(Transport(proxy=Secret(proxy.url))) as transport:
        assert b"by proxy" == post(transport, "http://aicore.invalid/x").read()

    assert "http://aicore.invalid/x" == proxy.requests[0][1]


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
def test_a_redirect_is_not_followed_and_carries_no_token_away(serve, transport, status):
    other = serve(forever(answer()))
    server = serve(forever(answer(b"", status, b"Location: %s\r\n" % other.url.encode())))

    assert FaultKind.SERVER_ERROR is fault_of(post, transport, server.url).kind
    assert FaultKind.SERVER_ERROR is fault_of(transport.get, server.url, {}).kind
    assert [] == other.requests


def test_head_tells_the_status_and_keeps_the_connection(serve, transport):
    server = serve(forever(b"HTTP/1.1 405 No\r\nContent-Length: 5\r\n\r\n"))

    assert [405, 405] == [transport.head(server.url, {}) for _ in range(2)]
    assert 1 == server.connections


# Faults before the headers


def test_a_refused_connection_is_unreachable(transport):
    assert FaultKind.UNREACHABLE is fault_of(post, transport, f"http://127.0.0.1:{free_port()}/").kind


def test_a_name_that_does_not_resolve_is_unreachable(transport):
    assert FaultKind.UNREACHABLE is fault_of(post, transport, "http://nowhere.invalid/").kind


def test_a_broken_url_is_unreachable(transport):
    assert FaultKind.UNREACHABLE is fault_of(post, transport, "http://[nowhere/").kind


def test_a_server_that_does_not_speak_tls_is_unreachable(serve, transport):
    server = serve(lambda _, peer: peer.send(answer()))

    assert FaultKind.UNREACHABLE is fault_of(post, transport, server.url.replace("http:", "https:")).kind


def test_a_connection_that_does_not_come_about_times_out(transport):
    """A listener whose queue is full takes no more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        try:
            for _ in range(3):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(address)
            fault = fault_of(post, transport, f"http://127.0.0.1:{address[1]}/", connect_timeout=0.2)
        finally:
            for each in waiting:
                each.close()

    assert (FaultKind.TIMEOUT, "No connection to SAP AI Core came about in time.") == (fault.kind, fault.message)


def test_a_server_that_says_nothing_times_out(serve, transport):
    server = serve(lambda _, peer: (peer.request(), peer.left()))

    assert FaultKind.TIMEOUT is fault_of(post, transport, server.url, read_timeout=0.2).kind


@pytest.mark.parametrize(
    "last_words",
    [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"X" * 70_000],
)
def test_an_answer_that_is_none_is_unreachable_and_sent_once(serve, transport, last_words):
    server = serve(answering(last_words))

    assert FaultKind.UNREACHABLE is fault_of(post, transport, server.url).kind
    assert 1 == len(server.requests)


def test_a_reset_before_the_answer_is_unreachable_and_a_post_is_not_repeated(serve, transport):
    def script(server, peer):
        server.requests.append(peer.request())
        peer.reset()

    server = serve(script)

    assert FaultKind.UNREACHABLE is fault_of(post, transport, server.url).kind
    assert 1 == len(server.requests)


def test_a_get_is_repeated_once_when_its_connection_breaks(serve, transport):
    server = serve(answering(b""), forever(answer()))

    assert b"hello" == transport.get(server.url, {}).read()
    assert 2 == len(server.requests)


def test_a_get_is_repeated_only_once_and_not_after_a_time_out(serve, transport):
    broken = serve(answering(b""))
    silent = serve(lambda server, peer: (server.requests.append(peer.request()), peer.left()))

    assert FaultKind.UNREACHABLE is fault_of(transport.get, broken.url, {}).kind
    assert FaultKind.TIMEOUT is fault_of(transport.get, silent.url, {}, 0.2).kind
    assert (2, 1) == (len(broken.requests), len(silent.requests))


def test_a_kept_connection_that_was_closed_is_not_used(serve, transport):
    server = serve(answering(answer()), forever(answer(b"again")))
    post(transport, server.url).read()
    time.sleep(0.1)

    assert b"again" == post(transport, server.url).read()


def test_no_fault_names_the_host_or_the_token(transport):
    port = free_port()
    with pytest.raises(FaultError) as caught:
        post(transport, f"http://127.0.0.1:{port}/secret-path")

    shown = f"{caught.value!r}{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert not any(word in shown for word in ("127.0.0.1", str(port), "secret-path", "hunter2"))
