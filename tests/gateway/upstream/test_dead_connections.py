"""Kept connections that are dead when they are needed again, in every way there is, and fresh ones that die."""

import socket
import threading
from contextlib import closing

import pytest

from dialects.core.faults import FaultKind
from gateway.upstream import connection
from gateway.upstream.management import ManagementClient
from tests.gateway.peers import answer, fault_of, forever
from tests.gateway.upstream.test_connecting import relaying
from tests.support.networks import through, trusting

PATIENCE = 30.0
LARGE = b"x" * 8_000_000
"""More than the buffers of both ends hold."""


def read(call, lifetime):
    call.head(lifetime, PATIENCE)
    return call.read(lifetime, PATIENCE)


def raw(peer):
    """The TCP connection below TLS, if there is any."""
    return socket.socket(fileno=socket.dup(peer.sock.fileno()))


def closes(peer):
    peer.close()


def resets(peer):
    peer.reset()


def says_nonsense(peer):
    """Send what is no record of TLS."""
    with raw(peer) as below:
        below.sendall(b"HTTP/1.0 408 Request Timeout\r\n\r\n")


def takes_leave(peer):
    """Send the close_notify of TLS, and leave TCP as it is."""
    peer.sock.settimeout(PATIENCE)
    peer.sock.unwrap()


def first_part(peer):
    """Read a part of a request."""
    peer.sock.recv(100_000)


def whole(peer):
    peer.request()


def dying(reads, dies):
    """A script that answers one request, *reads* of the next, and then *dies* without an answer."""

    def script(server, peer):
        peer.request()
        peer.send(answer())
        reads(peer)
        server.requests.append("died")
        dies(peer)

    return script


@pytest.fixture(params=["plain", "tls", "tunnel"])
def reached(request, serve, transport_of, tls, authority):
    """Starts a server by scripts, and gives it with a transport that reaches it."""

    def start(*scripts):
        server = serve(*scripts, context=None if request.param == "plain" else tls)
        if request.param == "tunnel":
            network = through(serve(relaying(server.port)).url, authority.file)
        else:
            network = trusting(authority.file)
        return server, transport_of(network=network)

    return start


@pytest.mark.parametrize("dies", [closes, resets])
@pytest.mark.parametrize(("body", "reads"), [(b"{}", whole), (LARGE, first_part)], ids=["small", "large"])
def test_a_kept_connection_that_dies_is_nobodys_failure_whatever_it_dies_of(
    reached, begin, lifetime, body, reads, dies
):
    server, transport = reached(dying(reads, dies), forever(answer(b"fresh")))
    read(begin(server.url, by=transport), lifetime)

    assert read(begin(server.url, body, by=transport), lifetime) == b"fresh"
    assert [each if each == "died" else each[3] for each in server.requests] == ["died", body]
    assert server.connections == 2


@pytest.mark.parametrize("dies", [takes_leave, says_nonsense])
def test_tls_that_ends_or_breaks_before_the_answer_is_nobodys_failure(
    serve, transport_of, begin, lifetime, tls, authority, dies
):
    server = serve(dying(whole, dies), forever(answer(b"fresh")), context=tls)
    transport = transport_of(network=trusting(authority.file))
    read(begin(server.url, by=transport), lifetime)

    assert read(begin(server.url, by=transport), lifetime) == b"fresh"
    assert server.connections == 2


@pytest.mark.parametrize("dies", [closes, resets])
@pytest.mark.parametrize(("body", "reads"), [(b"{}", whole), (LARGE, first_part)])
def test_a_fresh_connection_that_dies_is_a_failure(serve, begin, lifetime, body, reads, dies):
    server = serve(lambda _, peer: (reads(peer), dies(peer)))
    fault = fault_of(begin(server.url, body).head, lifetime, PATIENCE)

    assert (fault.kind, server.connections) == (FaultKind.UNREACHABLE, 1)


# Without a word, as behind a firewall that has forgotten a connection


def test_what_is_not_acknowledged_ends_a_connection_within_seconds(serve, begin, lifetime):
    """The operating system would try for a quarter of an hour."""
    call = begin(serve(lambda _, peer: (peer.request(), peer.send(answer()[:-1]), peer.left())).url)
    call.head(lifetime, PATIENCE)
    call.take(lifetime, PATIENCE)

    assert call.interest.on.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000


def test_of_connections_that_lead_nowhere_one_is_tried_and_the_others_are_dropped(serve, begin, lifetime, monkeypatch):
    """Whoever reads nothing acknowledges nothing once the buffers are full."""
    short = tuple(each for each in connection.KEEP_ALIVE if each[0] != "TCP_USER_TIMEOUT")
    monkeypatch.setattr(connection, "KEEP_ALIVE", (*short, ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 50)))
    end = threading.Event()

    def deaf(_, peer):
        peer.request()
        peer.send(answer())
        end.wait(3 * PATIENCE)

    server = serve(deaf, deaf, deaf, forever(answer(b"fresh", headers=b"Connection: close\r\n")))
    calls = [begin(server.url) for _ in range(3)]
    for call in calls:
        call.head(lifetime, PATIENCE)
    for call in calls:
        call.read(lifetime, PATIENCE)
    said = [read(begin(server.url, body), lifetime) for body in (LARGE, b"{}")]
    end.set()

    assert (said, server.connections) == ([b"fresh"] * 2, 5)


# The management API


@pytest.mark.parametrize("dies", [closes, resets])
@pytest.mark.parametrize("method", ["get", "head"])
def test_a_kept_connection_of_the_management_api_that_dies_is_nobodys_failure(serve, method, dies):
    server = serve(dying(whole, dies), forever(answer(b"")))
    with closing(ManagementClient()) as client:
        client.get(server.url, {})
        found = getattr(client, method)(server.url, {})

    assert (found if method == "head" else found.status) == 200
    assert server.connections == 2


def test_a_request_that_may_make_something_is_not_sent_twice(serve):
    server = serve(dying(whole, closes), forever(answer()))
    with closing(ManagementClient()) as client:
        client.get(server.url, {})
        fault = fault_of(client.post, server.url, {}, b"{}")

    assert (fault.kind, server.connections) == (FaultKind.UNREACHABLE, 1)
