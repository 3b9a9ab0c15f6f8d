"""When a circuit opens, whom it admits, and when it closes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.events import Transition
from routing.health import CircuitBreaker, Permit, PermitEnd
from routing.policy import BreakerPolicy
from tests.routing.scenes import CLOSED, HALF_OPEN, OPEN, CircuitScene, Clock, together


def throttled(breaker: CircuitBreaker, permit: Permit) -> None:
    breaker.released(permit, PermitEnd.THROTTLED)


class TestClosed:
    def test_five_failures_in_a_row_open_it_and_four_do_not(self):
        scene = CircuitScene()
        scene.fail(4)
        scene.succeed()
        scene.fail(4)

        assert CLOSED is scene.breaker.state

        scene.fail()

        assert OPEN is scene.breaker.state
        assert scene.said == [Transition(CLOSED, OPEN, "5 failures in a row: boom", 10.0, 0)]

    @pytest.mark.parametrize(("good", "bad", "state"), [(5, 4, CLOSED), (5, 5, OPEN), (6, 5, CLOSED), (6, 6, OPEN)])
    def test_half_of_ten_outcomes_open_it(self, good, bad, state):
        scene = CircuitScene(failure_threshold=1_000)
        scene.succeed(good)
        scene.fail(bad)

        assert scene.breaker.state is state
        if state is OPEN:
            assert scene.breaker.snapshot().reason == f"{bad} of {good + bad} failed: boom"

    @pytest.mark.parametrize(("age", "state"), [(26.9, OPEN), (27.0, OPEN), (30.0, CLOSED)])
    def test_only_the_last_thirty_seconds_count(self, age, state):
        scene = CircuitScene(failure_threshold=1_000)
        scene.succeed(5)
        scene.fail(4)
        scene.clock.now = age
        scene.fail()

        assert scene.breaker.state is state

    def test_an_answer_that_is_cut_turns_into_a_failure(self):
        """One request is one outcome: five good, and five that began well, are ten."""
        scene = CircuitScene(failure_threshold=1_000)
        scene.succeed(5)
        for n in range(5):
            assert CLOSED is scene.breaker.state, n
            permit = scene.breaker.enter()
            scene.breaker.succeeded(permit)
            scene.breaker.failed(permit, "cut")

        assert OPEN is scene.breaker.state
        assert scene.breaker.snapshot().reason == "5 of 10 failed: cut"

    @pytest.mark.parametrize("neutral", [CircuitBreaker.released, throttled])
    def test_what_is_nobodys_failure_counts_for_nothing(self, neutral):
        scene = CircuitScene()
        scene.fail(4)
        for _ in range(20):
            neutral(scene.breaker, scene.breaker.enter())
        scene.fail()

        assert scene.breaker.snapshot().reason == "5 failures in a row: boom"

    @pytest.mark.parametrize("again", [CircuitBreaker.failed, CircuitBreaker.succeeded, CircuitBreaker.released])
    def test_a_permit_counts_once(self, again):
        scene = CircuitScene(failure_threshold=2)
        permit = scene.breaker.enter()
        scene.breaker.failed(permit)
        again(scene.breaker, permit)

        assert CLOSED is scene.breaker.state

        scene.fail()

        assert OPEN is scene.breaker.state

    def test_a_success_counts_once(self):
        scene = CircuitScene(failure_threshold=1_000)
        permit = scene.breaker.enter()
        for _ in range(9):
            scene.breaker.succeeded(permit)
        scene.fail(9)

        assert scene.breaker.snapshot().reason == "9 of 10 failed: boom"


class TestOpen:
    def test_it_admits_nobody_until_its_time_is_over(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 9.99

        assert scene.breaker.enter() is None
        assert OPEN is scene.breaker.state

        scene.clock.now = 10

        assert HALF_OPEN is scene.breaker.state
        assert scene.said[-1] == Transition(OPEN, HALF_OPEN, "its open time has passed", 0.0, 0)

    @pytest.mark.parametrize(("chance", "seconds"), [(0.0, 8.0), (0.5, 10.0), (1.0, 12.0)])
    def test_jitter_of_a_fifth(self, chance, seconds):
        scene = CircuitScene(failure_threshold=1)
        scene.chance = chance
        scene.fail()

        assert seconds == pytest.approx(scene.opened_for())

    def failing_probes(self, scene: CircuitScene, times: int) -> list[tuple[float, int]]:
        scene.fail()
        found = [(scene.opened_for(), scene.breaker.snapshot().k)]
        for _ in range(times):
            scene.clock.now += scene.opened_for()
            scene.fail()
            found.append((scene.opened_for(), scene.breaker.snapshot().k))
        return found

    def test_each_failing_probe_doubles_it_up_to_its_cap(self):
        expected = [(10, 0), (20, 1), (40, 2), (80, 3), (160, 4), (300, 5), (300, 5)]

        assert self.failing_probes(CircuitScene(failure_threshold=1), 6) == expected

    def test_a_fixed_time_is_fixed(self):
        scene = CircuitScene(failure_threshold=1, fixed_timeout=True)
        scene.chance = 0.0

        assert [seconds for seconds, _ in self.failing_probes(scene, 2)] == [10, 10, 10]

    @pytest.mark.parametrize(("health", "k"), [(59.9, 2), (60.0, 1), (119.9, 1), (120.0, 0), (600.0, 0)])
    def test_a_minute_of_health_takes_back_one_doubling(self, health, k):
        scene = CircuitScene(failure_threshold=1)
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

        assert OPEN is breaker.state

        clock.now = 400.0

        assert HALF_OPEN is breaker.state

    def test_an_outcome_from_before_counts_for_nothing(self):
        scene = CircuitScene(failure_threshold=1)
        late = [scene.breaker.enter() for _ in range(4)]
        scene.fail()
        before = scene.breaker.snapshot()
        scene.breaker.succeeded(late[0])
        scene.breaker.failed(late[1])
        scene.breaker.released(late[2])
        scene.breaker.eject("gone", permit=late[3])

        assert before == scene.breaker.snapshot()

    def test_forced_it_lets_one_through_at_a_time(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        one = scene.breaker.enter(panic=True)

        assert one is not None
        assert scene.breaker.snapshot().probes == 1
        assert scene.breaker.enter(panic=True) is None

        scene.clock.now = 3
        scene.breaker.failed(one)

        assert tuple(getattr(scene.breaker.snapshot(), name) for name in ("circuit", "since", "until", "k")) == (
            OPEN,
            3,
            10,
            0,
        )
        assert scene.breaker.enter(panic=True) is not None

    @pytest.mark.parametrize("neutral", [CircuitBreaker.released, throttled])
    def test_a_forced_request_that_taught_nothing_makes_room_for_another(self, neutral):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        neutral(scene.breaker, scene.breaker.enter(panic=True))

        assert scene.breaker.enter(panic=True) is not None
        assert OPEN is scene.breaker.state

    def test_a_forced_request_that_is_answered_closes_it(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.breaker.succeeded(scene.breaker.enter(panic=True))

        assert CLOSED is scene.breaker.state
        assert scene.said[-1] == Transition(OPEN, CLOSED, "it answered", 0.0, 0)

    def test_successes_must_be_in_a_row(self):
        scene = CircuitScene(failure_threshold=1, success_threshold=2)
        scene.fail()
        scene.breaker.succeeded(scene.breaker.enter(panic=True))
        scene.breaker.failed(scene.breaker.enter(panic=True))
        scene.breaker.succeeded(scene.breaker.enter(panic=True))

        assert OPEN is scene.breaker.state

    def test_a_forced_request_becomes_the_probe(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        forced = scene.breaker.enter(panic=True)
        scene.clock.now = 10

        assert scene.breaker.enter() is None
        assert HALF_OPEN is scene.breaker.state

        scene.breaker.failed(forced, "boom")

        assert (scene.opened_for(), scene.breaker.snapshot().k) == (20, 1)

    def test_where_there_is_no_other_every_request_gets_through(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        permits = [scene.breaker.enter(always=True) for _ in range(3)]
        scene.breaker.failed(permits[0])

        assert OPEN is scene.breaker.state

        scene.breaker.succeeded(permits[1])

        assert CLOSED is scene.breaker.state
        scene.breaker.failed(permits[2])
        assert CLOSED is scene.breaker.state

    def test_one_that_always_gets_through_is_a_probe_too(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        permits = [scene.breaker.enter(always=True) for _ in range(2)]

        assert scene.breaker.snapshot().probes == 2
        assert scene.breaker.enter() is None

        scene.breaker.released(permits[0])

        assert scene.breaker.enter() is None

        scene.breaker.released(permits[1])

        assert scene.breaker.enter() is not None

    def test_where_there_is_no_other_a_closed_circuit_is_as_always(self):
        scene = CircuitScene(failure_threshold=1)
        scene.breaker.failed(scene.breaker.enter(always=True))

        assert OPEN is scene.breaker.state


class TestPanic:
    """No circuit of the model is closed: what was refused before is let in little by little."""

    def broken(self, half_open: bool) -> CircuitScene:
        scene = CircuitScene(failure_threshold=1, timeout=100)
        scene.fail()
        if half_open:
            scene.clock.now = 100
        return scene

    def entering(self, scene: CircuitScene) -> list[Permit]:
        """Enter as often as there is room."""
        return list(iter(lambda: scene.breaker.enter(panic=True), None))

    @pytest.mark.parametrize("half_open", [True, False])
    def test_twice_as_many_get_in_for_each_second_in_which_none_failed(self, half_open):
        scene = self.broken(half_open)
        came = []
        for _ in range(5):
            came.append(len(self.entering(scene)))
            scene.clock.now += 1

        assert came == [1, 1, 2, 4, 8]

    @pytest.mark.parametrize("half_open", [True, False])
    def test_it_says_in_how_many_seconds_there_is_room_again(self, half_open):
        scene = self.broken(half_open)

        assert scene.breaker.snapshot().next_probe == 0

        self.entering(scene)
        scene.clock.now += 0.75

        assert scene.breaker.snapshot().next_probe == 0.25

        scene.clock.now += 0.25

        assert scene.breaker.snapshot().next_probe == 0

    def test_a_failure_in_an_open_circuit_begins_the_count_anew(self):
        scene = self.broken(half_open=False)
        first, *_ = self.entering(scene)
        scene.clock.now += 1
        self.entering(scene)
        scene.clock.now += 1
        scene.breaker.failed(first)

        assert self.entering(scene) == []

        scene.clock.now += 1

        assert len(self.entering(scene)) == 1
        assert OPEN is scene.breaker.state

    def test_a_failure_in_a_half_open_circuit_opens_it_for_longer(self):
        scene = self.broken(half_open=True)
        permits = self.entering(scene)
        scene.clock.now += 2
        permits += self.entering(scene)
        scene.breaker.failed(permits[-1], "boom")
        scene.breaker.failed(permits[0], "boom")

        assert (scene.breaker.state, scene.breaker.snapshot().k, scene.breaker.snapshot().probes) == (OPEN, 1, 0)

    def test_probes_that_taught_nothing_make_room_at_once(self):
        scene = self.broken(half_open=True)
        for _ in range(5):
            [permit] = self.entering(scene)
            scene.breaker.released(permit)

        assert HALF_OPEN is scene.breaker.state

    def test_those_let_into_an_open_circuit_are_probes_once_its_time_is_over(self):
        scene = self.broken(half_open=False)
        [permit] = self.entering(scene)
        scene.clock.now = 100

        assert (scene.breaker.state, scene.breaker.snapshot().probes) == (HALF_OPEN, 1)

        scene.breaker.succeeded(permit)

        assert CLOSED is scene.breaker.state


class TestHalfOpen:
    def half_open(self, **policy) -> CircuitScene:
        scene = CircuitScene(failure_threshold=1, **policy)
        scene.fail()
        scene.clock.now = 10
        return scene

    def test_one_probe_is_in_flight(self):
        scene = self.half_open()
        admitted = []
        together([lambda: admitted.append(scene.breaker.enter())] * 16)

        assert len([permit for permit in admitted if permit is not None]) == 1
        assert scene.breaker.enter(panic=True) is None

    def test_one_success_closes_it(self):
        scene = self.half_open()
        scene.succeed()

        assert CLOSED is scene.breaker.state
        assert scene.said[-1] == Transition(HALF_OPEN, CLOSED, "it answered", 0.0, 0)

    def test_more_successes_can_be_asked_for(self):
        scene = self.half_open(success_threshold=3)
        scene.succeed(2)

        assert HALF_OPEN is scene.breaker.state

        scene.succeed()

        assert CLOSED is scene.breaker.state

    def test_an_answered_probe_that_is_cut_opens_it_again(self):
        scene = self.half_open(success_threshold=3)
        permit = scene.breaker.enter()
        scene.breaker.succeeded(permit)
        scene.breaker.failed(permit, "cut")

        assert scene.breaker.snapshot().reason == "the probe failed: cut"

    def test_one_failure_opens_it_for_longer(self):
        scene = self.half_open()
        scene.fail()

        assert scene.said[-1] == Transition(HALF_OPEN, OPEN, "the probe failed: boom", 20.0, 1)

    def test_a_used_up_quota_opens_it_for_as_long_as_before(self):
        scene = self.half_open()
        scene.breaker.released(scene.breaker.enter(), PermitEnd.THROTTLED)

        assert scene.said[-1] == Transition(HALF_OPEN, OPEN, "the probe found the quota used up", 10.0, 0)

    def test_a_permit_comes_back_when_the_probe_taught_nothing(self):
        scene = self.half_open()
        scene.breaker.released(scene.breaker.enter())

        assert scene.breaker.enter() is not None

    def test_who_gave_it_back_cannot_give_back_anothers(self):
        scene = self.half_open()
        first = scene.breaker.enter()
        scene.breaker.released(first)
        assert scene.breaker.enter() is not None
        scene.breaker.released(first)

        assert scene.breaker.enter() is None

    def test_what_was_counted_before_is_forgotten(self):
        scene = self.half_open(minimum_outcomes=2, success_threshold=1)
        scene.breaker._policy = BreakerPolicy(failure_threshold=2, minimum_outcomes=2)
        scene.succeed()
        scene.fail()

        assert CLOSED is scene.breaker.state


@given(st.floats(0.001, 86_400), st.floats(0.001, 86_400))
def test_any_policy_opens_for_a_time_within_its_cap(timeout, cap):
    scene = CircuitScene(failure_threshold=1, timeout=min(timeout, cap), timeout_cap=max(timeout, cap))
    scene.fail()
    for _ in range(30):
        opened = scene.opened_for()
        assert opened <= max(timeout, cap) * 1.0001
        scene.clock.now = scene.breaker.snapshot().until
        scene.fail()
