"""The real router and balancer as a contender. Only this module of the simulation imports `routing`."""

import random
from collections.abc import Callable, Sequence

from dialects.core.faults import Fault
from routing import (
    STRATEGIES,
    Attempt,
    Attempts,
    Circuit,
    Endpoint,
    HealthChecker,
    LoadBalancer,
    NoEndpointError,
    Policy,
    RequestRouter,
    SelectionContext,
    Timeouts,
)
from simulation.clock import VirtualClock
from simulation.contender import NOBODY, Call, Calls, Contender, Deadline, Entry
from simulation.upstream import Place

_MODEL = "gpt-5.5"
_DEPLOYMENTS = "/v2/inference/deployments/"

TIMEOUTS = Timeouts()
"""The proxy's default time limits."""


class _Call:
    """An attempt of the router."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @property
    def place(self) -> str:
        return self._attempt.endpoint.deployment

    def answered(self) -> None:
        self._attempt.answered()

    def failed(self, fault: Fault) -> None:
        self._attempt.failed(fault)

    def completed(self) -> None:
        self._attempt.lease.close()


class _Calls:
    """The router's attempts for one request, driven as in the gateway's exchange."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def next(self) -> Call | Fault:
        try:
            attempt = next(self._attempts, None)
        except NoEndpointError as error:
            return error.fault
        return _Call(attempt) if attempt else self._attempts.final_fault or NOBODY

    def close(self) -> None:
        self._attempts.close()


class Router:
    """The project's own router with one of its strategies and default settings."""

    def __init__(self, strategy: str, pool: Sequence[Place], clock: VirtualClock, rng: random.Random) -> None:
        endpoints = [_endpoint(place) for place in pool]
        self._balancer = LoadBalancer({_MODEL: endpoints}, policy=Policy(strategy=strategy), clock=clock, rng=rng)
        self._router = RequestRouter(self._balancer, clock=clock, rng=rng.random, sleep=clock.sleep)
        self._is_alive: Callable[[str], bool] = lambda _: True
        # One check at a time keeps the order the same in each run.
        self._checker = HealthChecker(self._balancer, self._probe, clock=clock, at_once=1)

    def begin(self, key: str, deadline: Deadline) -> Calls:
        """Begin a request of the conversation named *key*."""
        return _Calls(self._router.attempts(_MODEL, context=SelectionContext(key), lifetime=deadline))

    def check(self, is_alive: Callable[[str], bool]) -> None:
        """Do the active checks that are due."""
        self._is_alive = is_alive
        self._checker.check_once()

    def has_ejected(self, place: str) -> bool:
        """Return whether the endpoint's circuit is not closed, or the endpoint is unavailable for another reason."""
        [state] = [each for each in self._balancer.snapshot() if each.endpoint.deployment == place]
        return state.circuit is not Circuit.CLOSED or state.seconds > 0

    def _probe(self, endpoint: Endpoint) -> bool:
        return self._is_alive(endpoint.deployment)


def _endpoint(place: Place) -> Endpoint:
    url = f"https://{place.subaccount}.example{_DEPLOYMENTS}{place.name}"
    return Endpoint(place.subaccount, url, _MODEL, tier=place.tier)


def _entry(strategy: str) -> Entry:
    def entry(pool: Sequence[Place], clock: VirtualClock, rng: random.Random) -> Contender:
        return Router(strategy, pool, clock, rng)

    return entry


ROUTERS: dict[str, Entry] = {strategy: _entry(strategy) for strategy in STRATEGIES}
"""The router with each of its strategies."""
