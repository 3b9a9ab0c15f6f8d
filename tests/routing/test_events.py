"""What routing tells those who watch: how things stand, what happened, and the log."""

import logging
from dataclasses import replace

import pytest

from dialects.core.faults import FaultKind
from routing.availability import Availability
from routing.events import Circuit, CircuitChanged, CooldownStarted, EventPublisher, OutcomeRecorded, Transition
from routing.load_balancer import LoadBalancer
from tests.routing.scenes import BUSY, DOWN, EU1, EU2, POOL, REFUSED, SPENT, US1, BalancerScene, Contested, in_flight


class TestVisible:
    def test_everything_that_is_known(self):
        scene = BalancerScene()
        scene.fails(EU1)
        scene.clock.now += 4
        state = scene.state(EU1)

        assert (
            state.endpoint,
            state.availability,
            state.circuit,
            state.why,
            state.seconds,
            state.k,
            state.in_flight,
            state.weight,
            state.endpoint.domain,
        ) == (EU1, Availability.OPEN, Circuit.OPEN, "1 failures in a row: server_error", 6.0, 0, 0, 1.0, EU1.domain)
        assert scene.state(EU2).why == "never failed"
        assert FaultKind.SERVER_ERROR is state.last_error

    def test_it_tells_each_thing_once_and_under_no_lock(self):
        scene = BalancerScene([EU1, US1])
        free = []

        def listen(event: object) -> None:
            free.append(not scene.balancer._lock.lock.locked())

        scene.events.subscribe(listen)
        lease = scene.at(EU1)
        scene.clock.now += 2
        lease.failed(DOWN)
        scene.at(US1).failed(replace(BUSY, retry_after=3.0))
        scene.clock.now += 10
        lease = scene.acquire()
        scene.clock.now += 0.5
        lease.answered()

        assert scene.told == [
            CircuitChanged(EU1, Transition(Circuit.CLOSED, Circuit.OPEN, "1 failures in a row: server_error", 10.0, 0)),
            OutcomeRecorded(EU1, FaultKind.SERVER_ERROR, 2.0),
            CooldownStarted(US1, US1, 3.0, FaultKind.RATE_LIMITED),
            OutcomeRecorded(US1, FaultKind.RATE_LIMITED, 0.0),
            CircuitChanged(EU1, Transition(Circuit.OPEN, Circuit.HALF_OPEN, "its open time has passed", 0.0, 0)),
            CircuitChanged(EU1, Transition(Circuit.HALF_OPEN, Circuit.CLOSED, "it answered", 0.0, 0)),
            OutcomeRecorded(EU1, None, 0.5),
        ]
        assert all(free)

    def test_requests_that_fail_together_start_one_cooldown_and_a_longer_one_is_another(self):
        scene = BalancerScene([EU1, US1])
        together = [scene.at(EU1) for _ in range(3)]
        late = scene.at(EU1)
        for lease in together:
            lease.failed(replace(BUSY, retry_after=4.0))
            scene.clock.now += 0.1
        late.failed(replace(BUSY, retry_after=30.0))
        began = [event.seconds for event in scene.told if isinstance(event, CooldownStarted)]

        assert began == [4.0, 30.0]
        assert scene.state(EU1).seconds == 30.0

    @pytest.mark.parametrize("look", ["snapshot", "acquire", "select"])
    def test_whoever_notices_that_time_is_over_tells_it(self, look):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.told.clear()
        scene.clock.now += 10
        getattr(scene.balancer, look)(*([] if look == "snapshot" else ["m"]))

        assert [event.transition.now for event in scene.told] == [Circuit.HALF_OPEN]

    def test_closing_a_lease_tells_what_is_left_to_tell(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.told.clear()
        lease = scene.at(US1)
        scene.balancer.breaker(US1).eject("stopped")
        lease.close()

        assert [event.transition.now for event in scene.told] == [Circuit.OPEN]

    def test_the_log_has_what_an_operator_wants_to_know(self, caplog):
        scene = BalancerScene([EU1, US1])
        with caplog.at_level(logging.INFO):
            scene.fails(EU1)
            scene.clock.now += 10
            with scene.at(EU1) as lease:
                lease.answered()
            scene.fails(US1, fault=replace(BUSY, retry_after=3.0))
            scene.fails(EU1, fault=SPENT)
            scene.clock.now += 10
            scene.fails(EU1, fault=REFUSED)

        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("WARNING", "circuit of m at eu/d1: closed -> open: 1 failures in a row: server_error"),
            ("INFO", "circuit of m at eu/d1: open -> half-open: its open time has passed"),
            ("INFO", "circuit of m at eu/d1: half-open -> closed: it answered"),
            ("WARNING", "m at us/d7 is in cooldown for 3.0 s: rate_limited"),
            ("WARNING", "the quota of m in eu is in cooldown for 5.0 s: rate_limited"),
            ("WARNING", "subaccount eu is in cooldown for 60.0 s: refused_credentials"),
        ]

    def test_of_a_deployment_that_serves_several_models_the_log_says_which_model_is_meant(self, caplog):
        balancer = LoadBalancer({model: [replace(EU1, model=model, orchestration=True)] for model in ("m", "n")})
        for model in ("m", "n"):
            balancer.breaker(balancer.endpoints(model)[0]).eject("stopped")
        balancer.snapshot()

        assert caplog.messages == [f"circuit of {model} at eu/d1: closed -> open: stopped" for model in ("m", "n")]

    def test_a_listener_that_fails_stops_nothing(self, caplog):
        def listen(event: object) -> None:
            raise RuntimeError("no")

        balancer = LoadBalancer({"m": POOL}, events=EventPublisher([listen]))
        balancer.acquire("m").failed(DOWN)

        assert sum(in_flight(balancer).values()) == 0
        assert [record.getMessage() for record in caplog.records] == ["a listener failed on OutcomeRecorded"]

    def test_nobody_has_to_listen(self):
        balancer = LoadBalancer({"m": POOL})
        balancer.acquire("m").failed(DOWN)

        assert not balancer._events._queue

    def test_an_event_that_another_thread_told_is_not_told_again(self):
        scene = BalancerScene()
        scene.events._queue = Contested()
        scene.fails(EU1)

        assert scene.told == []
