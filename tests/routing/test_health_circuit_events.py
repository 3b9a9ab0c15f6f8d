"""What a circuit tells of its moves: each once, and under no lock."""

import pytest

from routing.health import CircuitBreaker, PermitEnd
from tests.routing.scenes import OPEN, CircuitScene, Contested


class TestTelling:
    def test_it_is_told_when_the_lock_is_free(self):
        seen = []
        breaker = CircuitBreaker(
            failure_threshold=1, timeout=1.0, on_transition=lambda move: seen.append(breaker.state)
        )
        breaker.failed(breaker.enter())

        assert seen == [OPEN]

    @pytest.mark.parametrize(
        "look",
        [
            lambda breaker, late: breaker.snapshot(),
            lambda breaker, late: breaker.enter(),
            lambda breaker, late: breaker.enter(always=True),
            lambda breaker, late: breaker.succeeded(late),
            lambda breaker, late: breaker.failed(late),
            lambda breaker, late: breaker.released(late, PermitEnd.THROTTLED),
            lambda breaker, late: breaker.released(late),
            lambda breaker, late: breaker.eject("gone", permit=late),
            lambda breaker, late: breaker.checked(),
            lambda breaker, late: breaker.checked("no answer"),
        ],
    )
    def test_whoever_notices_that_time_is_over_tells_it_at_once(self, look):
        scene = CircuitScene(failure_threshold=1)
        late = scene.breaker.enter()
        scene.fail()
        scene.clock.now = 10
        look(scene.breaker, late)

        assert scene.said[1].reason == "its open time has passed"

    def test_nobody_has_to_listen(self):
        breaker = CircuitBreaker(failure_threshold=1)
        breaker.failed(breaker.enter())

        assert OPEN is breaker.state

    def test_each_move_is_told_once_though_two_threads_would_tell_it(self):
        scene = CircuitScene(failure_threshold=1)
        scene.breaker._transitions = Contested()
        scene.fail()

        assert scene.said == []
