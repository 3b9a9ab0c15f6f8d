import logging
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from dialects.faults import Fault, FaultKind, Quota
from routing.health import (
    VERDICTS,
    Circuit,
    CircuitBreaker,
    Effect,
    HealthChecker,
    Outcome,
    Scope,
    Transition,
    scope_of,
)
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, Policy
from routing.strategy import Endpoint
from tests.routing.scenes import DOWN, EU1, EU2, US1, Clock, at_most, together

CLOSED, OPEN, HALF_OPEN = Circuit.CLOSED, Circuit.OPEN, Circuit.HALF_OPEN


class TestVerdicts:
    """One row of the table each: whose it is, what the breaker does, what rests, and whether to go elsewhere."""

    ROWS = (
        (FaultKind.INVALID_REQUEST, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.CONTENT_FILTERED, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.TOO_LARGE, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.NOT_FOUND, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.UNAUTHENTICATED, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.CALLER_LEFT, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.RATE_LIMITED, Outcome.RATE_LIMITED, Effect.THROTTLE, Scope.DOMAIN, True),
        (FaultKind.OVERLOADED, Outcome.OVERLOADED, Effect.FAILURE, Scope.ENDPOINT, True),
        (FaultKind.SERVER_ERROR, Outcome.SERVER, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.TIMEOUT, Outcome.SERVER, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.UNREACHABLE, Outcome.SERVER, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.STREAM_BROKEN, Outcome.STREAM, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.REFUSED_CREDENTIALS, Outcome.CREDENTIALS, Effect.NEUTRAL, Scope.SUBACCOUNT, True),
        (FaultKind.GONE, Outcome.GONE, Effect.TRIP, Scope.NONE, True),
        (FaultKind.UNAVAILABLE, Outcome.UNAVAILABLE, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.OTHER, Outcome.OTHER, Effect.FAILURE, Scope.NONE, True),
    )

    @pytest.mark.parametrize(("kind", "outcome", "effect", "cooling", "elsewhere"), ROWS, ids=str)
    def test_a_row(self, kind, outcome, effect, cooling, elsewhere):
        row = VERDICTS[kind]

        assert (outcome, effect, cooling, elsewhere) == (row.outcome, row.effect, row.cooling, row.try_elsewhere)

    def test_every_kind_has_a_row(self):
        assert set(FaultKind) == set(VERDICTS) == {row[0] for row in self.ROWS}

    @pytest.mark.parametrize(
        ("fault", "scope"),
        [
            (Fault(FaultKind.RATE_LIMITED, "", quota=Quota.MODEL), Scope.DOMAIN),
            (Fault(FaultKind.RATE_LIMITED, "", quota=Quota.ENDPOINT), Scope.ENDPOINT),
            (Fault(FaultKind.OVERLOADED, ""), Scope.NONE),
            (Fault(FaultKind.OVERLOADED, "", retry_after=0.0), Scope.ENDPOINT),
            (Fault(FaultKind.REFUSED_CREDENTIALS, "", retry_after=1.0), Scope.SUBACCOUNT),
            (Fault(FaultKind.SERVER_ERROR, "", retry_after=1.0), Scope.NONE),
        ],
    )
    def test_what_rests_depends_on_whose_quota_it_was_and_on_a_hint(self, fault, scope):
        assert scope is scope_of(fault)


class Scene:
    """A breaker whose clock and chance are set, and what it said."""

    def __init__(self, **policy) -> None:
        self.clock = Clock()
        self.chance = 0.5
        self.said: list[Transition] = []
        self.breaker = CircuitBreaker(
            BreakerPolicy(**policy), clock=self.clock, rng=lambda: self.chance, on_transition=self.said.append
        )

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.breaker.enter(), "boom")

    def succeed(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.succeeded(self.breaker.enter())

    def opened_for(self) -> float:
        return self.breaker.snapshot().until - self.clock.now


class TestClosed:
    def test_five_failures_in_a_row_open_it_and_four_do_not(self):
        scene = Scene()
        scene.fail(4)
        scene.succeed()
        scene.fail(4)

        assert scene.breaker.state is CLOSED

        scene.fail()

        assert scene.breaker.state is OPEN
        assert [Transition(1, CLOSED, OPEN, "5 failures in a row: boom", 10.0, 0)] == scene.said

    @pytest.mark.parametrize(("good", "bad", "state"), [(5, 4, CLOSED), (5, 5, OPEN), (6, 5, CLOSED), (6, 6, OPEN)])
    def test_half_of_ten_outcomes_open_it(self, good, bad, state):
        scene = Scene(failure_threshold=1_000)
        scene.succeed(good)
        scene.fail(bad)

        assert scene.breaker.state is state
        if state is OPEN:
            assert f"{bad} of {good + bad} failed: boom" == scene.breaker.snapshot().reason

    @pytest.mark.parametrize(("age", "state"), [(26.9, OPEN), (27.0, OPEN), (30.0, CLOSED)])
    def test_only_the_last_thirty_seconds_count(self, age, state):
        scene = Scene(failure_threshold=1_000)
        scene.succeed(5)
        scene.fail(4)
        scene.clock.now = age
        scene.fail()

        assert scene.breaker.state is state

    def test_an_answer_that_is_cut_turns_into_a_failure(self):
        """One request is one outcome: five good, and five that began well, are ten."""
        scene = Scene(failure_threshold=1_000)
        scene.succeed(5)
        for n in range(5):
            assert scene.breaker.state is CLOSED, n
            permit = scene.breaker.enter()
            scene.breaker.succeeded(permit)
            scene.breaker.failed(permit, "cut")

        assert scene.breaker.state is OPEN
        assert "5 of 10 failed: cut" == scene.breaker.snapshot().reason

    @pytest.mark.parametrize("neutral", [CircuitBreaker.withdrew, CircuitBreaker.throttled])
    def test_what_is_nobodys_failure_counts_for_nothing(self, neutral):
        scene = Scene()
        scene.fail(4)
        for _ in range(20):
            neutral(scene.breaker, scene.breaker.enter())
        scene.fail()

        assert "5 failures in a row: boom" == scene.breaker.snapshot().reason

    @pytest.mark.parametrize("again", [CircuitBreaker.failed, CircuitBreaker.succeeded, CircuitBreaker.withdrew])
    def test_a_permit_counts_once(self, again):
        scene = Scene(failure_threshold=2)
        permit = scene.breaker.enter()
        scene.breaker.failed(permit)
        again(scene.breaker, permit)

        assert scene.breaker.state is CLOSED

        scene.fail()

        assert scene.breaker.state is OPEN

    def test_a_success_counts_once(self):
        scene = Scene(failure_threshold=1_000)
        permit = scene.breaker.enter()
        for _ in range(9):
            scene.breaker.succeeded(permit)
        scene.fail(9)

        assert "9 of 10 failed: boom" == scene.breaker.snapshot().reason


class TestOpen:
    def test_it_admits_nobody_until_its_time_is_over(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 9.99

        assert scene.breaker.enter() is None
        assert scene.breaker.state is OPEN

        scene.clock.now = 10

        assert scene.breaker.state is HALF_OPEN
        assert Transition(2, OPEN, HALF_OPEN, "its time was over", 0.0, 0) == scene.said[-1]

    @pytest.mark.parametrize(("chance", "seconds"), [(0.0, 8.0), (0.5, 10.0), (1.0, 12.0)])
    def test_jitter_of_a_fifth(self, chance, seconds):
        scene = Scene(failure_threshold=1)
        scene.chance = chance
        scene.fail()

        assert seconds == pytest.approx(scene.opened_for())

    def failing_probes(self, scene: Scene, times: int) -> list[tuple[float, int]]:
        scene.fail()
        found = [(scene.opened_for(), scene.breaker.snapshot().k)]
        for _ in range(times):
            scene.clock.now += scene.opened_for()
            scene.fail()
            found.append((scene.opened_for(), scene.breaker.snapshot().k))
        return found

    def test_each_failing_probe_doubles_it_up_to_its_cap(self):
        expected = [(10, 0), (20, 1), (40, 2), (80, 3), (160, 4), (300, 5), (300, 5)]

        assert expected == self.failing_probes(Scene(failure_threshold=1), 6)

    def test_a_fixed_time_is_fixed(self):
        scene = Scene(failure_threshold=1, fixed_timeout=True)
        scene.chance = 0.0

        assert [10, 10, 10] == [seconds for seconds, _ in self.failing_probes(scene, 2)]

    @pytest.mark.parametrize(("health", "k"), [(59.9, 2), (60.0, 1), (119.9, 1), (120.0, 0), (600.0, 0)])
    def test_a_minute_of_health_takes_back_one_doubling(self, health, k):
        scene = Scene(failure_threshold=1)
        self.failing_probes(scene, 2)
        scene.clock.now += 40
        scene.succeed()
        scene.clock.now += health

        assert k == scene.breaker.snapshot().k

        scene.fail()

        assert (10 * 2**k, k) == (scene.opened_for(), scene.breaker.snapshot().k)

    def test_keywords_make_one_that_is_fixed(self):
        clock = Clock()
        breaker = CircuitBreaker(failure_threshold=3, timeout=400.0, clock=clock, rng=lambda: 0.0)
        for _ in range(3):
            breaker.failed(breaker.enter())
        clock.now = 399.9

        assert breaker.state is OPEN

        clock.now = 400.0

        assert breaker.state is HALF_OPEN

    def test_a_verdict_from_before_counts_for_nothing(self):
        scene = Scene(failure_threshold=1)
        late = [scene.breaker.enter() for _ in range(4)]
        scene.fail()
        before = scene.breaker.snapshot()
        scene.breaker.succeeded(late[0])
        scene.breaker.failed(late[1])
        scene.breaker.withdrew(late[2])
        scene.breaker.trip("gone", permit=late[3])

        assert before == scene.breaker.snapshot()

    def test_forced_it_lets_one_through_at_a_time(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        one = scene.breaker.enter(force=True)

        assert one is not None
        assert scene.breaker.snapshot().probing
        assert scene.breaker.enter(force=True) is None

        scene.clock.now = 3
        scene.breaker.failed(one)

        assert (OPEN, 3, 10, 0) == tuple(
            getattr(scene.breaker.snapshot(), name) for name in ("state", "since", "until", "k")
        )
        assert scene.breaker.enter(force=True) is not None

    @pytest.mark.parametrize("neutral", [CircuitBreaker.withdrew, CircuitBreaker.throttled])
    def test_a_forced_request_that_taught_nothing_makes_room_for_another(self, neutral):
        scene = Scene(failure_threshold=1)
        scene.fail()
        neutral(scene.breaker, scene.breaker.enter(force=True))

        assert scene.breaker.enter(force=True) is not None
        assert scene.breaker.state is OPEN

    def test_a_forced_request_that_is_answered_closes_it(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.breaker.succeeded(scene.breaker.enter(force=True))

        assert scene.breaker.state is CLOSED
        assert Transition(2, OPEN, CLOSED, "it answered", 0.0, 0) == scene.said[-1]

    def test_successes_must_be_in_a_row(self):
        scene = Scene(failure_threshold=1, success_threshold=2)
        scene.fail()
        scene.breaker.succeeded(scene.breaker.enter(force=True))
        scene.breaker.failed(scene.breaker.enter(force=True))
        scene.breaker.succeeded(scene.breaker.enter(force=True))

        assert scene.breaker.state is OPEN

    def test_a_forced_request_becomes_the_probe(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        forced = scene.breaker.enter(force=True)
        scene.clock.now = 10

        assert scene.breaker.enter() is None
        assert scene.breaker.state is HALF_OPEN

        scene.breaker.failed(forced, "boom")

        assert (20, 1) == (scene.opened_for(), scene.breaker.snapshot().k)

    def test_insisting_always_gets_through(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        permits = [scene.breaker.insist() for _ in range(3)]
        scene.breaker.failed(permits[0])

        assert scene.breaker.state is OPEN

        scene.breaker.succeeded(permits[1])

        assert scene.breaker.state is CLOSED
        scene.breaker.failed(permits[2])
        assert scene.breaker.state is CLOSED

    def test_insisting_takes_the_probes_place_if_it_is_free(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        permit = scene.breaker.insist()

        assert scene.breaker.enter() is None
        assert scene.breaker.insist() is not permit

        scene.breaker.withdrew(permit)

        assert scene.breaker.enter() is not None

    def test_insisting_on_a_closed_one_is_entering(self):
        scene = Scene(failure_threshold=1)
        scene.breaker.failed(scene.breaker.insist())

        assert scene.breaker.state is OPEN


class TestHalfOpen:
    def half_open(self, **policy) -> Scene:
        scene = Scene(failure_threshold=1, **policy)
        scene.fail()
        scene.clock.now = 10
        return scene

    def test_one_probe_is_in_flight(self):
        scene = self.half_open()
        admitted = []
        together([lambda: admitted.append(scene.breaker.enter())] * 16)

        assert 1 == len([permit for permit in admitted if permit is not None])
        assert scene.breaker.enter(force=True) is None

    def test_one_success_closes_it(self):
        scene = self.half_open()
        scene.succeed()

        assert scene.breaker.state is CLOSED
        assert Transition(3, HALF_OPEN, CLOSED, "it answered", 0.0, 0) == scene.said[-1]

    def test_more_successes_can_be_asked_for(self):
        scene = self.half_open(success_threshold=3)
        scene.succeed(2)

        assert scene.breaker.state is HALF_OPEN

        scene.succeed()

        assert scene.breaker.state is CLOSED

    def test_an_answered_probe_that_is_cut_opens_it_again(self):
        scene = self.half_open(success_threshold=3)
        permit = scene.breaker.enter()
        scene.breaker.succeeded(permit)
        scene.breaker.failed(permit, "cut")

        assert "the probe failed: cut" == scene.breaker.snapshot().reason

    def test_one_failure_opens_it_for_longer(self):
        scene = self.half_open()
        scene.fail()

        assert Transition(3, HALF_OPEN, OPEN, "the probe failed: boom", 20.0, 1) == scene.said[-1]

    def test_a_used_up_quota_opens_it_for_as_long_as_before(self):
        scene = self.half_open()
        scene.breaker.throttled(scene.breaker.enter())

        assert Transition(3, HALF_OPEN, OPEN, "the probe met a used-up quota", 10.0, 0) == scene.said[-1]

    def test_a_permit_comes_back_when_the_probe_taught_nothing(self):
        scene = self.half_open()
        scene.breaker.withdrew(scene.breaker.enter())

        assert scene.breaker.enter() is not None

    def test_who_gave_it_back_cannot_give_back_anothers(self):
        scene = self.half_open()
        first = scene.breaker.enter()
        scene.breaker.withdrew(first)
        assert scene.breaker.enter() is not None
        scene.breaker.withdrew(first)

        assert scene.breaker.enter() is None

    def test_what_was_counted_before_is_forgotten(self):
        scene = self.half_open(minimum_outcomes=2, success_threshold=1)
        scene.succeed()
        scene.breaker._policy = BreakerPolicy(failure_threshold=2, minimum_outcomes=2)
        scene.fail()

        assert scene.breaker.state is CLOSED


class TestSlowStart:
    @pytest.mark.parametrize(
        ("age", "share"), [(0, 0.1), (2.9, 0.1), (3.0, 0.1), (15, 0.5), (29.9, 29.9 / 30), (30, 1), (99, 1)]
    )
    def test_weight_comes_back_over_thirty_seconds(self, age, share):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()
        scene.clock.now += age

        assert share == pytest.approx(scene.breaker.snapshot().share)
        assert (age >= 30) == scene.breaker.well

    def test_a_circuit_that_is_not_closed_has_the_least(self):
        scene = Scene(failure_threshold=1)
        scene.fail()

        assert 0.1 == scene.breaker.snapshot().share
        assert not scene.breaker.well

    def test_who_was_always_there_has_all_of_it(self):
        assert 1.0 == Scene().breaker.snapshot().share

    def test_who_joins_starts_slowly(self):
        scene = Scene()
        scene.clock.now = 100
        scene.breaker.start_slowly()
        scene.clock.now = 106

        assert 0.2 == scene.breaker.snapshot().share
        assert not scene.breaker.well

    def test_it_can_be_switched_off(self):
        scene = Scene(failure_threshold=1, slow_start=0)
        scene.breaker.start_slowly()

        assert (1.0, True) == (scene.breaker.snapshot().share, scene.breaker.well)

        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert (1.0, True) == (scene.breaker.snapshot().share, scene.breaker.well)

    def test_half_a_second_of_it_is_not_none(self):
        scene = Scene(failure_threshold=1, slow_start=0.5)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert (0.1, False) == (scene.breaker.snapshot().share, scene.breaker.well)

    def test_a_circuit_that_closes_without_it_is_well_at_once(self):
        scene = Scene(failure_threshold=1, slow_start=0)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert scene.breaker.well

    def test_an_open_circuit_is_not_well_for_having_joined(self):
        scene = Scene(failure_threshold=1, slow_start=0)
        scene.fail()
        scene.breaker.start_slowly()

        assert not scene.breaker.well


class TestGone:
    def test_it_stays_open_until_it_is_restored(self):
        scene = Scene()
        scene.breaker.trip("stopped")
        scene.clock.now = 1e9
        scene.breaker.reachable()

        assert (OPEN, True, "stopped") == (
            scene.breaker.state,
            scene.breaker.snapshot().gone,
            scene.breaker.snapshot().reason,
        )

        scene.breaker.restore()

        assert Transition(2, OPEN, HALF_OPEN, "the deployment runs again", 0.0, 0) == scene.said[-1]
        assert not scene.breaker.snapshot().gone

    def test_or_for_as_long_as_was_said(self):
        scene = Scene()
        scene.breaker.trip("gone", seconds=60)
        scene.clock.now = 59.9

        assert scene.breaker.state is OPEN

        scene.clock.now = 60

        assert scene.breaker.state is HALF_OPEN

    def test_saying_it_twice_is_told_once_and_never_shortens_it(self):
        scene = Scene()
        scene.breaker.trip("stopped", seconds=60)
        scene.breaker.trip("stopped still", seconds=30)

        assert 60 == scene.opened_for()

        scene.breaker.trip("stopped still", seconds=90)

        assert 90 == scene.opened_for()
        assert ["stopped"] == [move.reason for move in scene.said]

    def test_an_open_circuit_can_turn_out_to_be_gone(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.breaker.trip("stopped", seconds=5)

        assert (5, True) == (scene.opened_for(), scene.breaker.snapshot().gone)

    def test_a_request_may_find_out(self):
        scene = Scene()
        permit = scene.breaker.enter()
        scene.breaker.trip("gone", permit=permit)
        scene.breaker.restore()

        assert scene.breaker.enter() is not None

    def test_nothing_is_to_be_restored_in_a_circuit_that_merely_failed(self):
        scene = Scene(failure_threshold=1)
        scene.breaker.restore()
        scene.fail()
        scene.breaker.restore()

        assert scene.breaker.state is OPEN


class TestActiveChecks:
    def test_a_check_that_gets_through_lets_a_probe_in_early(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.breaker.reachable()

        assert Transition(2, OPEN, HALF_OPEN, "an active check got through", 0.0, 0) == scene.said[-1]
        scene.breaker.reachable()
        assert 2 == len(scene.said)

    def test_a_state_that_time_brings_about_begins_when_it_is_noticed(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 11

        assert (HALF_OPEN, 11) == (scene.breaker.state, scene.breaker.snapshot().since)

    def test_a_state_that_a_check_brings_about_begins_then(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 4
        scene.breaker.reachable()

        assert 4 == scene.breaker.snapshot().since

    def test_a_failed_check_lengthens_an_open_circuit(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 4
        scene.breaker.unreachable("no answer")

        assert (10, 0) == (scene.opened_for(), scene.breaker.snapshot().k)

        scene.chance = 0.0
        scene.breaker.unreachable("no answer")

        assert 10 == scene.opened_for()

    def test_a_failed_check_is_a_failed_probe(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        scene.breaker.unreachable("status 502")

        assert Transition(3, HALF_OPEN, OPEN, "an active check failed: status 502", 20.0, 1) == scene.said[-1]

    def test_while_a_probe_is_out_it_alone_decides(self):
        scene = Scene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        probe = scene.breaker.enter()
        scene.breaker.unreachable("no answer")
        scene.breaker.succeeded(probe)

        assert scene.breaker.state is CLOSED

        scene.breaker.unreachable("no answer")

        assert scene.breaker.state is CLOSED


class TestTelling:
    def test_it_is_told_when_the_lock_is_free(self):
        seen = []
        breaker = CircuitBreaker(
            failure_threshold=1, timeout=1.0, on_transition=lambda move: seen.append(breaker.state)
        )
        breaker.failed(breaker.enter())

        assert [OPEN] == seen

    @pytest.mark.parametrize(
        "look",
        [
            lambda breaker, late: breaker.snapshot(),
            lambda breaker, late: breaker.enter(),
            lambda breaker, late: breaker.insist(),
            lambda breaker, late: breaker.succeeded(late),
            lambda breaker, late: breaker.failed(late),
            lambda breaker, late: breaker.throttled(late),
            lambda breaker, late: breaker.withdrew(late),
            lambda breaker, late: breaker.trip("gone", permit=late),
            lambda breaker, late: breaker.reachable(),
            lambda breaker, late: breaker.unreachable("no answer"),
        ],
    )
    def test_whoever_notices_that_time_is_over_tells_it_at_once(self, look):
        scene = Scene(failure_threshold=1)
        late = scene.breaker.enter()
        scene.fail()
        scene.clock.now = 10
        look(scene.breaker, late)

        assert "its time was over" == scene.said[1].reason

    def test_nobody_has_to_listen(self):
        breaker = CircuitBreaker(failure_threshold=1)
        breaker.failed(breaker.enter())

        assert breaker.state is OPEN

    def test_each_move_is_told_once_though_two_threads_would_tell_it(self):
        scene = Scene(failure_threshold=1)

        class Contested:
            """Has a move, until one wants to take it."""

            def __bool__(self) -> bool:
                return True

            def append(self, move) -> None:
                pass

            def popleft(self):
                raise IndexError

        scene.breaker._moves = Contested()
        scene.fail()

        assert [] == scene.said


class Model(RuleBasedStateMachine):
    """The breaker against a model that is too simple to be wrong, with permits settled late and often."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.told: list[Transition] = []
        policy = BreakerPolicy(failure_threshold=3, timeout=10, timeout_cap=40, minimum_outcomes=4, success_threshold=2)
        self.breaker = CircuitBreaker(policy, clock=self.clock, rng=lambda: 0.5, on_transition=self.told.append)
        self.circuit, self.epoch, self.until, self.k = CLOSED, 0, 0.0, 0
        self.closed_at, self.row, self.probe, self.gone = 0.0, 0, None, False
        self.outcomes: dict[int, tuple[float, bool]] = {}

    def become(self, circuit: Circuit) -> None:
        kept = self.probe if (self.circuit, circuit) == (OPEN, HALF_OPEN) else None
        self.circuit, self.epoch, self.row, self.probe = circuit, self.epoch + 1, 0, kept
        if kept is not None:
            kept["epoch"] = self.epoch
        if circuit is CLOSED:
            self.closed_at, self.outcomes = self.clock.now, {}
        if circuit is not OPEN:
            self.gone = False

    def open(self, k: int) -> None:
        self.k = min(k, 2)
        self.until = self.clock.now + 10 * 2**self.k
        self.become(OPEN)

    def now_k(self) -> int:
        return max(0, self.k - int((self.clock.now - self.closed_at) // 60)) if self.circuit is CLOSED else self.k

    def tick(self) -> None:
        if self.circuit is OPEN and self.clock.now >= self.until:
            self.become(HALF_OPEN)

    def free(self, permit) -> None:
        if self.probe is permit:
            self.probe = None

    @rule(seconds=st.sampled_from([0.5, 3, 10, 30, 61]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(target=permits, force=st.booleans())
    def enter(self, force: bool):
        self.tick()
        may = self.circuit is CLOSED or (self.probe is None and (force or self.circuit is HALF_OPEN))
        real = self.breaker.enter(force)
        assert may == (real is not None)
        if real is None:
            return multiple()
        permit = {"real": real, "epoch": self.epoch, "stage": "out"}
        if self.circuit is not CLOSED:
            self.probe = permit
        return permit

    @rule(target=permits)
    def insist(self):
        self.tick()
        permit = {"real": self.breaker.insist(), "epoch": self.epoch, "stage": "out"}
        if self.circuit is not CLOSED and self.probe is None:
            self.probe = permit
        return permit

    @rule(permit=permits)
    def succeed(self, permit) -> None:
        self.tick()
        self.breaker.succeeded(permit["real"])
        if permit["epoch"] == self.epoch and permit["stage"] == "out":
            permit["stage"] = "answered"
            self.free(permit)
            if self.circuit is CLOSED:
                self.row = 0
                self.outcomes[id(permit)] = (self.clock.now, True)
            else:
                self.row += 1
                if self.row == 2:
                    self.become(CLOSED)

    @rule(permit=permits, how=st.sampled_from(["failed", "throttled", "withdrew", "trip"]))
    def settle(self, permit, how: str) -> None:
        self.tick()
        if how == "trip":
            self.breaker.trip("gone", permit=permit["real"], seconds=15)
        else:
            getattr(self.breaker, how)(permit["real"])
        if permit["epoch"] != self.epoch or permit["stage"] == "settled":
            return
        permit["stage"] = "settled"
        self.free(permit)
        match how, self.circuit:
            case "failed", Circuit.CLOSED:
                self.row += 1
                self.outcomes[id(permit)] = (self.clock.now, False)
                recent = [good for at, good in self.outcomes.values() if int(at / 3) > int(self.clock.now / 3) - 10]
                if self.row == 3 or (len(recent) >= 4 and recent.count(False) * 2 >= len(recent)):
                    self.open(self.now_k())
            case "failed", Circuit.HALF_OPEN:
                self.open(self.k + 1)
            case "failed", Circuit.OPEN:
                self.row = 0
            case "throttled", Circuit.HALF_OPEN:
                self.open(self.k)
            case "trip", _:
                self.trip()

    @rule()
    def trip_without_a_permit(self) -> None:
        self.tick()
        self.breaker.trip("gone", seconds=15)
        self.trip()

    def trip(self) -> None:
        until = self.clock.now + 15
        self.until = max(self.until, until) if self.gone else until
        if not self.gone:
            self.k = self.now_k()
            self.become(OPEN)
            self.gone = True

    @rule(what=st.sampled_from(["reachable", "restore"]))
    def revive(self, what: str) -> None:
        self.tick()
        getattr(self.breaker, what)()
        if self.circuit is OPEN and self.gone is (what == "restore"):
            self.become(HALF_OPEN)

    @rule()
    def check_fails(self) -> None:
        self.tick()
        self.breaker.unreachable("no answer")
        if self.circuit is HALF_OPEN and self.probe is None:
            self.open(self.k + 1)
        elif self.circuit is OPEN:
            self.until = max(self.until, self.clock.now + 10 * 2**self.k)

    @invariant()
    def they_agree(self) -> None:
        self.tick()
        view = self.breaker.snapshot()
        expected = (self.circuit, self.now_k(), self.probe is not None, self.gone)

        assert expected == (view.state, view.k, view.probing, view.gone)
        assert view.until == (self.until if self.circuit is OPEN else None)
        assert len(self.breaker._slices) <= 10

    @invariant()
    def every_move_was_told_once_and_in_order(self) -> None:
        assert list(range(1, len(self.told) + 1)) == [move.number for move in self.told]
        assert all(a.now is b.was for a, b in zip(self.told, self.told[1:], strict=False))


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=at_most(120), stateful_step_count=40, deadline=None)


class Round:
    """A balancer in which EU1 is open, EU2 half-open and US1 well; and a checker of it."""

    def __init__(
        self,
        probe: Callable[[Endpoint], int] = lambda endpoint: True,
        list_running: Callable[[str], Mapping[str, str]] | None = None,
        **policy,
    ) -> None:
        self.clock = Clock()
        self.asked: list[Endpoint] = []
        self.stop = threading.Event()
        settings = Policy(breaker=BreakerPolicy(failure_threshold=1, timeout_jitter=0), **policy)
        self.balancer = LoadBalancer({"m": [EU1, EU2, US1]}, policy=settings, clock=self.clock)
        self.fail(EU2)
        self.clock.now = 10
        self.fail(EU1)

        def asking(endpoint: Endpoint) -> int:
            self.asked.append(endpoint)
            return probe(endpoint)

        self.checker = HealthChecker(
            self.balancer, asking, list_running=list_running, policy=settings, clock=self.clock, stop=self.stop
        )

    def fail(self, endpoint: Endpoint) -> None:
        breaker = self.balancer.breaker(endpoint)
        breaker.failed(breaker.enter(), "boom")

    def states(self) -> list[Circuit]:
        return [self.balancer.breaker(each).state for each in (EU1, EU2, US1)]


class TestHealthChecker:
    @pytest.mark.parametrize("answer", [True, 200, 404, 499])
    def test_who_can_be_reached_may_be_probed(self, answer):
        scene = Round(lambda endpoint: answer)
        scene.checker.check_once()

        assert [EU1, EU2] == scene.asked
        assert [HALF_OPEN, HALF_OPEN, CLOSED] == scene.states()

    @pytest.mark.parametrize(("answer", "why"), [(False, "no answer"), (500, "status 500"), (503, "status 503")])
    def test_who_cannot_has_to_wait(self, answer, why):
        scene = Round(lambda endpoint: answer)
        scene.checker.check_once()

        assert [OPEN, OPEN, CLOSED] == scene.states()
        assert f"an active check failed: {why}" == scene.balancer.breaker(EU2).snapshot().reason

    def test_a_probe_that_raises_got_no_answer(self):
        def probe(endpoint):
            raise TimeoutError("https://secret")

        scene = Round(probe)
        scene.checker.check_once()

        assert "an active check failed: TimeoutError" == scene.balancer.breaker(EU2).snapshot().reason

    def test_nobody_is_asked_twice_within_the_interval(self):
        scene = Round(lambda endpoint: False)
        scene.checker.check_once()
        scene.clock.now += 29.9
        scene.checker.check_once()

        assert 2 == len(scene.asked)

        scene.clock.now += 0.1
        scene.checker.check_once()

        assert 4 == len(scene.asked)

    def test_no_interval_is_never(self):
        listed = []
        scene = Round(
            list_running=lambda name: listed.append(name) or {}, health_check_interval=0, discovery_interval=0
        )
        scene.checker.check_once()
        scene.checker.start()
        scene.checker.stop()

        assert ([], []) == (scene.asked, listed)
        assert scene.checker._thread is None

    def test_one_listing_says_of_all_deployments_whether_they_run(self, caplog):
        listed = []

        def listing(subaccount: str) -> Mapping[str, str]:
            listed.append(subaccount)
            return {"eu": {"d1": "RUNNING", "d2": "STOPPED"}, "us": {"d9": "RUNNING"}}[subaccount]

        scene = Round(list_running=listing)
        scene.balancer.breaker(EU1).trip("gone")
        scene.checker.check_once()

        assert ["eu", "us"] == listed
        assert [HALF_OPEN, OPEN, OPEN] == scene.states()
        assert "the deployment's status is STOPPED" == scene.balancer.breaker(EU2).snapshot().reason
        assert "the deployment's status is not found" == scene.balancer.breaker(US1).snapshot().reason
        assert [EU1] == scene.asked

        scene.clock.now += 59.9
        scene.checker.check_once()

        assert 2 == len(listed)

        scene.clock.now += 0.1
        scene.checker.check_once()

        assert 4 == len(listed)

    def test_a_listing_that_fails_says_nothing(self, caplog):
        def listing(subaccount: str) -> Mapping[str, str]:
            if subaccount == "eu":
                raise ConnectionError("https://secret")
            return {"d7": "Unknown"}

        scene = Round(lambda endpoint: False, listing)
        scene.checker.check_once()

        assert [False, False, True] == [scene.balancer.breaker(each).snapshot().gone for each in (EU1, EU2, US1)]
        assert ["cannot list the deployments of eu: ConnectionError"] == [
            record.message for record in caplog.records if record.name == "routing.health"
        ]

    def test_a_checker_that_is_stopped_asks_no_more(self):
        listed = []
        scene = Round(list_running=lambda name: listed.append(name) or {})
        scene.stop.set()
        scene.checker.check_once()

        assert ([], []) == (scene.asked, listed)

    def test_the_thread_asks_until_it_is_stopped(self):
        asked = threading.Event()

        def probe(endpoint: Endpoint) -> bool:
            asked.set()
            return True

        balancer = LoadBalancer({"m": [EU1, EU2]}, policy=Policy(breaker=BreakerPolicy(failure_threshold=1)))
        balancer.acquire("m").failed(DOWN)
        checker = HealthChecker(balancer, probe, policy=Policy(health_check_interval=0.001))
        checker.start()
        thread = checker._thread
        checker.start()

        assert thread.daemon
        assert asked.wait(10)

        checker.stop()

        assert checker._thread is thread
        assert not thread.is_alive()

    @pytest.mark.parametrize(
        ("listing", "settings", "period"),
        [
            (None, {}, 30.0),
            (None, {"discovery_interval": 1.0}, 30.0),
            (lambda name: {}, {"discovery_interval": 7.0}, 7.0),
            (lambda name: {}, {"health_check_interval": 0}, 60.0),
            (lambda name: {}, {"discovery_interval": 0}, 30.0),
        ],
    )
    def test_it_wakes_as_often_as_the_more_frequent_of_the_two_needs(self, listing, settings, period):
        waits = []

        class Stopped(threading.Event):
            def wait(self, timeout=None):
                waits.append(timeout)
                return True

        checker = HealthChecker(
            LoadBalancer({}), lambda endpoint: True, list_running=listing, policy=Policy(**settings), stop=Stopped()
        )
        checker.start()
        checker.stop()

        assert [period] == waits

    def test_a_round_that_fails_is_not_the_last(self, caplog):
        class Three(threading.Event):
            rounds = 0

            def wait(self, timeout=None):
                self.rounds += 1
                return self.rounds > 2

        class Broken:
            def snapshot(self):
                raise RuntimeError("no")

        stop = Three()
        checker = HealthChecker(Broken(), lambda endpoint: True, stop=stop, clock=Clock())
        with caplog.at_level(logging.ERROR):
            checker.start()
            checker.stop()

        assert 3 == stop.rounds
        assert ["a health check failed; the next one is in 30 s"] == [record.getMessage() for record in caplog.records]


@given(st.floats(0.001, 86_400), st.floats(0.001, 86_400))
def test_any_policy_opens_for_a_time_within_its_cap(timeout, cap):
    scene = Scene(failure_threshold=1, timeout=min(timeout, cap), timeout_cap=max(timeout, cap))
    scene.fail()
    for _ in range(30):
        opened = scene.opened_for()
        assert opened <= max(timeout, cap) * 1.0001
        scene.clock.now = scene.breaker.snapshot().until
        scene.fail()
