"""A stream that is stopped from another thread ends at once, and never hits anybody else's connection."""

import socket
import threading
import time
from contextlib import nullcontext

import pytest

from dialects.faults import FaultError, FaultKind
from gateway.upstream.transport import Upstream
from tests.gateway.peers import CHUNKED, OK, PATIENCE, answer, answering, chunk, fault_of, forever, post


def hanging(left, framing=CHUNKED):
    """A script that begins a body and then says nothing more, until the client has *left*."""

    def script(_, peer):
        peer.request()
        peer.send(OK + framing + b"\r\n" + (chunk(b"a") if framing == CHUNKED else b"a"))
        if peer.left():
            left.set()

    return script


class Reader(threading.Thread):
    """Reads in a thread of its own and says when it is about to wait."""

    def __init__(self, upstream):
        super().__init__(daemon=True)
        self.upstream = upstream
        self.got = []
        self.fault = None
        self.begun = threading.Event()
        self.start()

    def run(self):
        try:
            for piece in self.upstream:
                self.got.append(piece)
                self.begun.set()
        except FaultError as error:
            self.fault = error.fault


@pytest.mark.parametrize("stop", [Upstream.shutdown, Upstream.close])
@pytest.mark.parametrize("framing", [CHUNKED, b"", b"Content-Length: 99\r\n"])
def test_a_read_that_waits_ends_at_once_when_it_is_stopped(serve, transport, stop, framing):
    left = threading.Event()
    upstream = post(transport, serve(hanging(left, framing)).url, stream=True, read_timeout=60.0)
    reader = Reader(upstream)
    assert reader.begun.wait(PATIENCE)
    time.sleep(0.05)
    begin = time.monotonic()
    stop(upstream)
    reader.join(PATIENCE)
    took = time.monotonic() - begin
    upstream.close()

    assert not reader.is_alive()
    assert took < 1.0
    assert ([b"a"], FaultKind.STREAM_BROKEN) == (reader.got, reader.fault.kind)
    assert left.wait(PATIENCE)


@pytest.mark.parametrize("stop", [Upstream.shutdown, Upstream.close])
def test_an_end_that_comes_of_stopping_is_not_taken_for_the_end_of_the_body(serve, transport, stop):
    """A body without a length ends with its connection: only the stream knows who ended that."""
    upstream = post(transport, serve(answering(OK + b"\r\nbegun")).url, stream=True)

    def stopped_meanwhile(*_, **__):
        stop(upstream)
        return b""

    upstream._raw.read1 = stopped_meanwhile

    assert FaultKind.STREAM_BROKEN is fault_of(list, upstream).kind
    upstream.close()


def test_a_stopped_stream_gives_nothing_more(serve, transport):
    left = threading.Event()
    upstream = post(transport, serve(hanging(left)).url, stream=True, read_timeout=60.0)
    upstream.shutdown()
    upstream.shutdown()

    assert FaultKind.STREAM_BROKEN is fault_of(list, upstream).kind
    upstream.close()
    upstream.shutdown()
    assert left.wait(PATIENCE)


def test_stopping_after_the_end_does_not_hit_the_next_request_on_the_connection(serve, transport):
    server = serve(forever(answer()))
    first = post(transport, server.url, stream=True)
    assert b"hello" == b"".join(first)

    second = post(transport, server.url)
    first.shutdown()

    assert b"hello" == second.read()
    assert 1 == server.connections


class Handover:
    """A lock that says when somebody has to wait for it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.waiting = threading.Event()

    def __enter__(self):
        if not self._lock.acquire(blocking=False):
            self.waiting.set()
            self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


@pytest.mark.parametrize(("lock", "outcome"), [(Handover, b"hello"), (nullcontext, FaultKind.UNREACHABLE)])
def test_a_stop_never_hits_a_connection_that_was_given_back(serve, transport, lock, outcome):
    """While a stop is on its way to the socket, the stream is closed; without the lock, the next request is hit."""
    asked, go_on = threading.Event(), threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(answer())
        if peer.request():
            asked.set()
            assert go_on.wait(PATIENCE)

    server = serve(script, forever(answer()))
    first = post(transport, server.url, stream=True)
    assert b"hello" == first._raw.read1(99)
    first._finished = True
    first._lock = lock()
    results = []

    def second():
        try:
            results.append(post(transport, server.url).read())
        except FaultError as error:
            results.append(error.fault.kind)

    threads = [threading.Thread(target=first.close), threading.Thread(target=second)]

    def meanwhile():
        threads[0].start()
        if lock is Handover:
            assert first._lock.waiting.wait(PATIENCE)
        else:
            threads[0].join(PATIENCE)
            threads[1].start()
            assert asked.wait(PATIENCE)

    class Interrupted(Upstream):
        """Hands over between looking whether it is closed and noting that it is stopped."""

        def __setattr__(self, name, value):
            if name == "_stopped":
                meanwhile()
            super().__setattr__(name, value)

    connection = first._raw.connection
    first._raw.shutdown = lambda: connection.sock.shutdown(socket.SHUT_RD)
    first.__class__ = Interrupted
    first.shutdown()
    threads[0].join(PATIENCE)
    if lock is Handover:
        threads[1].start()
    threads[1].join(PATIENCE)
    go_on.set()

    assert results == [outcome]


def test_a_stop_between_the_last_byte_and_its_end_keeps_the_connection_from_the_next(serve, transport):
    """The body is all there, but nobody has seen its end: the connection is still the stream's own."""
    server = serve(forever(OK + CHUNKED + b"\r\n" + chunk(b"hello") + b"0\r\n\r\n"))
    first = post(transport, server.url, stream=True)
    assert b"hello" == next(iter(first))

    first.shutdown()
    fault = fault_of(list, first)
    first.close()

    assert FaultKind.STREAM_BROKEN is fault.kind
    assert b"hello" == post(transport, server.url).read()
    assert 2 == server.connections


def test_closing_twice_is_closing_once(serve, transport):
    server = serve(forever(answer()))
    upstream = post(transport, server.url)
    upstream.read()
    upstream.close()

    assert [b"hello"] * 2 == [post(transport, server.url).read() for _ in range(2)]
    assert 1 == server.connections
