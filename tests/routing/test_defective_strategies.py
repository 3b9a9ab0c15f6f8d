"""A strategy that raises, or names whom it was not offered: nothing loops, nothing is overridden, and it is told."""

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from routing.availability import Availability
from routing.endpoint import Endpoint
from routing.events import EventPublisher, StrategyFailed
from routing.load_balancer import LoadBalancer
from routing.strategy import NO_CONTEXT, LoadBalancingStrategy
from tests.routing.scenes import BUSY, EU1, EU2, POOL, US1, BalancerScene, endpoint, in_flight


class Naming(LoadBalancingStrategy):
    """Names whatever a test says."""

    def __init__(self, name: Callable[[list], object]) -> None:
        self._name = name

    def select_endpoint(self, candidates, context=NO_CONTEXT):
        return self._name(candidates)

    def get_name(self):
        return "naming"


def always(named: object) -> Naming:
    return Naming(lambda _: named)


class Absurd:
    """Equal to everything, and not to be asked for anything."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        raise ZeroDivisionError


class TestWhoIsChosen:
    def test_a_strategy_that_stays_where_it_was_gets_the_first_of_the_others_when_that_opens(self):
        scene = BalancerScene(strategy=always(US1))
        assert scene.acquire().endpoint == US1
        scene.balancer.breaker(US1).eject("stopped")
        leases = [scene.acquire() for _ in range(3)]

        assert [(lease.endpoint, lease.reason) for lease in leases] == [(EU1, "defect")] * 3

    def test_it_cannot_send_a_request_where_that_has_been(self):
        scene = BalancerScene(strategy=always(US1))

        assert scene.acquire(exclude=[US1]).endpoint == EU1
        assert scene.acquire(exclude_domains=[US1.domain]).endpoint == EU1

    def test_nor_to_who_rests(self):
        scene = BalancerScene(strategy=always(US1))
        scene.acquire().failed(replace(BUSY, retry_after=60.0))

        assert Availability.COOLDOWN is scene.availability()[2]
        assert scene.acquire().endpoint == EU1

    def test_nor_to_a_probe_that_is_not_to_be_made(self):
        scene = BalancerScene(strategy=always(US1))
        scene.balancer.breaker(US1).eject("stopped", seconds=1)
        scene.clock.now += 1

        assert scene.acquire(can_fail_over=False).endpoint == EU1
        assert ((lease := scene.acquire()).endpoint, lease.reason) == (US1, "probe")

    @pytest.mark.parametrize(
        "named",
        [None, "eu", [], Absurd(), endpoint("ap", "d9")],
        ids=["nothing", "a name", "a list", "absurd", "a stranger"],
    )
    def test_what_is_no_candidate_at_all_is_no_choice(self, named):
        assert BalancerScene(strategy=always(named)).acquire().endpoint == EU1

    def test_one_that_raises_chooses_nobody(self):
        scene = BalancerScene(strategy=Naming(lambda rows: rows[7]))

        assert scene.acquire().endpoint == EU1
        assert in_flight(scene.balancer) == {EU1: 1, EU2: 0, US1: 0}

    def test_one_that_spoils_its_rows_spoils_nothing_else(self):
        scene = BalancerScene(strategy=Naming(lambda rows: rows.clear() or US1))

        assert ((lease := scene.acquire()).endpoint, lease.reason) == (US1, "naming")

    def test_an_endpoint_may_be_named_by_one_that_equals_it(self):
        scene = BalancerScene(strategy=always(replace(US1, weight=5)))

        assert (((lease := scene.acquire()).endpoint, lease.endpoint.weight), lease.reason) == ((US1, 1.0), "naming")

    def test_whoever_asks_without_a_lease_gets_the_first_candidate_too(self):
        scene = BalancerScene(strategy=always(None))

        assert scene.balancer.select("m") == EU1

    def test_the_first_candidate_may_be_overtaken_as_well(self):
        """Between the survey and the permit another thread may open the circuit."""
        scene = BalancerScene()

        def overtaken(candidates: list) -> Endpoint:
            scene.balancer._members[candidates[0].endpoint].breaker.eject("overtaken")
            return US1

        scene.balancer.use(Naming(overtaken))
        scene.balancer.breaker(US1).eject("stopped")
        scene.refusal()

        assert scene.availability() == [Availability.GONE] * 3


class TestTelling:
    def test_it_is_told_once_for_each_strategy_and_model_and_under_no_lock(self, caplog):
        events = EventPublisher()
        balancer = LoadBalancer({"m": POOL, "n": [endpoint(model="n")]}, strategy=always(None), events=events)
        free, heard = [], []

        def listen(event: object) -> None:
            free.append(not balancer._lock.lock._is_owned())
            heard.append(event)

        events.subscribe(listen)
        with caplog.at_level(logging.INFO):
            for model in ("m", "n", "m", "n"):
                balancer.acquire(model).close()
            balancer.use(always(endpoint("ap", "d9")), "m")
            balancer.select("m")
            balancer.acquire("m").close()

        assert [(each.strategy, each.model) for each in heard] == [("naming", "m"), ("naming", "n"), ("naming", "m")]
        assert all(isinstance(each, StrategyFailed) for each in heard)
        assert free == [True] * 3
        assert caplog.messages == [
            "the strategy naming failed for m, so the first candidate is selected",
            "the strategy naming failed for n, so the first candidate is selected",
            "the strategy naming failed for m, so the first candidate is selected",
        ]
        assert "it selected NoneType, which is not one of its candidates" in caplog.text
        assert "it selected ap/d9, which is not one of its candidates" in caplog.text

    def test_what_it_raised_is_in_the_log_with_where(self, caplog):
        scene = BalancerScene(strategy=Naming(lambda rows: rows[7]))
        scene.acquire()

        [record] = caplog.records
        assert record.levelno == logging.ERROR
        assert IndexError is record.exc_info[0]
        assert __file__ in caplog.text

    def test_a_strategy_that_does_what_it_should_is_not_mentioned(self, caplog):
        scene = BalancerScene(strategy=always(US1))
        with scene.acquire() as lease:
            assert lease.reason == "naming"

        assert caplog.messages == []
