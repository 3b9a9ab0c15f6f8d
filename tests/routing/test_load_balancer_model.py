"""The balancer, whatever requests, faults and waits follow one another."""

import logging
from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from routing.availability import Availability, NoEndpointError
from routing.endpoint import Endpoint
from routing.policy import BreakerPolicy
from tests.routing.scenes import BAD, BUSY, DOWN, POOL, REFUSED, SPENT, STEADY, BalancerScene, at_most, in_flight


class BalancerModel(RuleBasedStateMachine):
    """The balancer against a model that knows only who may be chosen."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.scene = BalancerScene(
            policy=replace(STEADY, breaker=BreakerPolicy(failure_threshold=1, fixed_timeout=True))
        )
        self.held = Counter()
        self.open = {}
        self.rest = {}
        self.probes = {}

    def rests(self, each: Endpoint) -> float:
        return max(self.rest.get(key, 0.0) for key in (each, each.domain, each.subaccount)) - self.scene.clock.now

    def may(self, each: Endpoint) -> str:
        if self.rests(each) > 0:
            return "in cooldown"
        if each not in self.open:
            return "available"
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
        well = {each for each, how in left.items() if how == "available" or (how == "probe" and over)}
        expected = well or {each for each, how in left.items() if how == "probe"}
        if not expected and not {"available", "probe"} & set(standing.values()):
            expected = {each for each, how in left.items() if how == "open" and each not in self.probes}
        try:
            lease = self.scene.acquire(exclude=exclude, can_fail_over=over)
        except NoEndpointError as error:
            regret = error
            lease = None
        assert bool(expected) == (lease is not None)
        if lease is None:
            if set(standing.values()) == {"in cooldown"}:
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
            self.rest[key] = now + self.scene.balancer._cooldowns.remaining(key)

    def generation(self, lease) -> bool:
        """Whether the circuit has not changed its state since the lease was granted."""
        breaker = self.scene.balancer.breaker(lease.endpoint)
        return lease._grant.permit.generation == breaker._generation

    @invariant()
    def they_agree(self) -> None:
        states = {state.endpoint: state for state in self.scene.balancer.snapshot()}

        assert {each: self.held[each] for each in POOL} == in_flight(self.scene.balancer)
        for each in POOL:
            assert {states[each].availability} == (
                {
                    "in cooldown": {Availability.COOLDOWN},
                    "available": {Availability.AVAILABLE},
                    "open": {Availability.OPEN},
                    "probing": {Availability.PROBING},
                    "probe": {Availability.PROBE},
                }[self.may(each)]
            )


class TestBalancerModel(BalancerModel.TestCase):
    """So many circuits move that to log them would take longest."""

    settings = settings(max_examples=at_most(60), stateful_step_count=40)

    def setUp(self) -> None:
        logging.getLogger("routing.events").setLevel(logging.CRITICAL)

    def tearDown(self) -> None:
        logging.getLogger("routing.events").setLevel(logging.NOTSET)
