"""A clock that is set, chance that is known, endpoints to choose among, and what the tests watch of them."""

import os
import random
import threading
from collections.abc import Callable, Sequence

import pytest

from dialects.core.faults import Fault, FaultKind, Quota
from routing.attempts import Attempt, Attempts
from routing.availability import Availability, EndpointState, NoEndpointError
from routing.endpoint import Candidate, Endpoint
from routing.events import Circuit, EventPublisher, EventQueue, Transition
from routing.health import CircuitBreaker
from routing.lease import Lease
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, CooldownPolicy, Policy
from routing.request_router import RequestRouter
from routing.strategy import LoadBalancingStrategy, SelectionContext

FEW = int(os.environ.get("EXAMPLES", "0"))
"""How many examples of each property to try at most; 0 is as many as its test says."""


def at_most(examples: int) -> int:
    """So many examples, or as few as are asked for."""
    return min(examples, FEW or examples)


class Clock:
    """A clock that moves when it is set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class SleepingClock(Clock):
    """A clock that somebody's sleep moves as well, and that knows how long each was."""

    def __init__(self, now: float = 0.0) -> None:
        super().__init__(now)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def endpoint(subaccount: str = "eu", deployment: str = "d1", model: str = "m", **settings) -> Endpoint:
    return Endpoint(subaccount, f"https://ai.{subaccount}/v2/inference/deployments/{deployment}", model, **settings)


def pool_at(*places: str, model: str = "gpt-5") -> dict[str, list[Endpoint]]:
    """One model, deployed at places such as `eu/d1`."""
    return {model: [endpoint(*place.split("/"), model) for place in places]}


def rows(*endpoints: Endpoint) -> list[Candidate]:
    """What a strategy sees of endpoints that nobody uses."""
    return [Candidate(each, 0, each.weight) for each in endpoints]


def choose(
    strategy: LoadBalancingStrategy, candidates: Sequence[Candidate], times: int, key: str = ""
) -> list[Endpoint]:
    """Let a strategy choose so often, on behalf of one conversation."""
    return [strategy.select_endpoint(candidates, SelectionContext(key)) for _ in range(times)]


EU1, EU2, US1 = endpoint("eu", "d1"), endpoint("eu", "d2"), endpoint("us", "d7")

DOWN = Fault(FaultKind.SERVER_ERROR, "down", 500)
BUSY = Fault(FaultKind.RATE_LIMITED, "busy", 429, quota=Quota.ENDPOINT)
OVERLOADED = Fault(FaultKind.OVERLOADED, "overloaded", 503)
SPENT = Fault(FaultKind.RATE_LIMITED, "spent", 429, quota=Quota.MODEL)
BAD = Fault(FaultKind.INVALID_REQUEST, "bad", 400)
GONE = Fault(FaultKind.GONE, "gone", 404)
REFUSED = Fault(FaultKind.REFUSED_CREDENTIALS, "refused", 401)
FORBIDDEN = Fault(FaultKind.REQUEST_FORBIDDEN, "no access to gs://x", 403)
MISSING = Fault(FaultKind.RESOURCE_NOT_FOUND, "no prompt pmpt_1", 404)

CLOSED, OPEN, HALF_OPEN = Circuit.CLOSED, Circuit.OPEN, Circuit.HALF_OPEN


class CircuitScene:
    """A breaker whose clock and chance are set, and what it said."""

    def __init__(self, **policy) -> None:
        self.clock = Clock()
        self.chance = 0.5
        self.said: list[Transition] = []
        self.breaker = CircuitBreaker(
            BreakerPolicy(**policy), clock=self.clock, rng=lambda: self.chance, on_transition=self.said.append
        )

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.breaker.enter(), "boom")

    def succeed(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.succeeded(self.breaker.enter())

    def opened_for(self) -> float:
        """The seconds that it stays open from now on."""
        return self.breaker.snapshot().until - self.clock.now


STEADY = Policy(breaker=BreakerPolicy(failure_threshold=1, timeout_jitter=0), cooldown=CooldownPolicy(jitter=0))
"""One failure opens a circuit, and nothing is left to chance."""

NO_REST = CooldownPolicy(floor=0, jitter=0)
"""A cooling lasts exactly as long as its hint."""

POOL = [EU1, EU2, US1]


class BalancerScene:
    """A balancer whose clock is set, and everything it told."""

    def __init__(self, pool: Sequence[Endpoint] = POOL, policy: Policy = STEADY, **more) -> None:
        self.clock = Clock(100.0)
        self.told: list[object] = []
        self.events = EventPublisher([self.told.append])
        self.balancer = LoadBalancer(
            {"m": pool},
            policy=policy,
            clock=self.clock,
            rng=random.Random(1),
            events=self.events,
            **more,
        )

    def acquire(self, **wish) -> Lease:
        return self.balancer.acquire("m", **wish)

    def at(self, wanted: Endpoint) -> Lease:
        """Lease this endpoint, and no other."""
        return self.acquire(exclude=[each for each in self.balancer.endpoints("m") if each != wanted])

    def fails(self, *endpoints: Endpoint, fault: Fault = DOWN) -> None:
        for each in endpoints:
            self.at(each).failed(fault)

    def refusal(self, **wish) -> NoEndpointError:
        """What a request is told that gets no endpoint."""
        with pytest.raises(NoEndpointError) as error:
            self.acquire(**wish)
        return error.value

    def availability(self) -> list[Availability]:
        return [state.availability for state in self.balancer.snapshot("m")]

    def state(self, wanted: Endpoint) -> EndpointState:
        return next(state for state in self.balancer.snapshot() if state.endpoint == wanted)


def place(attempt: Attempt) -> str:
    """Where an attempt goes, such as `eu/d1`."""
    return f"{attempt.endpoint.subaccount}/{attempt.endpoint.deployment}"


def all_fail(attempts: Attempts, *faults: Fault) -> list[str]:
    """Let every attempt fail, the last fault again and again, and name where they went."""
    script = iter(faults)
    fault, went = faults[0], []
    for attempt in attempts:
        fault = next(script, fault)
        attempt.failed(fault)
        went.append(place(attempt))
    return went


def in_flight(balancer: LoadBalancer) -> dict[Endpoint, int]:
    """How many requests each endpoint has."""
    return {state.endpoint: state.in_flight for state in balancer.snapshot()}


def nothing_in_flight(router: RequestRouter) -> bool:
    return not any(in_flight(router.balancer).values())


class Contested(EventQueue[object]):
    """A queue that has something, until one wants to take it: another thread was quicker."""

    def __len__(self) -> int:
        return 1

    def append(self, told: object) -> None:
        pass

    def popleft(self) -> object:
        raise IndexError


def together(tasks: Sequence[Callable[[], object]]) -> None:
    """Run all at once, and wait for all."""
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], object]) -> None:
        gate.wait(10)
        task()

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
