"""The lifetime of a request: what ends its waits, on real sockets and with every way to ask the system."""

import select
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.requests import lifetime as module
from gateway.requests.lifetime import Interest, Lifetime, SelectPoll, Signal

PATIENCE = 30.0


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Steps:
    """A clock that goes on each time it is asked."""

    def __init__(self, *moments):
        self.moments = list(moments)

    def __call__(self):
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]


@pytest.fixture(params=["poll", "poll without a sign of closing", "select"])
def way(request, monkeypatch):
    """How the system is asked: as Linux, as macOS, as Windows."""
    if request.param != "poll":
        monkeypatch.setattr(module, "_PEER_CLOSED", 0)
    if request.param == "select":
        monkeypatch.setattr(module, "_new_poll", SelectPoll)
    return request.param


@pytest.fixture
def pair():
    """Makes pairs of sockets, and closes them with the test."""
    with ExitStack() as owned:

        def pair():
            near, far = socket.socketpair()
            near.setblocking(False)
            return owned.enter_context(near), owned.enter_context(far)

        yield pair


@pytest.fixture
def drain():
    cancellation = Signal()
    yield cancellation
    cancellation.close()


def kind_of(call, *args):
    with pytest.raises(FaultError) as caught:
        call(*args)
    return caught.value.fault.kind


# Interests


def test_an_interest_is_ready_when_there_is_something_to_read(way, pair):
    near, far = pair()
    lifetime, interests = Lifetime(60.0), (Interest(near),)
    before = lifetime.wait(interests, 0.0)
    far.send(b"x")

    assert ((), interests) == (before, lifetime.wait(interests, PATIENCE))
    assert interests == lifetime.wait(interests, PATIENCE)
    near.recv(1)
    assert lifetime.wait(interests, 0.0) == ()


def test_a_wish_to_write_comes_true_when_there_is_room(way, pair):
    near, far = pair()
    lifetime, interests = Lifetime(60.0), (Interest(near, write=True),)
    assert interests == lifetime.wait(interests, PATIENCE)
    with suppress(BlockingIOError):
        while True:
            near.send(b"x" * 65536)
    full = lifetime.wait(interests, 0.0)
    far.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            far.recv(65536)

    assert ((), interests) == (full, lifetime.wait(interests, PATIENCE))


def test_an_end_makes_a_wish_come_true(way, pair):
    near, far = pair()
    far.close()
    interest = Interest(near)

    assert (interest,) == Lifetime(60.0).wait((interest,), PATIENCE)


def test_of_several_wishes_those_that_came_true_are_told(way, pair):
    (one, _), (two, says), (three, says_too) = pair(), pair(), pair()
    says.send(b"x")
    says_too.send(b"x")
    interests = [Interest(each) for each in (one, two, three)]

    assert set(interests[1:]) == set(Lifetime(60.0).wait(interests, PATIENCE))


def test_only_the_last_wishes_are_told(way, pair):
    (one, says), (two, says_too) = pair(), pair()
    says.send(b"x")
    lifetime, later = Lifetime(60.0), (Interest(two),)
    lifetime.wait((Interest(one),), PATIENCE)

    assert lifetime.wait(later, 0.0) == ()
    says_too.send(b"x")
    assert later == lifetime.wait(later, PATIENCE)


def test_a_wish_whose_socket_was_closed_does_not_stand_in_the_way(way, pair):
    (one, _), (two, says) = pair(), pair()
    lifetime = Lifetime(60.0)
    lifetime.wait((Interest(one),), 0.0)
    one.close()
    says.send(b"x")
    interest = Interest(two)

    assert (interest,) == lifetime.wait((interest,), PATIENCE)


def test_a_wait_for_nothing_waits_its_time(way):
    lifetime = Lifetime(60.0)
    began = lifetime.clock()

    assert lifetime.wait((), 0.05) == ()
    assert 0.05 <= lifetime.clock() - began < PATIENCE


# The client


def test_a_client_that_has_left_ends_every_wait(way, pair):
    near, far = pair()
    client, _ = pair()[0], None
    lifetime = Lifetime(60.0, client=near)
    lifetime.check()
    far.close()

    assert FaultKind.CALLER_LEFT is kind_of(lifetime.check)
    assert FaultKind.CALLER_LEFT is kind_of(lifetime.wait, (Interest(client),), PATIENCE)
    assert FaultKind.CALLER_LEFT is kind_of(lifetime.sleep, PATIENCE)


def test_a_client_that_leaves_while_somebody_waits_ends_the_wait(way, pair):
    """It leaves only once the wait has begun."""
    (near, far), (quiet, _) = pair(), pair()
    lifetime, begun, kinds = Lifetime(60.0, client=near), threading.Event(), []

    class Looked:
        def fileno(self):
            begun.set()
            return quiet.fileno()

    waiting = threading.Thread(
        target=lambda: kinds.append(kind_of(lifetime.wait, (Interest(Looked()),), 30.0)), daemon=True
    )
    waiting.start()
    assert begun.wait(PATIENCE)
    far.close()
    waiting.join(PATIENCE)

    assert kinds == [FaultKind.CALLER_LEFT]


def test_a_client_that_is_reset_has_left(way):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as far:
        near, _ = listener.accept()
        with near:
            lifetime = Lifetime(60.0, client=near)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            far.close()

            assert FaultKind.CALLER_LEFT is kind_of(lifetime.wait, (), PATIENCE)


def test_a_client_that_asks_for_more_has_not_left(way, pair):
    """Its next request waits in the socket, and does not wake anybody again and again."""
    (near, far), (quiet, says) = pair(), pair()
    lifetime, interests = Lifetime(60.0, client=near), (Interest(quiet),)
    far.send(b"GET / HTTP/1.1\r\n\r\n")

    assert lifetime.wait(interests, 0.0) == ()
    began = lifetime.clock()
    assert lifetime.wait(interests, 0.05) == ()
    assert lifetime.clock() - began >= 0.05
    says.send(b"x")
    assert interests == lifetime.wait(interests, PATIENCE)
    assert near.recv(3) == b"GET"


def test_a_client_that_asks_for_more_and_leaves_is_noticed_where_the_system_says_so(pair):
    if not hasattr(select, "POLLRDHUP"):
        pytest.skip("only Linux tells")
    near, far = pair()
    lifetime = Lifetime(60.0, client=near)
    far.send(b"GET / HTTP/1.1\r\n\r\n")
    lifetime.check()
    far.close()

    assert FaultKind.CALLER_LEFT is kind_of(lifetime.wait, (), PATIENCE)


def test_a_client_whose_socket_is_closed_already_is_not_watched(way, pair):
    near, _ = pair()
    near.close()

    Lifetime(60.0, client=near).check()


def test_departure_outranks_what_came_at_the_same_time(way, pair):
    (near, far), (other, says) = pair(), pair()
    says.send(b"x")
    far.close()

    assert FaultKind.CALLER_LEFT is kind_of(Lifetime(60.0, client=near).wait, (Interest(other),), PATIENCE)


# The drain


def test_a_drain_that_is_over_ends_every_wait_of_everybody(way, pair, drain):
    quiet, _ = pair()
    lifetimes = [Lifetime(60.0, drain=drain) for _ in range(2)]
    for each in lifetimes:
        each.check()
    drain.set()
    drain.set()

    for each in lifetimes:
        assert FaultKind.UNAVAILABLE is kind_of(each.check)
        assert FaultKind.UNAVAILABLE is kind_of(each.wait, (Interest(quiet),), PATIENCE)
        assert FaultKind.UNAVAILABLE is kind_of(each.sleep, PATIENCE)


def test_a_drain_that_ends_while_somebody_waits_ends_the_wait(way, drain):
    lifetime, kinds = Lifetime(60.0, drain=drain), []
    waiting = threading.Thread(target=lambda: kinds.append(kind_of(lifetime.sleep, 30.0)), daemon=True)
    waiting.start()
    drain.set()
    waiting.join(PATIENCE)

    assert kinds == [FaultKind.UNAVAILABLE]


def test_a_drain_says_when_to_come_back(drain):
    drain.set()
    with pytest.raises(FaultError) as caught:
        Lifetime(60.0, drain=drain).check()

    assert (drain.is_set, caught.value.fault.retry_after) == (True, 1.0)
    assert select.select([drain], [], [], 0)[0] == [drain]


# The deadline


def test_after_its_deadline_a_request_waits_for_nothing(way, pair):
    near, far = pair()
    far.send(b"x")
    clock = Clock()
    lifetime = Lifetime(10.0, clock=clock)
    clock.now += 9.5
    assert lifetime.left() == 0.5
    lifetime.check()
    clock.now += 0.5

    assert lifetime.left() == 0.0
    assert FaultKind.TIMEOUT is kind_of(lifetime.check)
    assert FaultKind.TIMEOUT is kind_of(lifetime.wait, (Interest(near),), PATIENCE)
    assert FaultKind.TIMEOUT is kind_of(lifetime.sleep, 1.0)


def test_a_wait_beyond_the_deadline_ends_with_it(way, pair):
    quiet, _ = pair()
    began = time.monotonic()
    lifetime = Lifetime(0.05)

    assert FaultKind.TIMEOUT is kind_of(lifetime.wait, (Interest(quiet),), 30.0)
    assert 0.05 <= time.monotonic() - began < PATIENCE


def test_what_came_in_time_is_given_though_the_deadline_has_passed_meanwhile(pair):
    near, far = pair()
    far.send(b"x")
    lifetime, interest = Lifetime(10.0, clock=Steps(0.0, 9.9, 10.1)), Interest(near)

    assert (interest,) == lifetime.wait((interest,), 30.0)


def test_a_limit_only_ever_shortens():
    clock = Clock()
    lifetime = Lifetime(10.0, clock=clock)
    clock.now += 1.0
    lefts = []
    for seconds in (20.0, 5.0, 8.0):
        lifetime.limit(seconds)
        lefts.append(lifetime.left())

    assert lefts == [9.0, 4.0, 4.0]


def test_sleeping_takes_its_time_and_no_longer_than_the_request_may():
    lifetime = Lifetime(60.0)
    began = lifetime.clock()
    lifetime.sleep(0.05)

    assert 0.05 <= lifetime.clock() - began < PATIENCE
    lifetime.sleep(0.0)
    assert FaultKind.TIMEOUT is kind_of(Lifetime(0.05).sleep, 30.0)


def test_a_request_remembers_when_it_began():
    clock = Clock()
    lifetime = Lifetime(10.0, clock=clock)
    clock.now += 3.0

    assert lifetime.began == 1000.0
