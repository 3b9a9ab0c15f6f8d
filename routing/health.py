"""Whether an endpoint may be used: what its answers say, and what asking it says."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from routing.breaker import CircuitBreaker, Permit
from routing.cooling import Clock
from routing.endpoint import Endpoint
from routing.journal import BreakerSnapshot, Circuit, EndpointState, Transition
from routing.policy import Policy
from routing.verdicts import VERDICTS, Effect, Outcome, Scope, Verdict, scope_of

__all__ = [
    "VERDICTS",
    "BreakerSnapshot",
    "Circuit",
    "CircuitBreaker",
    "Effect",
    "HealthChecker",
    "Outcome",
    "Permit",
    "Scope",
    "Transition",
    "Verdict",
    "scope_of",
]

log = logging.getLogger(__name__)

_ROUNDS = 3
"""For how many listings an empty one in a row is taken for a mistake, and an answer outweighs what a list says."""
_NOT_RUNNING = frozenset({"PENDING", "COMPLETED", "DEAD", "STOPPING", "STOPPED", "DELETED"})
"""What a list must say of a deployment for it to be known not to run; silence and anything else says nothing."""


def is_known_not_to_run(status: str) -> bool:
    """Whether a deployment's *status*, as listed, is a statement and no gap in the list."""
    return status.upper() in _NOT_RUNNING


def answered_lately(state: EndpointState, policy: Policy) -> bool:
    """Whether an endpoint answered so lately that no gap in a list is believed."""
    return state.answered <= _ROUNDS * policy.discovery_interval


class _Balancer(Protocol):
    """What a checker needs of a balancer."""

    def snapshot(self) -> Sequence[EndpointState]: ...

    def breaker(self, endpoint: Endpoint) -> CircuitBreaker: ...


class HealthChecker:
    """Asks the endpoints that are not well whether they are back, and each subaccount what it runs.

    *probe* asks one endpoint: an HTTP status, or whether it answered; below 500 is
    reachable, and whatever it raises is not. *list_running* gives a subaccount's
    deployments and their status. `check_once` does one round; `start` a thread of them.
    """

    def __init__(
        self,
        balancer: _Balancer,
        probe: Callable[[Endpoint], int],
        *,
        list_running: Callable[[str], Mapping[str, str]] | None = None,
        policy: Policy | None = None,
        clock: Clock = time.monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        self._balancer = balancer
        self._probe = probe
        self._list_running = list_running
        self._policy = policy or Policy()
        self._clock = clock
        self._stop = stop or threading.Event()
        self._thread: threading.Thread | None = None
        self._listed = -math.inf
        self._probed = -math.inf
        self._empty: dict[str, int] = {}
        """How many listings of a subaccount were empty, one after another."""

    def check_once(self) -> None:
        """Do what is due: list what runs, then ask those that are not well."""
        now, policy = self._clock(), self._policy
        if self._list_running and policy.discovery_interval and now >= self._listed + policy.discovery_interval:
            self._listed = now
            self._discover(self._list_running)
        if policy.health_check_interval and now >= self._probed + policy.health_check_interval:
            self._probed = now
            self._ask()

    def start(self) -> None:
        """Check from now on, in a thread, until `stop`; nothing happens if no interval is set."""
        periods = [self._policy.health_check_interval]
        if self._list_running:
            periods.append(self._policy.discovery_interval)
        period = min((each for each in periods if each), default=0.0)
        if period and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(period,), name="health-checker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, if there is one; returns when it is over."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, period: float) -> None:
        while not self._stop.wait(period):
            try:
                self.check_once()
            except Exception:
                log.exception("a health check failed; the next one is in %g s", period)

    def _ask(self) -> None:
        for state in self._balancer.snapshot():
            if self._stop.is_set():
                return
            breaker = self._breaker(state.endpoint)
            if breaker is not None:
                self._look_after(state.endpoint, breaker)

    def _look_after(self, endpoint: Endpoint, breaker: CircuitBreaker) -> None:
        """Ask one endpoint, if it is not well."""
        view = breaker.snapshot()
        if view.state is not Circuit.CLOSED and not view.gone:
            trouble = self._trouble(endpoint)
            if trouble:
                breaker.unreachable(trouble)
            else:
                breaker.reachable()

    def _breaker(self, endpoint: Endpoint) -> CircuitBreaker | None:
        """The breaker that guards *endpoint*; None if it has left while others were asked."""
        try:
            return self._balancer.breaker(endpoint)
        except KeyError:
            return None

    def _trouble(self, endpoint: Endpoint) -> str:
        """Why *endpoint* cannot be reached; empty if it can."""
        try:
            answer = self._probe(endpoint)
        except Exception as error:  # noqa: BLE001 - whatever a probe raises, it got no answer
            return type(error).__name__
        if isinstance(answer, bool):
            return "" if answer else "no answer"
        return "" if answer < 500 else f"status {answer}"

    def _discover(self, list_running: Callable[[str], Mapping[str, str]]) -> None:
        """Trip what does not run any more, restore what runs again."""
        states = self._balancer.snapshot()
        for subaccount in dict.fromkeys(state.endpoint.subaccount for state in states):
            if self._stop.is_set():
                return
            try:
                found = list_running(subaccount)
            except Exception as error:  # noqa: BLE001 - whatever a listing raises, it says nothing about deployments
                log.warning("cannot list the deployments of %s: %s", subaccount, type(error).__name__)
                continue
            if self._is_mistaken(subaccount, found):
                continue
            for state in states:
                if state.endpoint.subaccount == subaccount:
                    self._compare(state, found.get(state.endpoint.deployment, "not found"))

    def _is_mistaken(self, subaccount: str, found: Mapping[str, str]) -> bool:
        """Whether an empty list is not believed yet; it is only asked of subaccounts that have endpoints."""
        empty = self._empty[subaccount] = 0 if found else self._empty.get(subaccount, 0) + 1
        if 0 < empty <= _ROUNDS:
            log.warning("the list of deployments of %s is empty (%d of %d): not believed", subaccount, empty, _ROUNDS)
        return 0 < empty <= _ROUNDS

    def _compare(self, state: EndpointState, status: str) -> None:
        breaker = self._breaker(state.endpoint)
        if breaker is None:
            return
        if status.upper() == "RUNNING":
            breaker.restore()
        elif is_known_not_to_run(status):
            breaker.trip(f"the deployment's status is {status}")
        elif not answered_lately(state, self._policy):
            # Until after the next listing, so that callers can be told when to come back.
            seconds = 2 * self._policy.discovery_interval
            breaker.trip(f"the deployment's status is {status}", seconds=seconds)
