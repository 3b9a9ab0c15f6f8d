"""What several processes, listeners and careless callers may do with one balancer."""

import gc
import threading

import pytest

from routing.availability import Availability
from routing.events import (
    Circuit,
    CircuitChanged,
    CooldownEnded,
    CooldownStarted,
    LeaseAbandoned,
    StrategyFailed,
    Transition,
)
from routing.load_balancer import LoadBalancer
from routing.strategy import (
    NO_CONTEXT,
    STRATEGIES,
    LoadBalancingStrategy,
    RoundRobinStrategy,
    SelectionContext,
    make_strategy,
)
from tests.routing.scenes import DOWN, EU1, EU2, POOL, SPENT, STEADY, US1, BalancerScene, endpoint, in_flight


class TestSharing:
    """What one process publishes, another applies, and does not publish again."""

    def pair(self) -> tuple[BalancerScene, BalancerScene]:
        one, other = BalancerScene(), BalancerScene()
        shared = CircuitChanged | CooldownStarted | CooldownEnded
        one.events.subscribe(lambda event: other.balancer.apply(event) if isinstance(event, shared) else None)
        return one, other

    def test_an_open_circuit_is_open_for_all(self):
        one, other = self.pair()
        one.fails(EU1)

        assert other.availability() == [Availability.OPEN, *[Availability.AVAILABLE] * 2]
        assert one.state(EU1) == other.state(EU1) or one.state(EU1).seconds == other.state(EU1).seconds
        assert other.state(EU1).why == "1 failures in a row: server_error"
        assert other.told == []

    def test_so_is_one_that_opened_again_for_longer(self):
        one, other = self.pair()
        one.fails(EU1)
        one.clock.now = other.clock.now = 110
        one.fails(EU1)

        assert (
            other.state(EU1).availability,
            other.state(EU1).seconds,
            other.state(EU1).k,
        ) == (Availability.OPEN, 20.0, 1)

    def test_one_that_closed_is_closed_for_all_and_starts_slowly(self):
        one, other = self.pair()
        one.fails(EU1)
        one.clock.now = other.clock.now = 110
        with one.at(EU1) as lease:
            lease.answered()

        assert (other.state(EU1).availability, other.state(EU1).weight) == (Availability.AVAILABLE, 0.1)

    def test_what_is_half_open_already_stays_so(self):
        one, other = self.pair()
        one.fails(EU1)
        one.clock.now = other.clock.now = 110
        probe = other.at(EU1)
        one.availability()

        assert Availability.PROBING is other.state(EU1).availability
        probe.close()

    def test_an_ejected_endpoint_is_gone_for_all_until_it_is_readmitted(self):
        one, other = self.pair()
        one.balancer.breaker(EU1).eject("not listed", seconds=60)
        one.availability()
        assert (other.state(EU1).availability, other.state(EU1).seconds) == (Availability.GONE, 60.0)

        one.balancer.breaker(EU1).readmit()
        one.availability()
        assert Availability.PROBE is other.state(EU1).availability

    def test_one_that_is_gone_stays_gone_when_another_process_sees_failures(self):
        one, other = self.pair()
        other.balancer.breaker(EU1).eject("not listed", seconds=60)
        one.fails(EU1)

        assert (other.state(EU1).availability, other.state(EU1).seconds) == (Availability.GONE, 60.0)

    def test_a_late_half_open_does_not_reopen_what_has_closed(self):
        scene = BalancerScene([EU1, US1])
        late = Transition(Circuit.OPEN, Circuit.HALF_OPEN, "its open time has passed")
        scene.balancer.apply(CircuitChanged(EU1, late))

        assert Availability.AVAILABLE is scene.state(EU1).availability

    def test_a_cooldown_is_everybodys_and_so_is_its_end(self):
        one, other = self.pair()
        one.fails(EU1, fault=SPENT)

        assert (other.state(EU2).availability, other.state(EU2).seconds) == (Availability.COOLDOWN, 5.0)

        one.clock.now = other.clock.now = 105
        with one.at(EU1) as lease:
            one.clock.now = other.clock.now = 106
            lease.answered()
        other.fails(EU1, fault=SPENT)

        assert other.state(EU1).seconds == 5.0

    def test_a_cooldown_is_not_shortened_from_outside(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=SPENT)
        scene.balancer.apply(CooldownStarted(EU1, EU1.domain, 1.0, SPENT.kind))

        assert scene.state(EU1).seconds == 5.0

    def test_an_endpoint_that_is_not_served_here_is_passed_over(self):
        one, other = self.pair()
        other.balancer.replace_pools({"m": [US1]})
        one.fails(EU1)

        assert other.availability() == [Availability.AVAILABLE]


class TestWhatIsSeenAtOnce:
    """What strategies see is kept while it is true: a circuit that changes without a request is seen by the next."""

    def test_a_circuit_that_a_listing_opens_and_closes(self):
        scene = BalancerScene([EU1, US1])
        assert {scene.balancer.select("m") for _ in range(2)} == {EU1, US1}

        scene.balancer.breaker(EU1).eject("not listed")
        assert {scene.balancer.select("m") for _ in range(2)} == {US1}

        scene.balancer.breaker(EU1).readmit()
        scene.at(EU1).answered()
        assert {scene.balancer.select("m") for _ in range(30)} == {EU1, US1}

    def test_a_circuit_that_another_process_opened(self):
        scene = BalancerScene([EU1, US1])
        assert {scene.balancer.select("m") for _ in range(2)} == {EU1, US1}

        change = Transition(Circuit.CLOSED, Circuit.OPEN, "5 failures in a row", seconds=10.0)
        scene.balancer.apply(CircuitChanged(EU1, change))
        assert {scene.balancer.select("m") for _ in range(2)} == {US1}


class TestForgottenLeases:
    def test_a_lease_that_is_garbage_collected_is_released_with_a_warning(self, caplog):
        scene = BalancerScene([EU1])
        lease = scene.acquire()
        assert in_flight(scene.balancer) == {EU1: 1}

        del lease
        gc.collect()

        assert in_flight(scene.balancer) == {EU1: 0}
        assert scene.balancer._members[EU1]._waiting == 0
        assert scene.told == [LeaseAbandoned(EU1)]
        assert caplog.messages == ["a lease on m at eu/d1 was never released: close leases, or use them in a `with`"]

    def test_it_gives_back_its_permit_to_the_next_request(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        scene.acquire()
        gc.collect()

        assert scene.acquire().reason == "probe"

    def test_one_that_was_answered_waits_no_more(self):
        scene = BalancerScene([EU1])
        scene.acquire().answered()
        gc.collect()

        assert in_flight(scene.balancer) == {EU1: 0}
        assert scene.balancer._members[EU1]._waiting == 0

    def test_one_that_ended_is_forgotten_in_silence(self, caplog):
        scene = BalancerScene([EU1])
        scene.acquire().close()
        scene.acquire().failed(DOWN)
        gc.collect()
        scene.balancer.snapshot()

        assert [event for event in scene.told if isinstance(event, LeaseAbandoned)] == []

    def test_a_collection_under_the_balancers_lock_blocks_nobody(self):
        """A finalizer may run wherever memory is allocated."""
        scene = BalancerScene([EU1])

        class Collecting(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                kept.clear()
                gc.collect()
                return super().select_endpoint(candidates, context)

        kept = [scene.acquire()]
        scene.balancer.use(Collecting())
        with scene.acquire() as lease:
            assert lease.reason == "round-robin"
            assert in_flight(scene.balancer) == {EU1: 1}


class TestStrategiesThatCallBack:
    @pytest.mark.parametrize(
        "call",
        [
            lambda balancer: balancer.acquire("m"),
            lambda balancer: balancer.snapshot(),
            lambda balancer: balancer.use("weighted"),
            lambda balancer: balancer.breaker(EU1),
        ],
    )
    def test_a_strategy_that_calls_the_balancer_fails_with_a_clear_error(self, call):
        class Curious(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                call(scene.balancer)
                return super().select_endpoint(candidates, context)

        scene = BalancerScene([EU1, US1], strategy=Curious())
        with scene.acquire() as lease:
            assert (lease.endpoint, lease.reason) == (EU1, "defect")

        [event] = scene.told
        assert isinstance(event, StrategyFailed)
        assert str(event.error) == "a strategy must not call the balancer that is calling it: use its arguments alone"

    def test_another_thread_waits_for_it_as_always(self):
        inside, done = threading.Event(), threading.Event()

        class Slow(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                inside.set()
                done.wait(10)
                return super().select_endpoint(candidates, context)

        balancer = LoadBalancer({"m": POOL}, policy=STEADY)
        balancer.use(Slow())
        selecting = threading.Thread(target=lambda: balancer.select("m"))
        selecting.start()
        inside.wait(10)
        seen: list[object] = []
        looking = threading.Thread(target=lambda: seen.append(balancer.breaker(EU1)))
        looking.start()
        looking.join(0.05)
        before = list(seen)
        done.set()
        selecting.join(10)
        looking.join(10)

        assert ([], [balancer.breaker(EU1)]) == (before, seen)


class TestCountingTheInput:
    """Tokens are counted for a strategy that reads them, and while no lock is held."""

    def context(self, scene: BalancerScene) -> SelectionContext:
        def count() -> int:
            assert scene.balancer._lock.lock.acquire(blocking=False)
            scene.balancer._lock.lock.release()
            return 7

        return SelectionContext(caller="me", count_input=count)

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_no_strategy_of_this_package_has_them_counted(self, name):
        def count() -> int:
            raise AssertionError("nobody reads them")

        scene = BalancerScene(strategy=make_strategy(name, STEADY))
        context = SelectionContext("key", count_input=count)
        scene.balancer.acquire("m", context=context).close()

        assert scene.balancer.select("m", context=context) in POOL

    def test_a_strategy_of_ones_own_finds_them_counted(self):
        seen: list[SelectionContext] = []

        class Sized(LoadBalancingStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                seen.append(context)
                return candidates[0].endpoint

            def get_name(self):
                return "sized"

        scene = BalancerScene()
        scene.balancer.use(Sized())
        scene.balancer.acquire("m", context=self.context(scene)).close()
        scene.balancer.select("m", context=self.context(scene))

        assert [(each.caller, each.input_tokens) for each in seen] == [("me", 7), ("me", 7)]


class TestListeners:
    def test_each_of_several_hears_everything(self):
        scene = BalancerScene()
        others: list[list[object]] = [[], []]
        for each in others:
            scene.events.subscribe(each.append)
        scene.fails(EU1)

        assert len(scene.told) == 2
        assert [scene.told, scene.told] == others

    def test_one_that_fails_keeps_no_other_from_hearing(self):
        scene = BalancerScene()
        heard: list[object] = []
        scene.events.subscribe(lambda event: 1 / 0)
        scene.events.subscribe(heard.append)
        scene.fails(EU1)

        assert scene.told == heard != []


class TestDrained:
    """An endpoint of weight 0 gets only what continues what it made."""

    DRAINED = endpoint("eu", "d1", weight=0)

    def test_it_is_not_selected(self):
        scene = BalancerScene([self.DRAINED, US1])

        assert {scene.balancer.select("m") for _ in range(4)} == {US1}
        assert scene.availability() == [Availability.DRAINED, Availability.AVAILABLE]

    def test_not_even_in_panic(self):
        scene = BalancerScene([self.DRAINED, US1])
        scene.fails(US1)
        held = scene.acquire()

        assert (held.endpoint, held.reason) == (US1, "panic")
        assert scene.refusal().fault.status == 503

    def test_nor_if_it_is_the_only_one(self):
        error = BalancerScene([self.DRAINED]).refusal()

        assert (error.fault.status, error.fault.retry_after) == (503, None)
        assert str(error) == "no deployment of 'm' can take the request now"

    def test_what_continues_what_it_made_goes_there(self):
        scene = BalancerScene([self.DRAINED, US1])

        with scene.acquire(only=[self.DRAINED]) as lease:
            assert (lease.endpoint, lease.reason) == (EU1, "sticky")
        with scene.acquire(context=SelectionContext(preferred=self.DRAINED)) as lease:
            assert (lease.endpoint, lease.reason) == (EU1, "preferred")

    def test_an_endpoint_is_drained_while_requests_go_on(self):
        scene = BalancerScene([EU1, US1])
        lease = scene.at(EU1)
        scene.balancer.replace_pools({"m": [self.DRAINED, US1]})
        lease.answered()

        assert (scene.state(EU1).in_flight, scene.state(EU1).weight) == (1, 0.0)
        lease.close()
        assert scene.state(EU1).in_flight == 0


def test_whoever_works_on_a_balancer_finds_its_policy_there():
    assert BalancerScene(policy=STEADY).balancer.policy.breaker == STEADY.breaker


def test_a_snapshot_does_not_hold_the_lock_while_it_looks_at_circuits(monkeypatch):
    scene = BalancerScene()
    held = []
    for each in scene.balancer._members.values():
        look = each.breaker.snapshot
        monkeypatch.setattr(each, "breaker", Watched(look, lambda: held.append(scene.balancer._lock.lock._is_owned())))
    scene.balancer.snapshot()

    assert held == [False] * 3


class Watched:
    """A breaker that says when it is looked at."""

    def __init__(self, look, say) -> None:
        self._look = look
        self._say = say

    def snapshot(self):
        self._say()
        return self._look()
