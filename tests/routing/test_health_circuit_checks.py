"""What a circuit makes of who asks for no request: discovery, which knows what runs, and active checks."""

from routing.events import Transition
from tests.routing.scenes import CLOSED, HALF_OPEN, OPEN, CircuitScene


class TestGone:
    def test_it_stays_open_until_it_is_restored(self):
        scene = CircuitScene()
        scene.breaker.eject("stopped")
        scene.clock.now = 1e9
        scene.breaker.checked()

        assert (
            scene.breaker.state,
            scene.breaker.snapshot().ejected,
            scene.breaker.snapshot().reason,
        ) == (OPEN, True, "stopped")

        scene.breaker.readmit()

        assert scene.said[-1] == Transition(OPEN, HALF_OPEN, "the deployment runs again", 0.0, 0)
        assert not scene.breaker.snapshot().ejected

    def test_or_for_as_long_as_was_said(self):
        scene = CircuitScene()
        scene.breaker.eject("gone", seconds=60)
        scene.clock.now = 59.9

        assert OPEN is scene.breaker.state

        scene.clock.now = 60

        assert HALF_OPEN is scene.breaker.state

    def test_saying_it_twice_is_told_once_and_never_shortens_it(self):
        scene = CircuitScene()
        scene.breaker.eject("stopped", seconds=60)
        scene.breaker.eject("stopped still", seconds=30)

        assert scene.opened_for() == 60

        scene.breaker.eject("stopped still", seconds=90)

        assert scene.opened_for() == 90
        assert [move.reason for move in scene.said] == ["stopped"]

    def test_an_open_circuit_can_turn_out_to_be_gone(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.breaker.eject("stopped", seconds=5)

        assert (scene.opened_for(), scene.breaker.snapshot().ejected) == (5, True)

    def test_a_request_may_find_out(self):
        scene = CircuitScene()
        permit = scene.breaker.enter()
        scene.breaker.eject("gone", permit=permit)
        scene.breaker.readmit()

        assert scene.breaker.enter() is not None

    def test_nothing_is_to_be_restored_in_a_circuit_that_merely_failed(self):
        scene = CircuitScene(failure_threshold=1)
        scene.breaker.readmit()
        scene.fail()
        scene.breaker.readmit()

        assert OPEN is scene.breaker.state


class TestActiveChecks:
    def test_a_check_that_gets_through_lets_a_probe_in_early(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.breaker.checked()

        assert scene.said[-1] == Transition(OPEN, HALF_OPEN, "an active check succeeded", 0.0, 0)
        scene.breaker.checked()
        assert len(scene.said) == 2

    def test_a_state_that_time_brings_about_begins_when_it_is_noticed(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 11

        assert (scene.breaker.state, scene.breaker.snapshot().since) == (HALF_OPEN, 11)

    def test_a_state_that_a_check_brings_about_begins_then(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 4
        scene.breaker.checked()

        assert scene.breaker.snapshot().since == 4

    def test_a_failed_check_never_lengthens_the_time_of_an_open_circuit(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 4
        scene.breaker.checked("no answer")

        assert (scene.opened_for(), scene.breaker.snapshot().k) == (6, 0)

    def test_a_failed_check_of_a_half_open_circuit_opens_it_for_as_long_as_before(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        scene.breaker.checked("status 502")

        assert scene.said[-1] == Transition(HALF_OPEN, OPEN, "an active check failed: status 502", 10.0, 0)

    def test_while_a_probe_is_out_it_alone_decides(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        probe = scene.breaker.enter()
        scene.breaker.checked("no answer")
        scene.breaker.succeeded(probe)

        assert CLOSED is scene.breaker.state

        scene.breaker.checked("no answer")

        assert CLOSED is scene.breaker.state
