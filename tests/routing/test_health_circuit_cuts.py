"""What a circuit makes of answers that are cut after they began."""

import pytest

from routing.events import Transition
from routing.health import CircuitBreaker, Permit, PermitEnd
from tests.routing.scenes import CLOSED, HALF_OPEN, OPEN, CircuitScene


def throttled(breaker: CircuitBreaker, permit: Permit) -> None:
    breaker.released(permit, PermitEnd.THROTTLED)


class CutScene(CircuitScene):
    """A circuit, and answers that begin and break off."""

    def begin(self) -> Permit:
        permit = self.breaker.enter()
        self.breaker.succeeded(permit)
        return permit

    def cut(self, *permits: Permit) -> None:
        for permit in permits:
            self.breaker.failed(permit, "cut")

    def end_well(self, permit: Permit) -> None:
        self.breaker.released(permit)

    def half_open(self) -> None:
        """Let one failure open it, and wait."""
        self.fail()
        self.clock.now = self.breaker.snapshot().until


class TestInARow:
    def test_five_cuts_in_a_row_open_it_and_four_do_not(self):
        scene = CutScene()
        for n in range(5):
            assert CLOSED is scene.breaker.state, n
            scene.cut(scene.begin())

        assert scene.said == [Transition(CLOSED, OPEN, "5 failures in a row: cut", 10.0, 0)]

    def test_a_cut_gives_back_the_row_that_its_answer_ended(self):
        scene = CutScene()
        scene.fail(4)
        scene.cut(scene.begin())

        assert OPEN is scene.breaker.state

    def test_an_answer_whose_caller_left_does_not_end_the_row(self):
        scene = CutScene()
        scene.cut(*(scene.begin() for _ in range(4)))
        scene.breaker.released(scene.begin(), PermitEnd.CANCELLED)
        scene.cut(scene.begin())

        assert OPEN is scene.breaker.state

    def test_cuts_and_failures_make_one_row(self):
        scene = CutScene()
        scene.fail()
        scene.cut(scene.begin(), scene.begin())
        scene.fail()

        assert CLOSED is scene.breaker.state

        scene.cut(scene.begin())

        assert OPEN is scene.breaker.state

    def test_an_answer_that_goes_on_ends_the_row_whoever_else_is_cut(self):
        scene = CutScene()
        scene.fail(3)
        scene.begin()
        scene.cut(scene.begin())
        scene.fail(3)

        assert CLOSED is scene.breaker.state

        scene.fail()

        assert scene.breaker.snapshot().reason == "5 failures in a row: boom"

    def test_when_it_is_cut_as_well_the_row_is_whole_again(self):
        scene = CutScene()
        scene.fail(2)
        one, other = scene.begin(), scene.begin()
        scene.fail()
        scene.cut(one)

        assert CLOSED is scene.breaker.state

        scene.cut(other)

        assert scene.breaker.snapshot().reason == "5 failures in a row: cut"

    def test_an_answer_between_two_failures_ends_the_row_there_when_a_later_one_is_cut(self):
        scene = CutScene()
        scene.fail(2)
        scene.end_well(scene.begin())
        scene.fail()
        late = scene.begin()
        scene.fail(2)
        scene.cut(late)

        assert CLOSED is scene.breaker.state

        scene.fail()

        assert scene.breaker.snapshot().reason == "5 failures in a row: boom"

    def test_a_cut_from_before_the_row_is_one_failure_more(self):
        scene = CutScene()
        old = scene.begin()
        scene.fail(4)
        scene.cut(old)

        assert scene.breaker.snapshot().reason == "5 failures in a row: cut"


class TestOverlapping:
    def overlapping(self, scene: CutScene, times: int) -> None:
        """Each stream is cut when the next one has begun to answer, and there are few of them."""
        before = scene.begin()
        for _ in range(times):
            scene.clock.now += 20
            now = scene.begin()
            scene.cut(before)
            before = now

    def test_five_cuts_without_a_good_end_between_open_it(self):
        scene = CutScene()
        self.overlapping(scene, 4)

        assert CLOSED is scene.breaker.state

        self.overlapping(scene, 1)

        assert scene.breaker.snapshot().reason == "5 answers in a row ended early: cut"

    def test_one_that_ends_well_begins_the_count_anew(self):
        scene = CutScene()
        well = scene.begin()
        self.overlapping(scene, 4)
        scene.end_well(well)
        self.overlapping(scene, 4)

        assert CLOSED is scene.breaker.state

    def test_one_that_ends_without_an_answer_does_not(self):
        scene = CutScene()
        self.overlapping(scene, 4)
        scene.end_well(scene.breaker.enter())
        self.overlapping(scene, 1)

        assert OPEN is scene.breaker.state

    def test_failures_while_streams_go_on_are_no_cuts(self):
        scene = CutScene()
        for _ in range(20):
            scene.begin()
            scene.clock.now += 20
            scene.fail()

        assert CLOSED is scene.breaker.state

    def test_what_was_cut_before_it_closed_is_forgotten(self):
        scene = CutScene()
        self.overlapping(scene, 5)
        scene.clock.now += 10
        scene.end_well(scene.begin())
        self.overlapping(scene, 4)

        assert CLOSED is scene.breaker.state


class TestProbe:
    def test_a_probe_that_is_cut_after_it_closed_the_circuit_opens_it_for_longer(self):
        scene = CutScene(failure_threshold=1)
        scene.half_open()
        probe = scene.begin()

        assert CLOSED is scene.breaker.state

        scene.clock.now += 3
        scene.cut(probe)

        assert scene.said[-1] == Transition(CLOSED, OPEN, "the probe failed: cut", 20.0, 1)

    def test_each_time_for_longer(self):
        scene = CutScene(failure_threshold=1)
        scene.half_open()
        found = []
        for _ in range(3):
            scene.cut(scene.begin())
            found.append(scene.opened_for())
            scene.clock.now += scene.opened_for()

        assert found == [20, 40, 80]

    def test_so_does_a_forced_request(self):
        scene = CutScene(failure_threshold=1)
        scene.fail()
        forced = scene.breaker.enter(panic=True)
        scene.breaker.succeeded(forced)
        scene.cut(forced)

        assert scene.said[-1] == Transition(CLOSED, OPEN, "the probe failed: cut", 20.0, 1)

    def test_no_other_request_from_before_counts(self):
        scene = CutScene(failure_threshold=2)
        early = scene.begin()
        scene.fail(2)
        scene.clock.now = 10
        first, second = scene.breaker.enter(always=True), scene.breaker.enter(always=True)
        scene.breaker.succeeded(first)
        scene.breaker.succeeded(second)
        scene.cut(early, second)
        scene.fail()

        assert CLOSED is scene.breaker.state

    def test_one_that_began_after_it_closed_is_one_failure(self):
        scene = CutScene(failure_threshold=2)
        scene.fail()
        scene.half_open()
        scene.begin()
        scene.cut(scene.begin())

        assert CLOSED is scene.breaker.state

    def test_once_another_has_ended_well_its_cut_is_one_failure(self):
        scene = CutScene(failure_threshold=2)
        scene.fail()
        scene.half_open()
        probe = scene.begin()
        scene.end_well(scene.begin())
        scene.cut(probe)

        assert CLOSED is scene.breaker.state

        scene.fail()

        assert scene.breaker.snapshot().reason == "2 failures in a row: boom"

    @pytest.mark.parametrize("end", [CircuitBreaker.released, throttled])
    def test_one_that_ended_otherwise_says_nothing_more(self, end):
        scene = CutScene(failure_threshold=1)
        scene.half_open()
        probe = scene.begin()
        end(scene.breaker, probe)
        scene.cut(probe)

        assert CLOSED is scene.breaker.state

    def test_it_counts_for_nothing_once_the_circuit_has_opened_again(self):
        scene = CutScene(failure_threshold=1)
        scene.half_open()
        probe = scene.begin()
        scene.fail()
        before = scene.breaker.snapshot()
        scene.clock.now += 1
        scene.cut(probe)

        assert before == scene.breaker.snapshot()

    def test_where_several_must_succeed_each_of_them_may_be_cut(self):
        for which in range(2):
            scene = CutScene(failure_threshold=1, success_threshold=2)
            scene.half_open()
            probes = [scene.begin(), scene.begin()]

            assert CLOSED is scene.breaker.state

            scene.cut(probes[which])

            assert (scene.breaker.state, scene.breaker.snapshot().k) == (OPEN, 1)

    def test_one_of_them_that_ended_well_before_it_closed_proves_nothing_about_the_other(self):
        scene = CutScene(failure_threshold=1, success_threshold=2)
        scene.half_open()
        scene.end_well(scene.begin())

        assert HALF_OPEN is scene.breaker.state

        scene.cut(scene.begin())

        assert (scene.breaker.state, scene.breaker.snapshot().k) == (OPEN, 1)

    def test_a_minute_of_health_is_taken_back_from_the_doubling_first(self):
        scene = CutScene(failure_threshold=1)
        scene.half_open()
        scene.fail()
        scene.clock.now = scene.breaker.snapshot().until
        probe = scene.begin()
        scene.clock.now += 60
        scene.cut(probe)

        assert (scene.opened_for(), scene.breaker.snapshot().k) == (20, 1)
