import logging
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from dialects.faults import Fault, FaultKind, Quota
from routing.health import VERDICTS, Circuit, Effect, Scope, scope_of
from routing.journal import CircuitMoved, Cooled, PoolsChanged, Settled, Standing, Transition
from routing.lease import Member
from routing.load_balancer import LoadBalancer, NoEndpointError
from routing.policy import BreakerPolicy, CoolingPolicy, ModelPolicy, Policy
from routing.strategy import (
    NO_CONTEXT,
    STRATEGIES,
    Candidate,
    Endpoint,
    LoadBalancingStrategy,
    RoundRobinStrategy,
    SelectionContext,
    make_strategy,
)
from tests.routing.scenes import (
    BAD,
    BUSY,
    DOWN,
    EU1,
    EU2,
    GONE,
    REFUSED,
    SPENT,
    US1,
    Clock,
    at_most,
    endpoint,
    rows,
    together,
)

STEADY = Policy(breaker=BreakerPolicy(failure_threshold=1, timeout_jitter=0), cooling=CoolingPolicy(jitter=0))
POOL = [EU1, EU2, US1]


class Scene:
    """A balancer whose clock is set, and everything it told."""

    def __init__(self, pool=POOL, policy: Policy = STEADY, **more) -> None:
        self.clock = Clock(100.0)
        self.told: list[object] = []
        self.balancer = LoadBalancer(
            {"m": pool}, policy=policy, clock=self.clock, rng=random.Random(1), listener=self.told.append, **more
        )

    def acquire(self, **wish):
        return self.balancer.acquire("m", **wish)

    def at(self, wanted: Endpoint):
        return self.acquire(exclude=[each for each in self.balancer.endpoints("m") if each != wanted])

    def fails(self, *endpoints: Endpoint, fault: Fault = DOWN) -> None:
        for each in endpoints:
            self.at(each).failed(fault)

    def regret(self, **wish) -> NoEndpointError:
        with pytest.raises(NoEndpointError) as error:
            self.acquire(**wish)
        return error.value

    def standings(self) -> list[Standing]:
        return [row.standing for row in self.balancer.explain("m")]

    def state(self, wanted: Endpoint):
        return next(state for state in self.balancer.snapshot() if state.endpoint == wanted)


class TestOutcomes:
    """What each kind of failure does to the endpoint that met it."""

    @pytest.mark.parametrize("kind", list(FaultKind))
    def test_the_verdict_is_carried_out(self, kind):
        scene = Scene()
        fault = Fault(kind, "", retry_after=7.0, quota=Quota.MODEL)
        scene.fails(EU1, fault=fault)
        effect, scope = VERDICTS[kind].effect, scope_of(fault)
        state = scene.state(EU1)

        assert (Circuit.OPEN if effect in {Effect.FAILURE, Effect.TRIP} else Circuit.CLOSED) is state.circuit
        assert (scope is not Scope.NONE) == (state.standing is Standing.COOLING)
        assert (kind if VERDICTS[kind].try_elsewhere else None) is state.last_error
        assert 0 == state.in_flight

    def test_ok_ends_the_cooling(self):
        scene = Scene()
        for expected in (5.0, 10.0):
            scene.fails(EU1, fault=SPENT)
            assert expected == scene.state(EU1).seconds
            scene.clock.now += expected
        scene.at(EU1).answered()
        scene.fails(EU1, fault=SPENT)

        assert 5.0 == scene.state(EU1).seconds

    def test_an_answer_to_a_request_from_before_ends_no_cooling(self):
        scene = Scene()
        early = scene.at(EU1)
        scene.clock.now += 1
        scene.fails(EU1, fault=SPENT)
        scene.clock.now += 1
        early.answered()

        assert 4.0 == scene.state(EU1).seconds

    def test_a_quota_of_the_model_rests_its_sisters_too(self):
        scene = Scene()
        scene.fails(EU1, fault=SPENT)

        assert [Standing.COOLING, Standing.COOLING, Standing.READY] == scene.standings()
        assert "quota: rate_limited" == scene.balancer.explain("m")[1].why

    def test_a_quota_of_another_model_does_not(self):
        other = endpoint("eu", "d5", "other")
        balancer = LoadBalancer({"m": [EU1], "other": [other]}, policy=STEADY)
        balancer.acquire("m").failed(SPENT)

        assert other == balancer.acquire("other").endpoint

    def test_a_providers_quota_rests_the_endpoint_alone(self):
        scene = Scene()
        scene.fails(EU1, fault=BUSY)

        assert [Standing.COOLING, Standing.READY, Standing.READY] == scene.standings()
        assert "endpoint: rate_limited" == scene.balancer.explain("m")[0].why

    def test_refused_credentials_rest_the_subaccount_with_all_its_models(self):
        other = endpoint("eu", "d5", "other")
        balancer = LoadBalancer({"m": POOL, "other": [other]}, policy=STEADY, clock=Clock())
        balancer.acquire("m", exclude=[US1]).failed(REFUSED)

        assert [60.0, 60.0, 0.0] == [row.seconds for row in balancer.explain("m")]
        assert "subaccount: refused_credentials" == balancer.explain("other")[0].why

    def test_a_failure_makes_nobody_rest(self):
        scene = Scene()
        scene.fails(EU1, fault=DOWN)

        assert 0 == len(scene.balancer._ledger.cooling)

    def test_how_much_longer_than_its_hint_a_cooling_lasts_is_drawn_from_the_given_chance(self):
        scenes = [Scene(policy=replace(STEADY, cooling=CoolingPolicy(jitter=1))) for _ in range(2)]
        for scene in scenes:
            scene.fails(EU1, fault=SPENT)

        assert scenes[0].state(EU1).seconds == scenes[1].state(EU1).seconds

    def test_who_was_gone_before_the_circuit_closed_anew_is_not_gone_now(self):
        scene = Scene()
        early = scene.at(EU1)
        scene.fails(EU1)
        scene.clock.now += 10
        scene.at(EU1).answered()
        early.failed(GONE)

        assert Circuit.CLOSED is scene.state(EU1).circuit

    def test_cooling_never_opens_a_circuit(self):
        scene = Scene()
        for _ in range(30):
            scene.fails(EU1, fault=BUSY)
            scene.clock.now += 61

        assert scene.balancer.breaker(EU1).state is Circuit.CLOSED

    def test_gone_is_open_until_the_next_discovery(self):
        scene = Scene()
        scene.fails(EU1, fault=GONE)

        assert (Standing.GONE, "the deployment is gone", 60.0) == (
            scene.state(EU1).standing,
            scene.state(EU1).why,
            scene.state(EU1).seconds,
        )

    def test_without_discovery_gone_is_tried_again_some_day(self):
        scene = Scene(policy=replace(STEADY, discovery_interval=0))
        scene.fails(EU1, fault=GONE)

        assert 300.0 == scene.state(EU1).seconds


class TestBreakers:
    def test_who_is_open_is_not_chosen(self):
        scene = Scene()
        scene.fails(EU1)

        assert {EU2, US1} == {scene.acquire().endpoint for _ in range(4)}

    def test_a_request_that_can_fail_over_may_be_the_probe(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        last = [scene.acquire(can_fail_over=False).endpoint for _ in range(3)]
        leases = [scene.acquire() for _ in range(3)]

        assert [US1, US1, US1] == last
        assert [(EU1, "probe"), (US1, "round-robin"), (US1, "round-robin")] == [
            (lease.endpoint, lease.reason) for lease in leases
        ]
        assert [Standing.PROBING, Standing.READY] == scene.standings()

    def test_the_last_attempt_may_be_the_probe_if_there_is_nobody_else(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10

        assert EU1 == scene.acquire(can_fail_over=False, exclude=[US1]).endpoint

    def test_a_probe_that_is_answered_closes_the_circuit_while_it_streams(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        probe = scene.at(EU1)
        probe.answered()

        assert 1 == scene.balancer.in_flight()[EU1]
        assert [Standing.READY, Standing.READY] == scene.standings()

    @pytest.mark.parametrize("end", ["close", "caller"])
    def test_a_probe_that_taught_nothing_gives_its_permit_back(self, end):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        probe = scene.at(EU1)
        if end == "close":
            probe.close()
        else:
            probe.failed(BAD)

        assert [Standing.PROBE, Standing.READY] == scene.standings()

    def test_a_used_up_quota_opens_a_probed_circuit_for_as_long_as_before(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        scene.fails(EU1, fault=replace(BUSY, retry_after=1.0))

        assert (Circuit.OPEN, 0, 10.0) == (scene.state(EU1).circuit, scene.state(EU1).k, scene.state(EU1).seconds)

    def test_a_circuit_that_closed_gets_its_weight_little_by_little(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        scene.at(EU1).answered()
        scene.clock.now += 6
        scene.balancer.use("weighted")
        chosen = Counter(scene.acquire().endpoint for _ in range(12))

        assert {EU1: 2, US1: 10} == chosen
        assert [0.2, 1.0] == [row.weight for row in scene.balancer.explain("m")]

    def test_a_choice_that_is_overtaken_is_made_again(self):
        """Between the survey and the permit another thread may open the circuit."""
        scene = Scene([EU1, US1])

        class Overtaken(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                scene.balancer._members[candidates[0].endpoint].breaker.trip("overtaken")
                return candidates[0].endpoint

        scene.balancer.use(Overtaken())
        error = scene.regret()

        assert error.fault.kind is FaultKind.UNAVAILABLE
        assert [Standing.GONE, Standing.GONE] == scene.standings()


class TestNothingAvailable:
    """What a request gets when the pool has nothing that is well."""

    def test_a_pool_of_one_is_asked_though_its_circuit_is_open(self):
        scene = Scene([EU1])
        scene.fails(EU1)
        leases = [scene.acquire() for _ in range(3)]

        assert [Standing.OPEN] == scene.standings()
        assert [(EU1, "alone")] * 3 == [(lease.endpoint, lease.reason) for lease in leases]

        leases[1].answered()

        assert [Standing.READY] == scene.standings()

    def test_a_pool_of_one_that_rests_is_not_asked(self):
        scene = Scene([EU1])
        scene.fails(EU1)
        scene.at(EU1).failed(replace(BUSY, retry_after=3.0))
        scene.clock.now += 1

        assert 10.0 - 1.0 == scene.regret().fault.retry_after

    def test_a_pool_of_one_that_was_tried_is_not_asked_again(self):
        error = Scene([EU1]).regret(exclude=[EU1])

        assert (FaultKind.UNAVAILABLE, None, None) == (error.fault.kind, error.fault.retry_after, error.wait)

    def test_a_pool_of_one_that_is_gone_is_asked_all_the_same(self):
        scene = Scene([EU1])
        scene.fails(EU1, fault=GONE)

        assert "alone" == scene.acquire().reason

    def test_all_open_lets_one_request_through_to_each_the_longest_open_first(self):
        scene = Scene()
        for each in (US1, EU2, EU1):
            scene.fails(each)
            scene.clock.now += 1
        leases = [scene.acquire() for _ in range(3)]

        assert [(US1, "forced"), (EU2, "forced"), (EU1, "forced")] == [(each.endpoint, each.reason) for each in leases]
        assert 7.0 == scene.regret().fault.retry_after

        leases[1].close()

        assert EU2 == scene.acquire().endpoint

    def test_a_forced_request_that_fails_makes_way_for_the_next(self):
        scene = Scene()
        for each in (US1, EU2, EU1):
            scene.fails(each)
            scene.clock.now += 1
        order = []
        for _ in range(4):
            lease = scene.acquire()
            order.append(lease.endpoint)
            lease.failed(DOWN)
            scene.clock.now += 0.1

        assert [US1, EU2, EU1, US1] == order

    def test_a_forced_request_that_is_answered_closes_the_circuit(self):
        scene = Scene()
        scene.fails(EU1, EU2, US1)
        lease = scene.acquire()
        lease.answered()

        assert scene.balancer.breaker(lease.endpoint).state is Circuit.CLOSED

    def test_who_was_tried_is_not_forced(self):
        scene = Scene()
        scene.fails(EU1, EU2, US1)

        assert US1 == scene.acquire(exclude=[EU1, EU2]).endpoint
        assert US1 not in {scene.acquire(exclude_domains=[US1.domain]).endpoint for _ in range(2)}

    def test_nobody_is_forced_while_someone_is_well(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        error = scene.regret(exclude=[US1])

        assert (FaultKind.UNAVAILABLE, 503, None) == (error.fault.kind, error.fault.status, error.fault.retry_after)
        assert "no other deployment of 'm' is left to try" == str(error)

    def test_who_is_gone_is_not_forced(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1, US1, fault=GONE)
        error = scene.regret()

        assert (FaultKind.UNAVAILABLE, 503, 60.0, None) == (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
            error.wait,
        )

    def test_who_is_gone_for_good_gives_no_time_to_come_back(self):
        scene = Scene([EU1, US1])
        for each in (EU1, US1):
            scene.balancer.breaker(each).trip("stopped")

        assert scene.regret().fault.retry_after is None

    def test_all_probing_says_to_come_back_soon(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1, US1)
        scene.clock.now += 10
        [scene.acquire(), scene.acquire()]
        error = scene.regret()

        assert (503, 1.0, None) == (error.fault.status, error.fault.retry_after, error.wait)
        assert "no deployment of 'm' can take the request now" == str(error)

    def test_all_cooling_is_told_with_the_exact_time(self):
        scene = Scene()
        scene.fails(EU1, fault=replace(SPENT, retry_after=9.0))
        scene.fails(US1, fault=replace(BUSY, retry_after=4.0))
        scene.clock.now += 2.5
        error = scene.regret()

        assert (FaultKind.RATE_LIMITED, 429, 1.5, 1.5) == (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
            error.wait,
        )
        assert "the quota of every deployment of 'm' is used up" == str(error)

        scene.clock.now += 1.5

        assert US1 == scene.acquire().endpoint

    def test_all_cooling_is_so_whether_tried_or_not(self):
        scene = Scene()
        scene.fails(EU1, fault=replace(SPENT, retry_after=9.0))
        scene.fails(US1, fault=replace(BUSY, retry_after=4.0))

        assert 4.0 == scene.regret(exclude=POOL).wait

    def test_open_or_cooling_is_told_with_the_nearest_of_both(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1, fault=replace(BUSY, retry_after=60.0))
        scene.fails(US1)
        assert "forced" == scene.acquire().reason
        error = scene.regret()

        assert (429, 10.0, 60.0) == (error.fault.status, error.fault.retry_after, error.wait)

    def test_an_overload_with_a_hint_is_no_quota(self):
        scene = Scene([EU1])
        scene.fails(EU1, fault=Fault(FaultKind.OVERLOADED, "", 529, retry_after=3.0))
        scene.balancer.breaker(EU1).reachable()
        error = scene.regret()

        assert (FaultKind.UNAVAILABLE, 503, 3.0, 3.0) == (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
            error.wait,
        )

    def test_refused_credentials_everywhere_are_not_the_callers(self):
        scene = Scene()
        scene.fails(EU1, US1, fault=REFUSED)
        error = scene.regret()

        assert (FaultKind.REFUSED_CREDENTIALS, 502, 60.0) == (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
        )
        assert "SAP AI Core refuses the proxy's credentials for every deployment of 'm'" == str(error)

    def test_refused_credentials_in_one_place_are_not_all(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1, fault=REFUSED)
        scene.fails(US1, fault=GONE)

        assert FaultKind.UNAVAILABLE is scene.regret().fault.kind

    @pytest.mark.parametrize("ask", [LoadBalancer.acquire, LoadBalancer.peek, LoadBalancer.explain])
    def test_an_unknown_model_is_not_found(self, ask):
        with pytest.raises(ValueError, match="the model 'x' is not deployed") as error:
            ask(LoadBalancer({"m": POOL, "x": []}), "x")

        fault = error.value.fault

        assert (FaultKind.NOT_FOUND, 404, "model") == (fault.kind, fault.status, fault.param)


class TestExclusion:
    def test_who_was_tried_is_not_chosen_again(self):
        scene = Scene()

        assert {EU2} == {scene.acquire(exclude=[EU1, US1]).endpoint for _ in range(3)}

    def test_nor_is_who_draws_on_the_same_quota(self):
        scene = Scene()

        assert {US1} == {scene.acquire(exclude_domains=[EU1.domain]).endpoint for _ in range(3)}

    def test_it_is_explained(self):
        scene = Scene()
        scene.fails(EU1)
        rows = scene.balancer.explain("m", exclude=[EU1, EU2], exclude_domains=[US1.domain])

        assert [Standing.OPEN, Standing.EXCLUDED, Standing.EXCLUDED] == [row.standing for row in rows]

    def test_so_is_why_an_endpoint_has_to_prove_itself(self):
        scene = Scene()
        scene.fails(EU1)
        scene.clock.now += 10

        row = scene.balancer.explain("m")[0]

        assert (Standing.PROBE, "its time was over") == (row.standing, row.why)


class TestPeek:
    def test_it_takes_turns_and_counts_nothing(self):
        scene = Scene()

        assert [EU1, US1, EU2] == [scene.balancer.peek("m") for _ in range(3)]
        assert {EU1: 0, EU2: 0, US1: 0} == scene.balancer.in_flight()

    def test_it_goes_where_the_request_would_like_to_go(self):
        strategy = make_strategy("cache-affinity", STEADY)
        homes = [strategy.select_endpoint(rows(EU1, US1), SelectionContext(f"key {i}")) for i in range(20)]
        scene = Scene([EU1, US1], strategy=make_strategy("cache-affinity", STEADY))

        assert homes == [scene.balancer.peek("m", context=SelectionContext(f"key {i}")) for i in range(20)]
        assert {EU1, US1} == {*homes}

    def test_it_never_probes_if_it_can_be_helped(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10

        assert {US1} == {scene.balancer.peek("m") for _ in range(3)}
        assert EU1 == scene.balancer.peek("m", exclude=[US1])
        assert Standing.PROBE is scene.standings()[0]

    def test_the_only_endpoint_is_named_though_its_circuit_is_open(self):
        scene = Scene([EU1])
        scene.fails(EU1)

        assert EU1 == scene.balancer.peek("m")

    def test_all_open_is_an_error(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1, US1)
        with pytest.raises(ValueError, match="no deployment of 'm' can take the request now"):
            scene.balancer.peek("m")


class TestInFlight:
    ENDS = (
        ("end of the body", lambda lease: (lease.answered(), lease.close())),
        ("a fault before", lambda lease: lease.failed(DOWN)),
        ("a fault after", lambda lease: (lease.answered(), lease.failed(DOWN))),
        ("the caller left", lambda lease: lease.close()),
        ("everything twice", lambda lease: (lease.close(), lease.failed(DOWN), lease.answered(), lease.close())),
        ("leaving a block", lambda lease: lease.__exit__(None, None, None)),
    )

    @pytest.mark.parametrize("end", [end for _, end in ENDS], ids=[name for name, _ in ENDS])
    def test_a_slot_is_freed_once_however_it_ends(self, end):
        scene = Scene()
        kept, lease = scene.at(EU1), scene.at(EU1)
        end(lease)
        end(lease)

        assert 1 == scene.balancer.in_flight()[EU1] == scene.state(EU1).in_flight
        assert 1 == scene.balancer._members[EU1].waiting
        kept.close()
        assert 0 == scene.balancer.in_flight()[EU1]

    def test_a_block_frees_it_even_by_an_error(self):
        scene = Scene()
        with pytest.raises(ZeroDivisionError), scene.acquire():
            1 / sum(scene.balancer.in_flight().values()) / 0

        assert 0 == sum(scene.balancer.in_flight().values())

    def test_a_stream_counts_until_its_last_byte(self):
        scene = Scene([EU1, US1])
        scene.balancer.use("least-connections")
        stream = scene.acquire()
        stream.answered()

        assert [US1] * 3 == [self.once(scene) for _ in range(3)]

    def once(self, scene: Scene) -> Endpoint:
        with scene.acquire() as lease:
            return lease.endpoint

    @pytest.mark.parametrize("name", sorted(STRATEGIES))
    def test_whatever_sixteen_threads_do_nothing_stays_in_flight(self, name):
        balancer = LoadBalancer({"m": POOL}, policy=replace(STEADY, strategy=name))

        def work(seed: int) -> None:
            rng = random.Random(seed)
            for _ in range(40):
                try:
                    lease = balancer.acquire("m", context=SelectionContext(str(seed)))
                except NoEndpointError:
                    continue
                for _ in range(rng.randint(0, 3)):
                    rng.choice([lease.answered, lease.close, lambda lease=lease: lease.failed(DOWN)])()
                lease.close()

        together([lambda seed=seed: work(seed) for seed in range(16)])

        assert {EU1: 0, EU2: 0, US1: 0} == balancer.in_flight()
        assert [0, 0, 0] == [member.waiting for member in balancer._members.values()]


class TestLatency:
    def latency(self, scene: Scene, after: float = 0.0) -> float:
        scene.clock.now += after
        return round(scene.state(EU1).latency, 4)

    def test_it_begins_with_the_seed(self):
        assert 1.0 == self.latency(Scene())

    def answer(self, scene: Scene, seconds: float):
        lease = scene.at(EU1)
        scene.clock.now += seconds
        lease.answered()
        return lease

    def test_a_peak_counts_at_once_and_a_better_time_little_by_little(self):
        scene = Scene()
        self.answer(scene, 3.0)

        assert 3.0 == self.latency(scene)

        self.answer(scene, 1.0)

        assert round(3 * 2.718281828**-0.1 + 1 * (1 - 2.718281828**-0.1), 4) == self.latency(scene)

    def test_it_fades_while_nobody_waits_and_not_while_someone_does(self):
        scene = Scene()
        self.answer(scene, 4.0)

        assert round(4 * 2.718281828**-1, 4) == self.latency(scene, after=10)

        lease = scene.at(EU1)

        assert 4.0 == self.latency(scene, after=10)

        lease.close()

        assert 0.001 == self.latency(scene, after=1_000)

    @pytest.mark.parametrize(
        ("fault", "seconds"),
        [(DOWN, 5.0), (replace(BUSY, retry_after=42.0), 42.0), (replace(DOWN, retry_after=900.0), 300.0), (BAD, 1.0)],
    )
    def test_a_failure_counts_as_five_seconds_or_its_hint(self, fault, seconds):
        scene = Scene()
        scene.fails(EU1, fault=fault)

        assert seconds == self.latency(scene)

    def test_strategies_see_it_fade(self):
        seen = []

        class Watch(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                seen.append(round(candidates[0].latency, 3))
                return candidates[0].endpoint

        scene = Scene([EU1], strategy=Watch())
        for wait in (0.0, 0.05, 0.1, 9.9):
            scene.clock.now += wait
            scene.balancer.peek("m")

        assert [1.0, 1.0, 0.985, 0.366] == seen

    def test_a_row_is_kept_only_while_it_is_true(self):
        member = Member(EU1, None, 1.0, 0.0)
        first = member.row(0.0, 10.0)

        assert Candidate(EU1, 0, 1.0, 1.0) == first
        assert member.row(0.09, 10.0) is first
        assert member.row(0.1, 10.0) is not first

        member.enter()
        assert 1 == member.row(0.1, 10.0).in_flight
        member.leave(unanswered=True)
        assert 0 == member.row(0.1, 10.0).in_flight
        member.observe(9.0, 0.1, 10.0)
        assert 9.0 == member.row(0.1, 10.0).latency
        member.adjust(endpoint(weight=3))
        assert 3 == member.row(0.1, 10.0).weight


class TestStrategies:
    def test_the_settings_name_one_for_all_and_one_for_a_model(self):
        other = endpoint("eu", "d5", "other")
        policy = Policy(strategy="weighted", models={"m": ModelPolicy(strategy="priority"), "other": ModelPolicy()})
        balancer = LoadBalancer({"m": POOL, "other": [other]}, policy=policy)

        assert ["priority", "weighted"] == [balancer.strategy(model) for model in ("m", "other")]
        assert "priority" == balancer.acquire("m").reason

    def test_it_can_be_changed_at_run_time(self):
        scene = Scene()
        scene.balancer.use("weighted")
        assert "weighted" == scene.acquire().reason
        scene.balancer.use(RoundRobinStrategy(), "m")
        assert "round-robin" == scene.acquire().reason
        scene.balancer.use("priority")
        assert "round-robin" == scene.acquire().reason

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(ValueError, match="strategy must be one of"):
            LoadBalancer({}, policy=Policy(models={"m": ModelPolicy(strategy="best")}))
        with pytest.raises(ValueError, match="strategy must be one of"):
            Scene().balancer.use("best")

    def test_it_sees_what_may_be_chosen_and_what_the_request_says(self):
        seen = []

        class Watch(LoadBalancingStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                seen.append(([(row.endpoint, row.in_flight, row.weight) for row in candidates], context))
                return candidates[-1].endpoint

            def get_name(self):
                return "watch"

        scene = Scene([endpoint("eu", "d1", weight=2), EU2, US1], strategy=Watch())
        scene.fails(EU2)
        seen.clear()
        scene.acquire(context=SelectionContext("key"))
        scene.acquire()

        assert [
            ([(EU1, 0, 2), (US1, 0, 1)], SelectionContext("key")),
            ([(EU1, 0, 2), (US1, 1, 1)], SelectionContext()),
        ] == seen

    def test_round_robin_over_ten_thousand_leases_of_sixteen_threads_is_exact(self):
        pool = [endpoint(name, f"d{i}") for name in ("eu", "us") for i in range(3)]
        balancer, counts = LoadBalancer({"m": pool}), Counter()

        def work() -> None:
            for _ in range(625):
                with balancer.acquire("m") as lease:
                    counts[lease.endpoint] += 1

        together([work] * 16)

        assert {1_666, 1_667} == set(counts.values())
        assert 5_000 == sum(counts[each] for each in pool[:3])

    def test_least_latency_draws_from_the_given_chance(self):
        drawn = [
            [LoadBalancer({"m": POOL}, policy=Policy(strategy="least-latency"), rng=random.Random(5)).peek("m")]
            for _ in range(5)
        ]

        assert 1 == len({tuple(each) for each in drawn})

    def test_so_does_that_of_one_model(self):
        policy = replace(STEADY, models={"m": ModelPolicy(strategy="least-latency")})
        one, other = Scene(policy=policy).balancer, Scene(policy=policy).balancer

        assert [one.peek("m") for _ in range(20)] == [other.peek("m") for _ in range(20)]


class TestPools:
    def test_who_stays_keeps_its_history_and_who_joins_starts_slowly(self):
        scene = Scene([EU1, EU2])
        busy = scene.at(EU2)
        scene.fails(EU1)
        scene.told.clear()
        heavier = endpoint("eu", "d2", weight=4)
        scene.balancer.replace_pools({"m": [EU1, heavier, US1]})

        assert [Standing.OPEN, Standing.READY, Standing.READY] == scene.standings()
        assert {EU1: 0, EU2: 1, US1: 0} == scene.balancer.in_flight()
        assert [0.1, 4.0, 0.1] == [row.weight for row in scene.balancer.explain("m")]
        assert [PoolsChanged((US1,), ())] == scene.told

        busy.close()

        assert 0 == scene.balancer.in_flight()[EU2]

    def test_who_leaves_takes_its_state_along_and_ends_its_requests_in_peace(self):
        scene = Scene([EU1, US1])
        lease = scene.at(US1)
        scene.fails(US1, fault=BUSY)
        scene.balancer.replace_pools({"m": [EU1]})
        lease.answered()
        lease.failed(DOWN)
        scene.balancer.replace_pools({"m": [EU1, US1]})

        assert [Standing.READY, Standing.READY] == scene.standings()
        assert {EU1: 0, US1: 0} == scene.balancer.in_flight()
        assert [PoolsChanged((), (US1,)), PoolsChanged((US1,), ())] == [
            event for event in scene.told if isinstance(event, PoolsChanged)
        ]

    def test_the_same_pools_are_no_news(self):
        scene = Scene()
        scene.balancer.replace_pools({"m": POOL})

        assert [] == scene.told

    def test_a_discovery_restores_who_was_gone(self):
        scene = Scene()
        scene.fails(EU1, fault=GONE)
        scene.balancer.replace_pools({"m": POOL})

        assert Standing.PROBE is scene.standings()[0]

    def test_strategies_forget_who_left(self):
        scene = Scene()
        own = RoundRobinStrategy()
        common = RoundRobinStrategy()
        scene.balancer.use(common)
        scene.acquire()
        scene.balancer.use(own, "m")
        scene.acquire()
        scene.balancer.replace_pools({"m": [US1]})

        assert ({}, {}) == (own._subaccounts, common._subaccounts)

    def test_an_endpoint_in_two_pools_is_one_endpoint(self):
        balancer = LoadBalancer({"m": [EU1, EU1], "alias": [EU1]})
        balancer.acquire("m")

        assert {EU1: 1} == balancer.in_flight()
        assert (EU1,) == balancer.endpoints("m") == balancer.endpoints("alias")

    def test_it_says_what_it_has(self):
        balancer = LoadBalancer({"m": POOL, "empty": []})

        assert ("m",) == balancer.models()
        assert (EU1, EU2, US1) == balancer.endpoints("m")
        assert () == balancer.endpoints("x")
        with pytest.raises(KeyError):
            balancer.breaker(endpoint("ap"))


class TestVisible:
    def test_everything_that_is_known(self):
        scene = Scene()
        scene.fails(EU1)
        scene.clock.now += 4
        state = scene.state(EU1)

        assert (
            (EU1, Standing.OPEN, Circuit.OPEN, "1 failures in a row: server_error", 6.0, 0, 0, 0.1, EU1.domain)
        ) == (
            state.endpoint,
            state.standing,
            state.circuit,
            state.why,
            state.seconds,
            state.k,
            state.in_flight,
            state.weight,
            state.domain,
        )
        assert "never failed" == scene.state(EU2).why
        assert FaultKind.SERVER_ERROR is state.last_error

    def test_it_tells_each_thing_once_and_under_no_lock(self):
        scene = Scene([EU1, US1])
        free = []

        def listen(event: object) -> None:
            free.append(not scene.balancer._ledger.lock.locked())
            scene.told.append(event)

        scene.balancer._ledger._listener = listen
        lease = scene.at(EU1)
        scene.clock.now += 2
        lease.failed(DOWN)
        scene.at(US1).failed(replace(BUSY, retry_after=3.0))
        scene.clock.now += 10
        lease = scene.acquire()
        scene.clock.now += 0.5
        lease.answered()

        assert [
            CircuitMoved(
                EU1, Transition(1, Circuit.CLOSED, Circuit.OPEN, "1 failures in a row: server_error", 10.0, 0)
            ),
            Settled(EU1, FaultKind.SERVER_ERROR, 2.0),
            Cooled(US1, US1, 3.0, FaultKind.RATE_LIMITED),
            Settled(US1, FaultKind.RATE_LIMITED, 0.0),
            CircuitMoved(EU1, Transition(2, Circuit.OPEN, Circuit.HALF_OPEN, "its time was over", 0.0, 0)),
            CircuitMoved(EU1, Transition(3, Circuit.HALF_OPEN, Circuit.CLOSED, "it answered", 0.0, 0)),
            Settled(EU1, None, 0.5),
        ] == scene.told
        assert all(free)

    @pytest.mark.parametrize("look", ["explain", "snapshot", "acquire", "peek", "replace_pools"])
    def test_whoever_notices_that_time_is_over_tells_it(self, look):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.told.clear()
        scene.clock.now += 10
        argument = {"snapshot": (), "replace_pools": ({"m": [EU1, US1]},)}.get(look, ("m",))
        getattr(scene.balancer, look)(*argument)

        assert [Circuit.HALF_OPEN] == [event.transition.now for event in scene.told]

    def test_closing_a_lease_tells_what_is_left_to_tell(self):
        scene = Scene([EU1, US1])
        scene.fails(EU1)
        scene.told.clear()
        lease = scene.at(US1)
        scene.balancer.breaker(US1).trip("stopped")
        lease.close()

        assert [Circuit.OPEN] == [event.transition.now for event in scene.told]

    def test_the_log_has_what_an_operator_wants_to_know(self, caplog):
        scene = Scene([EU1, US1])
        with caplog.at_level(logging.INFO):
            scene.fails(EU1)
            scene.clock.now += 10
            scene.at(EU1).answered()
            scene.fails(US1, fault=replace(BUSY, retry_after=3.0))
            scene.fails(EU1, fault=SPENT)
            scene.clock.now += 10
            scene.fails(EU1, fault=REFUSED)

        assert [
            ("WARNING", "circuit of eu/d1: closed -> open: 1 failures in a row: server_error"),
            ("INFO", "circuit of eu/d1: open -> half-open: its time was over"),
            ("INFO", "circuit of eu/d1: half-open -> closed: it answered"),
            ("INFO", "d7 rests for 3.0 s: rate_limited"),
            ("INFO", "eu/m rests for 5.0 s: rate_limited"),
            ("INFO", "eu rests for 60.0 s: refused_credentials"),
        ] == [(record.levelname, record.getMessage()) for record in caplog.records]

    def test_a_listener_that_fails_stops_nothing(self, caplog):
        def listen(event: object) -> None:
            raise RuntimeError("no")

        balancer = LoadBalancer({"m": POOL}, listener=listen)
        balancer.acquire("m").failed(DOWN)

        assert 0 == sum(balancer.in_flight().values())
        assert ["a listener could not take Settled"] == [record.getMessage() for record in caplog.records]

    def test_nobody_has_to_listen(self):
        balancer = LoadBalancer({"m": POOL})
        balancer.acquire("m").failed(DOWN)

        assert not balancer._ledger._events

    def test_an_event_that_another_thread_told_is_not_told_again(self):
        scene = Scene()

        class Contested:
            def __bool__(self) -> bool:
                return True

            def append(self, event) -> None:
                pass

            def popleft(self):
                raise IndexError

        scene.balancer._ledger._events = Contested()
        scene.fails(EU1)

        assert [] == scene.told


class LeaseModel(RuleBasedStateMachine):
    """Leases against the table in their docstring."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene([EU1], Policy(breaker=BreakerPolicy(failure_threshold=10**3, failure_rate=2)))
        self.stages: dict[object, str] = {}
        self.settled = 0

    @rule(target=leases)
    def acquire(self):
        lease = self.scene.acquire()
        self.stages[lease] = "open"
        return lease

    @rule(lease=leases)
    def answered(self, lease) -> None:
        lease.answered()
        if self.stages[lease] == "open":
            self.stages[lease] = "answered"
            self.settled += 1

    @rule(lease=leases, fault=st.sampled_from([DOWN, BAD]))
    def failed(self, lease, fault) -> None:
        lease.failed(fault)
        self.settled += self.stages[lease] != "closed"
        self.stages[lease] = "closed"

    @rule(lease=leases)
    def close(self, lease) -> None:
        lease.close()
        self.stages[lease] = "closed"

    @invariant()
    def they_agree(self) -> None:
        stages = Counter(self.stages.values())
        member = self.scene.balancer._members[EU1]

        assert (stages["open"] + stages["answered"], stages["open"]) == (member.in_flight, member.waiting)
        assert self.settled == len([event for event in self.scene.told if isinstance(event, Settled)])


class BalancerModel(RuleBasedStateMachine):
    """The balancer against a model that knows only who may be chosen."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(policy=replace(STEADY, breaker=BreakerPolicy(failure_threshold=1, fixed_timeout=True)))
        self.held = Counter()
        self.open = {}
        self.rest = {}
        self.probes = {}

    def rests(self, each: Endpoint) -> float:
        return max(self.rest.get(key, 0.0) for key in (each, each.domain, each.subaccount)) - self.scene.clock.now

    def may(self, each: Endpoint) -> str:
        if self.rests(each) > 0:
            return "cooling"
        if each not in self.open:
            return "well"
        if self.scene.clock.now < self.open[each]:
            return "open"
        return "probing" if each in self.probes else "probe"

    @rule(seconds=st.sampled_from([0.25, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.scene.clock.now += seconds

    @rule(target=leases, exclude=st.sets(st.sampled_from(POOL), max_size=2), over=st.booleans())
    def acquire(self, exclude, over):
        standing = {each: self.may(each) for each in POOL}
        left = {each: how for each, how in standing.items() if each not in exclude}
        well = {each for each, how in left.items() if how == "well" or (how == "probe" and over)}
        expected = well or {each for each, how in left.items() if how == "probe"}
        if not expected and not {"well", "probe"} & set(standing.values()):
            expected = {each for each, how in left.items() if how == "open" and each not in self.probes}
        try:
            lease = self.scene.acquire(exclude=exclude, can_fail_over=over)
        except NoEndpointError as error:
            regret = error
            lease = None
        assert bool(expected) == (lease is not None)
        if lease is None:
            if set(standing.values()) == {"cooling"}:
                assert regret.wait == regret.fault.retry_after
            return multiple()
        assert lease.endpoint in expected
        self.held[lease.endpoint] += 1
        if lease.endpoint in self.open:
            self.probes[lease.endpoint] = lease
        return lease

    def over(self, lease) -> bool:
        probe = self.probes.get(lease.endpoint) is lease
        if probe:
            del self.probes[lease.endpoint]
        self.held[lease.endpoint] -= 1
        return probe

    @rule(lease=consumes(leases))
    def leave(self, lease) -> None:
        lease.close()
        self.over(lease)

    @rule(lease=consumes(leases))
    def work(self, lease) -> None:
        lease.answered()
        lease.close()
        if self.over(lease):
            del self.open[lease.endpoint]

    @rule(lease=consumes(leases), fault=st.sampled_from([DOWN, BUSY, SPENT, REFUSED, BAD]))
    def fail(self, lease, fault) -> None:
        each, now = lease.endpoint, self.scene.clock.now
        half_open = each in self.open and now >= self.open[each]
        current = each not in self.open and self.generation(lease)
        lease.failed(fault)
        probe = self.over(lease)
        if fault is DOWN and (current or (probe and half_open)):
            self.open[each] = now + 10
            self.probes.pop(each, None)
        if fault in (BUSY, SPENT) and probe and half_open:
            self.open[each] = now + 10
        key = {BUSY: each, SPENT: each.domain, REFUSED: each.subaccount}.get(fault)
        if key is not None:
            self.rest[key] = now + self.scene.balancer._ledger.cooling.remaining(key)

    def generation(self, lease) -> bool:
        """Whether the circuit has not changed its state since the lease was granted."""
        breaker = self.scene.balancer.breaker(lease.endpoint)
        return lease._ticket.permit.generation == breaker._generation

    @invariant()
    def they_agree(self) -> None:
        states = {state.endpoint: state for state in self.scene.balancer.snapshot()}

        assert {each: self.held[each] for each in POOL} == self.scene.balancer.in_flight()
        for each in POOL:
            assert {
                "cooling": {Standing.COOLING},
                "well": {Standing.READY},
                "open": {Standing.OPEN},
                "probing": {Standing.PROBING},
                "probe": {Standing.PROBE},
            }[self.may(each)] == {states[each].standing}


class _Quiet:
    """So many circuits move that to log them would take longest."""

    def setUp(self) -> None:
        logging.getLogger("routing.lease").setLevel(logging.CRITICAL)

    def tearDown(self) -> None:
        logging.getLogger("routing.lease").setLevel(logging.NOTSET)


class TestLeaseModel(_Quiet, LeaseModel.TestCase):
    settings = settings(max_examples=at_most(40), stateful_step_count=30, deadline=None)


class TestBalancerModel(_Quiet, BalancerModel.TestCase):
    settings = settings(max_examples=at_most(60), stateful_step_count=40, deadline=None)


def test_who_made_what_a_request_brings_along_is_asked_before_the_strategy_is():
    pool = [Endpoint("eu", f"https://eu/v2/inference/deployments/d{number}", "gpt-5") for number in range(3)]
    balancer = LoadBalancer({"gpt-5": pool})
    context = SelectionContext(preferred=pool[2])

    assert {pool[2]} == {balancer.acquire("gpt-5", context=context).endpoint for _ in range(5)}
    assert pool[2] != balancer.acquire("gpt-5", exclude=[pool[2]], context=context).endpoint
    stranger = SelectionContext(preferred=Endpoint("us", "https://us/v2/inference/deployments/d9", "gpt-5"))
    assert balancer.acquire("gpt-5", context=stranger).endpoint in pool
