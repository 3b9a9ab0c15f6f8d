"""How much of its weight an endpoint has, while its circuit has just closed or it has just joined."""

import pytest

from tests.routing.scenes import CircuitScene


class TestSlowStart:
    @pytest.mark.parametrize(
        ("age", "share"), [(0, 0.1), (2.9, 0.1), (3.0, 0.1), (15, 0.5), (29.9, 29.9 / 30), (30, 1), (99, 1)]
    )
    def test_weight_comes_back_over_thirty_seconds(self, age, share):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()
        scene.clock.now += age

        assert share == pytest.approx(scene.breaker.snapshot().share)
        assert (age >= 30) == scene.breaker.well

    def test_a_circuit_that_is_not_closed_has_the_least(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()

        assert 0.1 == scene.breaker.snapshot().share
        assert not scene.breaker.well

    def test_who_was_always_there_has_all_of_it(self):
        assert 1.0 == CircuitScene().breaker.snapshot().share

    def test_who_joins_starts_slowly(self):
        scene = CircuitScene()
        scene.clock.now = 100
        scene.breaker.start_slowly()
        scene.clock.now = 106

        assert 0.2 == scene.breaker.snapshot().share
        assert not scene.breaker.well

    def test_it_can_be_switched_off(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0)
        scene.breaker.start_slowly()

        assert (1.0, True) == (scene.breaker.snapshot().share, scene.breaker.well)

        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert (1.0, True) == (scene.breaker.snapshot().share, scene.breaker.well)

    def test_half_a_second_of_it_is_not_none(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0.5)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert (0.1, False) == (scene.breaker.snapshot().share, scene.breaker.well)

    def test_a_circuit_that_closes_without_it_is_well_at_once(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert scene.breaker.well

    def test_an_open_circuit_is_not_well_for_having_joined(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0)
        scene.fail()
        scene.breaker.start_slowly()

        assert not scene.breaker.well
