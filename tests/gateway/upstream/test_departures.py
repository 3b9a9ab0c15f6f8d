"""A request that is over lets go of its upstream at once, in whatever phase it is."""

import socket
import threading
import time
from contextlib import closing, suppress
from functools import partial

import pytest

from dialects.core.faults import FaultKind
from gateway.requests.lifetime import Lifetime, Signal
from gateway.upstream.steps import StillPending
from tests.gateway.peers import CHUNKED, OK, chunk, fault_of
from tests.gateway.upstream.test_connecting import full_listener
from tests.support.networks import through

PATIENCE = 30.0
LARGE = b"x" * 50_000_000


class Clock:
    """The time of the transport, until a test moves it on: both judge the deadline of a connection."""

    def __init__(self):
        self.now = time.monotonic()

    def __call__(self):
        return self.now


class Request:
    """A request with a client, a deadline and a drain, each of which can end it."""

    def __init__(self):
        self.clock = Clock()
        self.client, self._far = socket.socketpair()
        self.drain = Signal()
        self.lifetime = Lifetime(60.0, client=self.client, drain=self.drain, clock=self.clock)

    def leave(self):
        self._far.close()

    def run_late(self):
        self.clock.now += 60.0

    def shut_down(self):
        self.drain.set()

    def close(self):
        for each in (self.client, self._far, self.drain):
            each.close()


ENDS = [
    (Request.leave, FaultKind.CALLER_LEFT),
    (Request.run_late, FaultKind.TIMEOUT),
    (Request.shut_down, FaultKind.UNAVAILABLE),
]


@pytest.fixture
def request_():
    with closing(Request()) as request:
        yield request


class Upstream:
    """A server that gets as far as a phase, and says what it has seen."""

    def __init__(self, phase):
        self.phase = phase
        self.says = b"a" if phase == "stream" else b""
        self.reached = threading.Event()
        self.left = threading.Event()
        self.posts = 0
        self.connections = 0

    def __call__(self, server, peer):
        self.connections += 1
        if self.phase in {"handshake", "tunnel"}:
            assert peer.sock.recv(9999)
        elif self.phase == "sending":
            self.posts += peer.sock.recv(4) == b"POST"
        else:
            self.posts += peer.request() is not None
            if self.phase == "stream":
                peer.send(OK + CHUNKED + b"\r\n" + chunk(self.says))
            elif self.phase == "half a head":
                peer.send(OK)
        self.reached.set()
        peer.sock.settimeout(PATIENCE)
        with suppress(ConnectionResetError):
            while peer.sock.recv(65536):
                pass
        self.left.set()


def drive(head, take, upstream):
    """Drive an answer, without waiting, until its server says that the phase is reached and what it sent has come."""
    heard = b""
    for _ in range(100_000):
        was_reached = upstream.reached.is_set()
        with suppress(StillPending):
            head(0.0)
            heard += take(0.0)
        if was_reached and heard == upstream.says:
            return
        upstream.reached.wait(0.001)
    raise AssertionError("the phase was not reached")


@pytest.mark.parametrize("phase", ["handshake", "sending", "head", "half a head", "stream"])
@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_the_server_sees_the_connection_closed_and_no_other(serve, begin, request_, phase, end, kind):
    upstream = Upstream(phase)
    server = serve(upstream)
    url = server.url.replace("http:", "https:") if phase == "handshake" else server.url
    call = begin(url, LARGE if phase == "sending" else b"{}")
    drive(partial(call.head, request_.lifetime), partial(call.take, request_.lifetime), upstream)
    end(request_)

    wait = call.take if phase == "stream" else call.head
    assert kind is fault_of(wait, request_.lifetime, PATIENCE).kind
    assert upstream.left.wait(PATIENCE)
    assert (1, phase != "handshake") == (upstream.connections, bool(upstream.posts))


@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_connecting_ends_with_the_request(begin, request_, end, kind):
    """What is given up has left nothing in the queue of the server once there is room."""
    with full_listener() as port:
        call = begin(f"http://127.0.0.1:{port}/")
        with pytest.raises(StillPending):
            call.head(request_.lifetime, 0.0)
        interest = call._work.pause.interests[0]
        assert interest.write
        end(request_)

        assert kind is fault_of(call.head, request_.lifetime, PATIENCE).kind
        assert interest.on.fileno() == -1


@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_looking_up_ends_with_the_request(transport_of, begin, request_, end, kind):
    """Who looks up goes on, for others; the request does not wait for it."""
    gate = threading.Event()
    transport = transport_of(resolve=lambda *_: gate.wait(PATIENCE) and ["127.0.0.1"])
    call = begin("http://aicore.test/", by=transport)
    with pytest.raises(StillPending):
        call.head(request_.lifetime, 0.0)
    end(request_)

    assert kind is fault_of(call.head, request_.lifetime, PATIENCE).kind
    gate.set()


@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_a_proxy_is_left_as_well(serve, transport_of, begin, request_, end, kind):
    upstream = Upstream("tunnel")
    call = begin("https://aicore.invalid/", by=transport_of(network=through(serve(upstream).url)))
    drive(partial(call.head, request_.lifetime), partial(call.take, request_.lifetime), upstream)
    end(request_)

    assert kind is fault_of(call.head, request_.lifetime, PATIENCE).kind
    assert upstream.left.wait(PATIENCE)


@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_nothing_is_sent_for_a_request_that_is_over(serve, begin, request_, end, kind):
    server = serve(Upstream("head"))
    call = begin(server.url)
    end(request_)

    assert kind is fault_of(call.head, request_.lifetime, PATIENCE).kind
    assert server.connections == 0


def test_a_call_that_is_closed_between_two_steps_leaves_nothing_open(serve, begin, request_):
    upstream = Upstream("head")
    call = begin(serve(upstream).url)
    drive(partial(call.head, request_.lifetime), partial(call.take, request_.lifetime), upstream)
    call.close()

    assert upstream.left.wait(PATIENCE)
    assert FaultKind.STREAM_BROKEN is fault_of(call.head, request_.lifetime, PATIENCE).kind
