"""Work in steps, under a clock that is set: stopped, gone on with, silent and late."""

import math
import socket
from contextlib import suppress

import pytest

from dialects.core.faults import FaultError
from gateway.requests.lifetime import TOO_LATE, Interest, Lifetime
from gateway.upstream.steps import NO_ANSWER_IN_TIME, Pause, Resumable, StillPending, ends_by, run, unless_silent


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lifetime(clock):
    return Lifetime(60.0, clock=clock)


@pytest.fixture
def interests():
    """One that is ready, and one that is not unless something is sent to it."""
    near, far = socket.socketpair()
    far.send(b"x")
    with near, far:
        yield Interest(near), Interest(far)


def work(clock, interest, steps, seconds, until=float("inf")):
    """Work of so many *steps*, each of which takes so many *seconds* before it waits."""
    for _ in range(steps):
        clock.now += seconds
        yield Pause((interest,), until)
    return "done"


def test_work_is_stopped_and_gone_on_with(clock, lifetime, interests):
    _, later = interests

    def steps():
        yield Pause((later,))
        return "done"

    resumable = Resumable(steps())
    for _ in range(2):
        with pytest.raises(StillPending):
            resumable.go_on(lifetime, 0.0)
        assert (False, later) == (resumable.done, resumable.pause.interests[0])
    interests[0].on.send(b"x")

    assert resumable.go_on(lifetime, 0.0) == "done"
    assert resumable.go_on(lifetime, 0.0) == "done"
    assert (resumable.done, resumable.pause) == (True, None)


def test_as_much_is_done_at_once_as_can_be(clock, lifetime, interests):
    assert Resumable(work(clock, interests[0], 10, 0.0)).go_on(lifetime, 0.0) == "done"


class Scripted(Lifetime):
    """A lifetime whose waits take the seconds, and end as the script says."""

    def __init__(self, clock, *script):
        super().__init__(60.0, clock=clock)
        self.script = list(script)
        self.waits = []

    def wait(self, interests, seconds):
        self.waits.append(pytest.approx(seconds))
        took, ready = self.script.pop(0)
        self.clock.now += took
        return interests if ready else ()


def test_silence_is_counted_from_where_the_work_last_got_on(clock, interests):
    """Half a second from the beginning ends in the second wait, which is only the first tenth of a silence."""
    lifetime = Scripted(clock, (0.4, True), (0.1, False), (0.3, True))

    assert run(unless_silent(work(clock, interests[0], 2, 0.0), 0.5, clock), lifetime) == "done"
    assert lifetime.waits == [0.5, 0.5, 0.4]


def test_silence_ends_where_nothing_has_moved_for_so_long(clock, interests):
    def steps():
        yield from work(clock, interests[0], 3, 0.4)
        yield from work(clock, interests[1], 1, 0.6)

    lifetime = Scripted(clock, (0.0, True), (0.0, True), (0.0, True), (0.0, False))
    with pytest.raises(FaultError) as caught:
        run(unless_silent(steps(), 0.5, clock), lifetime)

    assert caught.value.fault == NO_ANSWER_IN_TIME
    assert clock() == pytest.approx(1000.0 + 3 * 0.4 + 0.6)


@pytest.mark.parametrize(("limit", "expected"), [(0.3, ["late", "done"]), (0.7, ["let go", NO_ANSWER_IN_TIME])])
def test_a_limit_of_the_work_itself_that_comes_before_the_silence_is_left_to_it(clock, interests, limit, expected):
    seen = []

    def steps():
        try:
            yield Pause((interests[1],), clock() + limit)
        except TimeoutError:
            seen.append("late")
        except GeneratorExit:
            seen.append("let go")
            raise
        return "done"

    try:
        seen.append(run(unless_silent(steps(), 0.5, clock), Scripted(clock, (min(limit, 0.5), False))))
    except FaultError as error:
        seen.append(error.fault)

    assert seen == expected


def test_work_that_ends_by_its_time_is_let_be(clock, interests):
    script = Scripted(clock, (0.4, True), (0.4, True))

    assert run(ends_by(work(clock, interests[0], 2, 0.0), 1001.0, clock), script) == "done"
    assert script.waits == [1.0, pytest.approx(0.6)]


def test_work_is_late_however_often_something_arrives(clock, interests):
    """Each wait ends because something has arrived, so no pause of the work is ever late."""
    with pytest.raises(TimeoutError):
        run(ends_by(work(clock, interests[0], 9, 0.0), 1001.0, clock), Scripted(clock, *[(0.4, True)] * 3))


def test_work_is_late_where_nothing_arrives(clock, interests):
    with pytest.raises(TimeoutError):
        run(ends_by(work(clock, interests[1], 1, 0.0), 1001.0, clock), Scripted(clock, (1.0, False)))


def test_a_limit_of_the_work_itself_that_comes_before_its_end_is_left_to_it(clock, interests):
    def steps():
        with suppress(TimeoutError):
            yield Pause((interests[1],), clock() + 0.3)
        return "done"

    assert run(ends_by(steps(), 1001.0, clock), Scripted(clock, (0.3, False))) == "done"


def test_work_is_waited_for_until_it_is_ready_or_too_late(clock, interests):
    def steps():
        yield Pause((interests[1],))
        try:
            yield Pause((interests[1],), 1001.0)
        except TimeoutError:
            return "late"

    script = Scripted(clock, (0.5, True), (0.5, False))

    assert run(steps(), script) == "late"
    assert script.waits == [math.inf, 0.5]


def test_whoever_gives_up_a_piece_of_work_lets_go_of_what_it_is_a_part_of(clock, interests):
    """Here the request is over."""
    let_go = []

    def steps():
        try:
            yield Pause((interests[1],))
        finally:
            let_go.append(True)

    with pytest.raises(FaultError) as caught:
        run(unless_silent(steps(), 0.5, clock), Lifetime(0.0, clock=clock))

    assert (caught.value.fault, let_go) == (TOO_LATE, [True])


def test_at_its_moment_the_work_is_told_and_may_go_on(clock, lifetime, interests):
    def steps():
        try:
            yield Pause((interests[1],), 1001.0)
        except TimeoutError:
            yield Pause((interests[0],))
        return "done"

    resumable = Resumable(steps())
    with pytest.raises(StillPending):
        resumable.go_on(lifetime, 0.0)
    clock.now = 1001.0

    assert resumable.go_on(lifetime, 0.0) == "done"


def test_work_that_was_closed_lets_go_and_cannot_be_gone_on_with(clock, lifetime, interests):
    let_go = []

    def steps():
        try:
            yield Pause((interests[1],))
        finally:
            let_go.append(True)

    resumable = Resumable(steps())
    with pytest.raises(StillPending):
        resumable.go_on(lifetime, 0.0)
    resumable.close()
    resumable.close()

    assert (let_go, resumable.pause) == ([True], None)
    with pytest.raises(FaultError, match="stopped reading"):
        resumable.go_on(lifetime, 0.0)
