"""Which connections are used again, and what happens when one of them turns out to be dead."""

import socket
import threading
from contextlib import closing

import pytest

from dialects.core.faults import FaultKind
from gateway.requests.lifetime import Lifetime
from gateway.upstream.connection import Connection
from gateway.upstream.connection_pool import ConnectionPool
from tests.gateway.peers import CHUNKED, OK, answer, chunk, fault_of, forever

PATIENCE = 30.0
CHUNKED_HELLO = OK + CHUNKED + b"\r\n" + chunk(b"hello")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def read(call, lifetime):
    call.head(lifetime, PATIENCE)
    return call.read(lifetime, PATIENCE)


def test_a_connection_is_used_again_once_its_body_was_read_to_the_end(serve, begin, lifetime):
    server = serve(forever(answer()))

    for _ in range(3):
        read(begin(server.url), lifetime)

    assert (len(server.requests), server.connections) == (3, 1)


def test_a_connection_is_free_as_soon_as_the_last_byte_was_taken(serve, begin, lifetime):
    """Nobody has to be told that there is no more."""
    server = serve(forever(answer()))
    first = begin(server.url)
    first.head(lifetime, PATIENCE)
    assert first.take(lifetime, PATIENCE) == b"hello"

    assert read(begin(server.url), lifetime) == b"hello"
    assert server.connections == 1
    assert first.take(lifetime, PATIENCE) is None


def test_a_connection_whose_body_was_not_read_is_closed_at_once(serve, begin, lifetime):
    left = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(CHUNKED_HELLO)
        if peer.left():
            left.set()

    server = serve(script, forever(answer()))
    call = begin(server.url)
    call.head(lifetime, PATIENCE)
    call.close()
    call.close()

    assert left.wait(PATIENCE)
    assert read(begin(server.url), lifetime) == b"hello"
    assert server.connections == 2


def test_two_calls_at_once_have_two_connections_and_the_last_one_used_is_used_first(serve, begin, lifetime):
    server = serve(forever(answer(b"first")), forever(answer(b"second")))
    calls = [begin(server.url) for _ in range(2)]
    for call in calls:
        call.head(lifetime, PATIENCE)
    for call in calls:
        call.read(lifetime, PATIENCE)

    assert [read(begin(server.url), lifetime) for _ in range(3)] == [b"second"] * 3
    assert server.connections == 2


@pytest.mark.parametrize(
    "last",
    [
        answer(headers=b"Connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        answer() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlies",
        answer() + b"more",
        CHUNKED_HELLO + b"0\r\n\r\n" + b"H",
    ],
)
def test_a_connection_that_says_more_or_wants_to_close_is_not_used_again(serve, begin, lifetime, last):
    server = serve(forever(last), forever(answer(b"fresh")))

    assert read(begin(server.url), lifetime) == b"hello"
    assert read(begin(server.url), lifetime) == b"fresh"


def said_later(last_words):
    """A script that answers, and says something nobody asked for when it is told to."""
    go_on, done = threading.Event(), threading.Event()

    def script(server, peer):
        server.requests.append(peer.request())
        peer.send(answer())
        assert go_on.wait(PATIENCE)
        if last_words:
            peer.send(last_words)
        else:
            peer.close()
        done.set()
        if last_words:
            peer.left()

    def say():
        go_on.set()
        assert done.wait(PATIENCE)

    return script, say


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlies"])
def test_a_kept_connection_that_has_something_to_say_is_not_used(serve, begin, lifetime, last_words):
    script, say = said_later(last_words)
    server = serve(script, forever(answer(b"fresh")))
    read(begin(server.url), lifetime)
    say()

    assert read(begin(server.url), lifetime) == b"fresh"
    assert len(server.requests) == 2


# Dead before any byte of the answer


def dying(how):
    """A script that answers once, and then reads a request without answering it."""

    def script(server, peer):
        server.requests.append(peer.request())
        peer.send(answer())
        server.requests.append(peer.request())
        how(peer)

    return script


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_kept_connection_that_dies_before_any_byte_is_nobodys_failure(serve, begin, lifetime, how):
    server = serve(dying(lambda peer: getattr(peer, how)()), forever(answer(b"fresh")))
    read(begin(server.url, b"one"), lifetime)

    assert read(begin(server.url, b"two"), lifetime) == b"fresh"
    assert [request[3] for request in server.requests] == [b"one", b"two", b"two"]


def test_the_second_try_is_on_a_fresh_connection_and_is_the_last_one(serve, begin, lifetime):
    """Of three kept connections, all of them dead, one is tried."""
    dead = dying(lambda peer: peer.close())
    server = serve(dead, dead, dead, dying(lambda peer: peer.close()))
    server.scripts[3] = lambda server, peer: server.requests.append(peer.request())
    calls = [begin(server.url) for _ in range(3)]
    for call in calls:
        call.head(lifetime, PATIENCE)
    for call in calls:
        call.read(lifetime, PATIENCE)

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url).head, lifetime, PATIENCE).kind
    assert (len(server.requests), server.connections) == (3 + 2, 4)


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_request_is_not_repeated_once_a_byte_of_an_answer_has_come(serve, begin, lifetime, begun):
    server = serve(dying(lambda peer: peer.send(begun)), forever(answer()))
    read(begin(server.url), lifetime)

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url).head, lifetime, PATIENCE).kind
    assert (len(server.requests), server.connections) == (2, 1)


# Answers that nobody wants to the end


def finishing(last):
    """A script whose answer lacks its *last* bytes until it is told to go on; then it answers as ever."""
    go_on, done = threading.Event(), threading.Event()

    def script(server, peer):
        peer.request()
        peer.send(CHUNKED_HELLO)
        assert go_on.wait(PATIENCE)
        peer.send(last)
        done.set()
        while peer.request():
            peer.send(answer(b"again"))

    def say():
        go_on.set()
        assert done.wait(PATIENCE)

    return script, say


def begun(call, lifetime):
    """Read as far as anybody wants to."""
    call.head(lifetime, PATIENCE)
    assert call.take(lifetime, PATIENCE).startswith(b"hello")
    return call


def test_the_end_of_an_answer_that_nobody_waits_for_is_read_before_its_connection_is_used_again(serve, begin, lifetime):
    script, say = finishing(b"0\r\n\r\n")
    server = serve(script, forever(answer(b"fresh")))
    begun(begin(server.url), lifetime).finish()
    say()

    assert read(begin(server.url), lifetime) == b"again"
    assert read(begin(server.url), lifetime) == b"again"
    assert server.connections == 1


@pytest.mark.parametrize("last", [b"", chunk(b"more"), b"0\r\n\r\nHTTP/1.1 200 OK\r\n", b"nonsense"])
def test_an_answer_that_is_not_at_its_end_by_then_loses_its_connection(serve, begin, lifetime, last):
    script, say = finishing(last)
    server = serve(script, forever(answer(b"fresh")))
    begun(begin(server.url), lifetime).finish()
    say()

    assert read(begin(server.url), lifetime) == b"fresh"


def test_an_answer_that_goes_on_and_on_is_not_read_for_ever(serve, begin, lifetime):
    full = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(CHUNKED_HELLO)
        peer.sock.setblocking(False)
        try:
            while True:
                peer.sock.send(chunk(b"x" * 4096))
        except BlockingIOError:
            full.set()
        peer.sock.setblocking(True)
        peer.left()

    server = serve(script, forever(answer(b"fresh")))
    begun(begin(server.url), lifetime).finish()
    assert full.wait(PATIENCE)

    assert read(begin(server.url), lifetime) == b"fresh"


def test_an_answer_without_a_head_is_not_let_run_out(serve, begin, lifetime):
    left = threading.Event()

    def script(_, peer):
        peer.request()
        if peer.left():
            left.set()

    call = begin(serve(script).url)
    with pytest.raises(Exception, match=r"^$"):
        call.head(lifetime, 0.05)
    call.finish()

    assert left.wait(PATIENCE)


def test_an_answer_that_is_complete_is_finished_already(serve, begin, lifetime):
    server = serve(forever(answer()))
    call = begin(server.url)
    call.head(lifetime, PATIENCE)
    call.finish()
    call.finish()

    assert read(begin(server.url), lifetime) == b"hello"
    assert server.connections == 1


# The pool itself


def connections(number):
    """Connections that stand, with their other ends."""
    pairs = [socket.socketpair() for _ in range(number)]
    for near, _ in pairs:
        near.setblocking(False)
    return [Connection(near) for near, _ in pairs], [far for _, far in pairs]


KEY = (False, "127.0.0.1", 80)


def is_closed(far):
    far.settimeout(PATIENCE)
    with closing(far):
        return far.recv(1) == b""


def test_as_many_are_kept_as_asked_for_and_the_oldest_goes():
    pool = ConnectionPool(Clock(), most=2)
    near, far = connections(3)
    for each in near:
        pool.give(KEY, each)

    assert is_closed(far[0])
    assert [pool.take(KEY) for _ in range(3)] == [near[2], near[1], None]
    for each in (*near, *far):
        each.close()


def test_each_host_has_its_own():
    pool = ConnectionPool(Clock(), most=1)
    near, far = connections(2)
    other = (True, *KEY[1:])
    pool.give(KEY, near[0])
    pool.give(other, near[1])

    assert [near[1], None, near[0]] == [pool.take(other), pool.take(other), pool.take(KEY)]
    for each in (*near, *far):
        each.close()


def test_one_that_nobody_used_for_long_is_closed_when_the_next_is_given_or_taken():
    clock = Clock()
    pool = ConnectionPool(clock, longest_idle=10.0)
    near, far = connections(3)
    pool.give(KEY, near[0])
    clock.now += 10.0
    pool.give(KEY, near[1])
    assert is_closed(far[0])
    clock.now += 9.9
    assert pool.take(KEY) is near[1]
    pool.give(KEY, near[2])
    clock.now += 10.0

    assert pool.take(KEY) is None
    assert is_closed(far[2])
    near[1].close()
    far[1].close()


def test_a_closed_pool_keeps_none():
    pool = ConnectionPool(Clock())
    near, far = connections(2)
    pool.give(KEY, near[0])
    pool.close()
    pool.give(KEY, near[1])

    assert [is_closed(each) for each in far] == [True, True]
    assert pool.take(KEY) is None


def test_a_closed_transport_lets_a_call_come_to_its_end(serve, transport_of, begin, lifetime):
    server = serve(forever(answer()))
    transport = transport_of()
    call = begin(server.url, by=transport)
    call.head(lifetime, PATIENCE)
    transport.close()

    assert call.read(lifetime, PATIENCE) == b"hello"
    assert read(begin(server.url, by=transport), Lifetime(PATIENCE)) == b"hello"
    assert server.connections == 2
