"""The models of other balancers do what their documentation says."""

import random

import pytest

from dialects.core.faults import Fault, FaultKind
from simulation.clock import VirtualClock
from simulation.contender import Call, Contender, Deadline, Entry
from simulation.failure_accrual import failure_accrual
from simulation.outlier_ejection import outlier_ejection
from simulation.upstream import BROKEN, places

THROTTLED = Fault(FaultKind.RATE_LIMITED, "busy", 429, 7.0)
BOTH = pytest.mark.parametrize("entry", [outlier_ejection, failure_accrual])


class Scene:
    """A peer on a clock that is set."""

    def __init__(self, entry: Entry, layout: str = "a1 a2 b1 b2") -> None:
        self.clock = VirtualClock()
        self.peer: Contender = entry(places(layout), self.clock, random.Random(1))

    def call(self, wanted: str = "") -> Call:
        """The first call of a request that goes to the place *wanted*; others wait meanwhile, then end well."""
        others: list[Call] = []
        for _ in range(1000):
            calls = self.peer.begin("", Deadline(self.clock, self.clock() + 600.0))
            call = calls.next()
            assert not isinstance(call, Fault)
            calls.close()
            if wanted in ("", call.place):
                break
            others.append(call)
        for other in others:
            other.answered()
            other.completed()
        assert wanted in ("", call.place)
        return call

    def fail(self, place: str, times: int, fault: Fault = BROKEN) -> None:
        for _ in range(times):
            self.call(place).failed(fault)

    def went(self, times: int = 200) -> set[str]:
        """Where so many requests go, all of which are answered."""
        went = set()
        for _ in range(times):
            call = self.call()
            went.add(call.place)
            call.answered()
            call.completed()
        return went


def at(scene: Scene, seconds: float) -> None:
    scene.clock.now = seconds


@BOTH
def test_five_failures_in_a_row_eject_a_host(entry) -> None:
    scene = Scene(entry)
    scene.fail("a1", 4)

    assert not scene.peer.has_ejected("a1")
    scene.fail("a1", 1)
    assert scene.peer.has_ejected("a1")
    assert scene.went() == {"a2", "b1", "b2"}


@BOTH
def test_an_answer_ends_a_row_of_failures(entry) -> None:
    scene = Scene(entry, "a1")
    for _ in range(20):
        scene.call().answered()
    scene.fail("a1", 4)
    scene.call().answered()
    scene.fail("a1", 1)

    assert not scene.peer.has_ejected("a1")


@BOTH
def test_used_up_quotas_are_no_failures_in_a_row(entry) -> None:
    scene = Scene(entry, "a1")
    for _ in range(100):
        scene.call().answered()
    scene.fail("a1", 10, THROTTLED)

    assert not scene.peer.has_ejected("a1")


@BOTH
def test_with_all_hosts_ejected_requests_go_to_any(entry) -> None:
    scene = Scene(entry, "a1 b1")
    scene.fail("a1", 5)
    scene.fail("b1", 5)

    assert scene.went(20) == {"a1", "b1"}


def test_outlier_ejection_ignores_health_below_half_of_the_hosts() -> None:
    scene = Scene(outlier_ejection)
    scene.fail("a1", 5)
    scene.fail("a2", 5)

    assert scene.went() == {"b1", "b2"}
    scene.fail("b1", 5)
    assert scene.went() == {"a1", "a2", "b1", "b2"}


def test_outlier_ejection_lasts_longer_each_time_and_ends_with_a_sweep() -> None:
    scene = Scene(outlier_ejection)
    at(scene, 1.0)
    scene.fail("a1", 5)
    at(scene, 39.9)

    assert scene.peer.has_ejected("a1")
    at(scene, 40.0)
    assert not scene.peer.has_ejected("a1")
    scene.fail("a1", 5)
    at(scene, 99.9)
    assert scene.peer.has_ejected("a1")
    at(scene, 100.0)
    assert not scene.peer.has_ejected("a1")


def test_outlier_ejection_forgives_one_ejection_with_each_sweep() -> None:
    scene = Scene(outlier_ejection)
    scene.fail("a1", 5)
    at(scene, 50.0)
    scene.fail("a1", 5)
    at(scene, 80.0)

    assert not scene.peer.has_ejected("a1")


def test_outlier_ejection_asks_the_less_busy_of_two() -> None:
    scene = Scene(outlier_ejection, "a1 b1")
    for _ in range(100):
        scene.call("a1")
    calls = [scene.call().place for _ in range(100)]

    assert pytest.approx(calls.count("b1"), abs=10) == 75, "but for those that drew the same host twice"


def test_failure_accrual_lets_one_call_probe_a_dead_host() -> None:
    scene = Scene(failure_accrual)
    scene.fail("a1", 5)
    at(scene, 5.1)
    probe = scene.call("a1")

    assert scene.went() == {"a2", "b1", "b2"}
    probe.failed(BROKEN)
    at(scene, 10.1)
    assert scene.peer.has_ejected("a1"), "dead for at least five seconds after the first probe"
    at(scene, 15.2)
    scene.call("a1").answered()
    assert not scene.peer.has_ejected("a1")


def test_failure_accrual_ejects_a_host_with_too_few_successes() -> None:
    scene = Scene(failure_accrual, "a1")
    for _ in range(12):
        scene.call().answered()
    for _ in range(3):
        scene.fail("a1", 1)
        scene.call().answered()

    assert not scene.peer.has_ejected("a1")
    scene.fail("a1", 1)
    assert scene.peer.has_ejected("a1")


def test_failure_accrual_prefers_the_host_that_answers_sooner() -> None:
    scene = Scene(failure_accrual, "a1 b1")
    call = scene.call("a1")
    at(scene, 30.0)
    call.answered()
    call.completed()

    assert scene.went(20) == {"b1"}


@BOTH
def test_a_request_makes_three_calls_at_most(entry) -> None:
    scene = Scene(entry)
    calls = scene.peer.begin("", Deadline(scene.clock, 600.0))
    made: list[Call | Fault] = []

    def request() -> None:
        for _ in range(4):
            call = calls.next()
            made.append(call)
            if not isinstance(call, Fault):
                call.failed(BROKEN)

    scene.clock.later(0.0, request)
    scene.clock.run()

    assert [isinstance(each, Fault) for each in made] == [False, False, False, True]
    assert made[-1] == BROKEN


@BOTH
def test_retries_are_bounded_together(entry) -> None:
    """Six hundred requests at once, to hosts that all fail."""
    scene = Scene(entry)
    made = 0

    def request() -> None:
        nonlocal made
        calls = scene.peer.begin("", Deadline(scene.clock, 600.0))
        while not isinstance(call := calls.next(), Fault):
            made += 1
            call.failed(BROKEN)
        calls.close()

    for _ in range(600):
        scene.clock.later(0.0, request)
    scene.clock.run()

    assert 600 < made <= 600 * 1.2 + 101
