"""Active health checks: requests to the endpoints, and listings of the deployments of their subaccounts."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from dialects.core.faults import FaultError, FaultKind
from routing.availability import EndpointState
from routing.cooldown import Clock
from routing.endpoint import Endpoint
from routing.events import Circuit, EventQueue, OutcomeRecorded, RoutingEvent
from routing.policy import Policy

if TYPE_CHECKING:
    from routing.health import CircuitBreaker
    from routing.load_balancer import LoadBalancer

log = logging.getLogger(__name__)

_ALIVE = frozenset({501, 505})
"""HTTP statuses from 500 on that show that the server is alive, although it refuses the method of the check."""
_AT_ONCE = 4
"""The number of checks that run in parallel."""
_TICK = 1.0
"""Seconds after which the thread looks again for checks that are due."""
_AGAIN = 5.0
"""Seconds between two listings of a subaccount that has reported a missing deployment."""

_ROUNDS = 3
"""The number of empty lists in a row that are ignored, and of listings for which an answer outweighs a list."""
_NOT_RUNNING = frozenset({"PENDING", "COMPLETED", "DEAD", "STOPPING", "STOPPED", "DELETED"})
"""The statuses by which a list says that a deployment does not run. A missing or other status says nothing."""


def is_known_not_to_run(status: str) -> bool:
    """Return whether the listed *status* says that the deployment does not run."""
    return status.upper() in _NOT_RUNNING


def deployments_heard_from(states: Iterable[EndpointState], policy: Policy) -> set[str]:
    """Return the deployments that answered so recently that their absence from a list is not believed."""
    longest = _ROUNDS * policy.discovery_interval
    return {state.endpoint.deployment for state in states if state.answered <= longest}


class _ListingReview:
    """Lists the deployments of a subaccount, ejects those that do not run any more and readmits those that run again.

    An endpoint that answered recently is not ejected because a list lacks it. An empty list is believed only the fourth
    time in a row. Only one thread at a time may review a subaccount.
    """

    def __init__(self, balancer: "LoadBalancer", list_running: Callable[[str], Mapping[str, str]]) -> None:
        self._balancer = balancer
        self._list_running = list_running
        self._policy = balancer.policy
        self._empty: dict[str, int] = {}
        """The number of empty lists in a row, by subaccount."""

    def look(self, subaccount: str) -> None:
        """List the deployments of a subaccount; eject or readmit its endpoints accordingly."""
        states = [state for state in self._balancer.snapshot() if state.endpoint.subaccount == subaccount]
        try:
            found = self._list_running(subaccount)
        except Exception as error:  # noqa: BLE001 - any exception means that there is no listing
            why = error.fault.explained if isinstance(error, FaultError) else type(error).__name__
            log.warning("cannot list the deployments of %s: %s", subaccount, why)
            return
        if not self._is_mistaken(subaccount, found):
            heard_from = deployments_heard_from(states, self._policy)
            for state in states:
                with suppress(KeyError):  # it has left meanwhile
                    breaker = self._balancer.breaker(state.endpoint)
                    status = found.get(state.endpoint.deployment, "not found")
                    self._compare(breaker, status, answers=state.endpoint.deployment in heard_from)

    def _is_mistaken(self, subaccount: str, found: Mapping[str, str]) -> bool:
        """Return whether the list is empty and not believed yet. The subaccount has endpoints."""
        empty = self._empty[subaccount] = 0 if found else self._empty.get(subaccount, 0) + 1
        if 0 < empty <= _ROUNDS:
            log.warning(
                "the list of deployments of %s is empty (%d of %d): the earlier list is kept",
                subaccount,
                empty,
                _ROUNDS,
            )
        return 0 < empty <= _ROUNDS

    def _compare(self, breaker: "CircuitBreaker", status: str, *, answers: bool) -> None:
        if status.upper() == "RUNNING":
            breaker.readmit()
        elif is_known_not_to_run(status):
            breaker.eject(f"the deployment's status is {status}")
        elif not answers:
            # A limit in time, past the next listing, gives callers a time for their retry.
            breaker.eject(f"the deployment's status is {status}", seconds=2 * self._policy.discovery_interval)


class HealthChecker:
    """Checks the endpoints whose circuit is not closed, and lists the deployments of each subaccount.

    *probe* calls one endpoint and returns an HTTP status, or whether it answered. An exception and a status from 500 on
    count as failures, except for 501 and 505. *list_running* returns the status of each deployment of a subaccount.
    At most *at_once* checks run in parallel. A round ends after half of its interval, and the endpoints left over come
    first in the next round. `check_once` runs one round, and `start` runs rounds in a thread. Subscribe `listen` to the
    routing events, so that a subaccount is listed at once when one of its deployments is gone.
    """

    def __init__(
        self,
        balancer: "LoadBalancer",
        probe: Callable[[Endpoint], int],
        *,
        list_running: Callable[[str], Mapping[str, str]] | None = None,
        clock: Clock = time.monotonic,
        stop: threading.Event | None = None,
        at_once: int = _AT_ONCE,
    ) -> None:
        self._balancer = balancer
        self._probe = probe
        self._policy = balancer.policy
        self._review = None if list_running is None else _ListingReview(balancer, list_running)
        self._clock = clock
        self._at_once = at_once
        self._stop = stop or threading.Event()
        self._thread: threading.Thread | None = None
        self._round = -math.inf
        """The time at which the latest round of checks began."""
        self._checked: dict[Endpoint, float] = {}
        self._listed: dict[str, float] = {}
        self._doubtful: deque[str] = deque(maxlen=1_000)
        """The subaccounts in which a deployment was found to be gone since the latest round."""

    def check_once(self) -> None:
        """Run one round: list the subaccounts that are due, then check the endpoints whose circuit is not closed."""
        now, policy = self._clock(), self._policy
        if self._review and policy.discovery_interval:
            listings = [partial(self._review.look, name) for name in self._due_for_a_listing(now)]
            self._side_by_side(listings, policy.discovery_interval / 2)
        if policy.health_check_interval and now >= self._round + policy.health_check_interval:
            self._round = now
            checks = [partial(self._check, endpoint) for endpoint in self._due_for_a_check()]
            self._side_by_side(checks, policy.health_check_interval / 2)

    def start(self) -> None:
        """Start a thread that runs rounds until `stop`. Does nothing if all intervals are 0."""
        periods = [self._policy.health_check_interval]
        if self._review:
            periods.append(self._policy.discovery_interval)
        period = min((each for each in periods if each), default=0.0)
        if period and self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(
                target=self._run, args=(min(period, _TICK),), name="health-checker", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread, if there is one, and wait for its end. `start` can start it again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def listen(self, event: RoutingEvent) -> None:
        """Schedule a listing of the subaccount if *event* says that a deployment is gone."""
        if isinstance(event, OutcomeRecorded) and event.fault is FaultKind.GONE:
            self._doubtful.append(event.endpoint.subaccount)

    def _run(self, period: float) -> None:
        while not self._stop.wait(period):
            try:
                self.check_once()
            except Exception:
                log.exception("a health check failed; the next one follows")

    def _side_by_side(self, work: Iterable[Callable[[], None]], seconds: float) -> None:
        """Run *work* in parallel; drop the parts that have not begun after so many *seconds*."""
        waiting, until = EventQueue(work), self._clock() + seconds

        def take() -> None:
            for part in waiting.drain():
                if self._stop.is_set() or self._clock() >= until:
                    return
                part()

        if waiting:
            workers = min(self._at_once, len(waiting))
            with ThreadPoolExecutor(workers, "health-check") as threads:
                for task in [threads.submit(take) for _ in range(workers)]:
                    task.result()

    def _due_for_a_check(self) -> list[Endpoint]:
        """List the endpoints whose circuit is not closed, the least recently checked first."""
        states = self._balancer.snapshot()
        due = [state.endpoint for state in states if state.circuit is not Circuit.CLOSED]
        self._checked = {endpoint: self._checked.get(endpoint, -math.inf) for endpoint in due}
        return sorted(due, key=self._checked.__getitem__)

    def _check(self, endpoint: Endpoint) -> None:
        """Check one endpoint, unless it is ejected."""
        self._checked[endpoint] = self._clock()
        with suppress(KeyError):  # it has left meanwhile
            breaker = self._balancer.breaker(endpoint)
            if not breaker.snapshot().ejected:
                breaker.checked(self._trouble(endpoint))

    def _trouble(self, endpoint: Endpoint) -> str:
        """Return why *endpoint* cannot be reached; empty if it can be."""
        try:
            answer = self._probe(endpoint)
        except Exception as error:  # noqa: BLE001 - any exception of a probe means that there was no answer
            return error.fault.kind.value if isinstance(error, FaultError) else type(error).__name__
        if isinstance(answer, bool):
            return "" if answer else "no answer"
        return "" if answer < 500 or answer in _ALIVE else f"status {answer}"

    def _due_for_a_listing(self, now: float) -> list[str]:
        """Return the subaccounts whose deployments are due for a listing."""
        subaccounts = dict.fromkeys(state.endpoint.subaccount for state in self._balancer.snapshot())
        doubtful = {self._doubtful.popleft() for _ in range(len(self._doubtful))}
        interval = self._policy.discovery_interval
        due = []
        for name in subaccounts:
            age = now - self._listed.get(name, -math.inf)
            if age >= (min(interval, _AGAIN) if name in doubtful else interval):
                self._listed[name] = now
                due.append(name)
            elif name in doubtful:
                self._doubtful.append(name)
        return due
