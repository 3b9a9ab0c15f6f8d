"""The attempts at one request: which endpoint each one uses, how many are made, and the pauses between them."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

from dialects.core.faults import Fault, FaultKind, Quota
from routing.availability import Availability, EndpointState, NoEndpointError, nearest
from routing.classification import CLASSIFICATIONS, Effect, Scope, scope_of
from routing.endpoint import Endpoint, QuotaDomain
from routing.lease import Lease
from routing.load_balancer import LoadBalancer
from routing.model_names import Resolution
from routing.policy import Policy
from routing.protocols import ProtocolHandler
from routing.retry_budget import RetryBudget
from routing.strategy import SelectionContext

_log = logging.getLogger(__name__)

_MAY_BE_ASKED = frozenset({Availability.AVAILABLE, Availability.PROBE, Availability.OPEN})
"""Availabilities in which an endpoint may get a request. If all circuits are open, the balancer lets one through."""
_TIERED = "priority"
"""The strategy whose attempts fail over by tier and not by subaccount."""
_FAILURES_OF_A_TIER = 2
"""After this many failures in one tier, the next attempt prefers another tier."""


class _Refusal(NamedTuple):
    """A refusal by an endpoint of a request that another endpoint may accept."""

    lease: Lease
    fault: Fault


class Attempt:
    """One call to one endpoint, with a lease on it.

    `Attempts` close the lease when they end, unless the caller has taken it over with `take_over`.
    """

    def __init__(self, number: int, lease: Lease, protocol: ProtocolHandler, refusals: Sequence[_Refusal] = ()) -> None:
        self.number = number
        self.lease = lease
        self.endpoint = lease.endpoint
        """The endpoint to send the request to."""
        self.protocol = protocol
        self.fault: Fault | None = None
        self._settled = False
        """Whether the outcome is known."""
        self.taken_over = False
        """Whether the caller closes the lease."""
        self._refusals = refusals
        """Refusals of the same request by earlier endpoints. An answer shows that they were wrong."""

    def answered(self, *, whole: bool = False) -> None:
        """Report that the model has begun to stream an answer, or has sent a *whole* one."""
        refusals, self._refusals = self._refusals, ()
        self._settled = True
        self.lease.answered(whole=whole)
        for lease, fault in refusals:
            lease.overruled(fault)

    def failed(self, fault: Fault) -> None:
        """Report that the attempt failed with *fault*. The next attempt, if any, uses another endpoint if possible."""
        self._settled = True
        self.fault = fault
        if fault.cause is not None:
            where = f"{self.endpoint.subaccount}/{self.endpoint.deployment}"
            _log.info("attempt %d at %s failed: %s", self.number, where, fault.cause)
        self.lease.failed(fault)

    def take_over(self) -> Lease:
        """Return the lease, which the caller closes from now on. This is for an answer that outlives `Attempts`."""
        self.taken_over = True
        return self.lease

    def __str__(self) -> str:
        """Return the subaccount, the deployment and the outcome so far, such as `eu/d1 503`."""
        if self.fault is None:
            outcome = "ok" if self._settled else "open"
        else:
            refused = self.fault.status is not None and self.fault.status >= 400
            outcome = str(self.fault.status) if refused else self.fault.kind.value
        return f"{self.endpoint.subaccount}/{self.endpoint.deployment} {outcome}"


class Lifetime(Protocol):
    """The time limit of a request."""

    def left(self) -> float:
        """Return the seconds that remain."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause between two attempts. An exception ends the request, or suspends it until the pause is over."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """The objects that the attempts at all requests share."""

    balancer: LoadBalancer
    budget: RetryBudget
    clock: Callable[[], float]
    rng: Callable[[], float]
    sleep: Callable[[float], object]

    @property
    def policy(self) -> Policy:
        """The policy of the balancer."""
        return self.balancer.policy


class Countdown:
    """The time limit of a request for *model* by its policy, starting now."""

    def __init__(self, environment: Environment, model: str) -> None:
        self._environment = environment
        self._model = model
        self._began = environment.clock()

    def left(self) -> float:
        """Return the seconds that remain."""
        total = self._environment.policy.timeouts_for(self._model).total
        return self._began + total - self._environment.clock()

    def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds."""
        self._environment.sleep(seconds)


@dataclass(slots=True, eq=False)
class Plan:
    """The rules for the attempts at one request."""

    protocol: Callable[[Endpoint], ProtocolHandler]
    """Returns the protocol for an endpoint; raises `FaultError` if none can be used."""
    context: SelectionContext
    most: int
    """The maximum number of attempts."""
    only: tuple[Endpoint, ...]
    """The only endpoints that may be used; empty if all may be."""
    lifetime: Lifetime
    sticky: bool = True
    """Why *only* is set: True if the request continues their answer, False if others cannot express it."""


class Attempts:
    """An iterator over the attempts at one request, until one succeeds or no further one makes sense.

    | the last attempt                         | the next attempt                                                   |
    |------------------------------------------|--------------------------------------------------------------------|
    | failed                                   | goes to another subaccount, or else to another endpoint            |
    | failed twice in a tier, under `priority` | goes to another tier                                               |
    | met a used-up quota                      | goes to an endpoint that has another quota                         |
    | was refused                              | goes to one other endpoint, without a pause                        |
    | could not be expressed                   | goes to the other kind: orchestration, or deployments of one model |
    | timed out in silence                     | is the last one, as the model may still work on the first          |
    | failed, as all others                    | goes to any endpoint again, after a pause                          |
    | did not fail                             | is not made                                                        |

    If the first attempt cannot be made, it raises `NoEndpointError`. If a later one cannot be made, the iteration ends,
    and `fault` holds the fault of the last one. The end of a ``with`` block closes every lease that was not taken over.
    """

    def __init__(self, environment: Environment, resolution: Resolution, plan: Plan) -> None:
        self.resolution = resolution
        self.unaffordable = False
        """Whether the retry budget refused the last retry."""
        self.paused = 0.0
        """The seconds of all pauses between attempts."""
        self._environment = environment
        self._plan = plan
        self._most = plan.most
        self._made: list[Attempt] = []
        self._over = False
        self._tried: list[Endpoint] = []
        """The endpoints that were tried since the last pause."""
        self._used_up: list[QuotaDomain] = []
        self._refusals: list[_Refusal] = []
        """The refusals so far. One may be wrong; a second one ends the attempts."""
        self._pauses = 0
        self._paused_since: float | None = None
        self._held = 0.0
        """The seconds for which the request waited for an endpoint to become available."""
        environment.budget.deposit(resolution.model)

    @property
    def trail(self) -> str:
        """The outcomes of the attempts so far, in order: `eu/d1 503 → us/d7 ok`."""
        return " → ".join(map(str, self._made))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for which the endpoints of the attempts so far were selected, in order."""
        return tuple(attempt.lease.reason for attempt in self._made)

    @property
    def fault(self) -> Fault | None:
        """The fault of the last attempt that reached an endpoint; of the last attempt if none did."""
        asked = (attempt.fault for attempt in reversed(self._made) if not (attempt.fault and attempt.fault.unasked))
        return next(asked, self._made[-1].fault if self._made else None)

    @property
    def final_fault(self) -> Fault | None:
        """The fault to send to the caller when the last attempt failed and no further one is made.

        If the fault started a cooldown, `retry_after` is replaced by the seconds until any endpoint is available.
        """
        fault = self.fault
        if fault is None or scope_of(fault) is Scope.NONE:
            return fault
        try:
            return replace(fault, retry_after=nearest(self._rows()))
        except NoEndpointError:
            return fault

    def again(self, lifetime: Lifetime) -> "Attempts":
        """Return new `Attempts` for another part of the same request, within *lifetime*."""
        return Attempts(self._environment, self.resolution, replace(self._plan, lifetime=lifetime))

    def close(self) -> None:
        """Make no more attempts, and close every lease that was not taken over."""
        self._over = True
        for attempt in self._made:
            if not attempt.taken_over:
                attempt.lease.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        if self._over or (self._made and self._paused_since is None and not self._learn_from_last()):
            self._over = True
            raise StopIteration
        try:
            lease = self._lease()
        except NoEndpointError:
            self._over = True
            if self.fault and not self.fault.unasked:
                raise StopIteration from None
            raise
        if self._made and not self._environment.budget.spend(self.resolution.model):  # others have spent it
            lease.close()
            self._over = self.unaffordable = True
            raise StopIteration
        try:
            protocol = self._plan.protocol(lease.endpoint)
        except BaseException:  # a protocol of an extension may raise anything
            lease.close()
            raise
        attempt = Attempt(len(self._made) + 1, lease, protocol, tuple(self._refusals))
        self._made.append(attempt)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("attempt %d: %s", attempt.number, described(attempt.endpoint, protocol))
        return attempt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _learn_from_last(self) -> bool:
        """Record the fault of the last attempt; return whether to make another one."""
        last = self._made[-1]
        if last.fault is not None and last.fault.unasked:
            return self._pass_over(last.endpoint)
        if last.fault is None or not CLASSIFICATIONS[last.fault.kind].try_elsewhere:
            return False
        if last.fault.unanswered:
            self._most = min(self._most, last.number + 1)
        if last.number >= self._most or self._plan.lifetime.left() <= 0:
            return False
        if CLASSIFICATIONS[last.fault.kind].effect is Effect.REFUSAL:
            self._refusals.append(_Refusal(last.lease, last.fault))
            if len(self._refusals) > 1:
                return False
        self._tried.append(last.endpoint)
        if last.fault.kind is FaultKind.RATE_LIMITED and last.fault.quota is Quota.MODEL:
            self._used_up.append(last.endpoint.domain)
        self.unaffordable = not self._environment.budget.allows(self.resolution.model)
        return not self.unaffordable

    def _pass_over(self, unfit: Endpoint) -> bool:
        """Restrict the request to the endpoints that can express it; return whether there are any."""
        others = (row.endpoint for row in self._rows() if row.endpoint.orchestration is not unfit.orchestration)
        self._plan = replace(self._plan, only=tuple(each for each in others if each.weight), sticky=False)
        self._most += 1
        return bool(self._plan.only)

    def _lease(self) -> Lease:
        """Lease an endpoint that was not tried yet. If there is none, pause and allow all of them again."""
        while True:
            if (since := self._paused_since) is not None:
                self.paused, self._paused_since = self.paused + self._environment.clock() - since, None
            try:
                return self._acquire()
            except NoEndpointError as error:
                if self._asks_for_a_second_opinion():
                    raise
                delay = self._pause(error)
                if delay is None or delay >= self._plan.lifetime.left():
                    raise
            self._paused_since = self._environment.clock()
            self._plan.lifetime.sleep(delay)

    def _asks_for_a_second_opinion(self) -> bool:
        """Return whether the last attempt was refused, so that the next one asks another endpoint without a pause."""
        return bool(self._refusals) and self._refusals[-1].lease is self._made[-1].lease

    def _acquire(self) -> Lease:
        """Lease an endpoint that was not tried yet, if possible outside the subaccounts or tiers that failed."""
        tried = [*self._tried, *(each.lease.endpoint for each in self._refusals)]
        if self._tried and (near := self._near()):
            with suppress(NoEndpointError):
                return self._acquire_besides([*tried, *near])
        return self._acquire_besides(tried)

    def _near(self) -> list[Endpoint]:
        """List the endpoints that probably share the failure of those that were tried since the last pause."""
        endpoints = self._environment.balancer.endpoints(self.resolution.model)
        subaccounts = {each.subaccount for each in self._tried}
        siblings = [each for each in endpoints if each.subaccount in subaccounts]
        if self._asks_for_a_second_opinion():
            return siblings
        tiered = self._rows()[0].strategy == _TIERED
        tiers = Counter(each.tier for each in self._tried)
        failed = [each for each in endpoints if tiers[each.tier] >= _FAILURES_OF_A_TIER]
        if tiered and 0 < len(failed) < len(endpoints):
            return failed
        ranks = {each: (each.standby, each.tier if tiered else 0) for each in endpoints}
        elsewhere = {rank for each, rank in ranks.items() if each.subaccount not in subaccounts}
        return [each for each in siblings if ranks[each] in elsewhere]

    def _acquire_besides(self, exclude: Sequence[Endpoint]) -> Lease:
        return self._environment.balancer.acquire(
            self.resolution.model,
            exclude=exclude,
            exclude_domains=self._used_up,
            context=self._plan.context,
            # If there is one attempt only, requests must still serve as probes, or no circuit would close again.
            can_fail_over=self._plan.most == 1 or len(self._made) + 1 < self._most,
            only=self._plan.only,
            sticky=self._plan.sticky,
        )

    def _pause(self, error: NoEndpointError) -> float | None:
        """Return the seconds to pause before the next attempt; None if no pause helps."""
        if not self._tried:
            return self._until_one_may_be_asked(error.wait, circuits_only=error.fault.kind is FaultKind.UNAVAILABLE)
        self._tried, self._used_up = [], []
        retry, hint = self._environment.policy.retry, self.fault.retry_after if self.fault else None
        shortest = self._shortest_cooldown()
        if hint is None:
            return self._until_one_may_be_asked(shortest) if shortest > 0 else self._backoff()
        # Jitter makes a cooldown longer than its hint.
        longest = retry.hint_cap * (1 + self._environment.policy.cooldown.jitter)
        return max(hint, shortest) if hint <= retry.hint_cap and shortest <= longest else None

    def _until_one_may_be_asked(self, wait: float | None, *, circuits_only: bool = False) -> float | None:
        """Return the seconds until an endpoint is available, with jitter; None if that exceeds `wait_at_most` in all.

        A request may wait several times if *circuits_only* are the obstacle, and once for a cooldown. The requests that
        wait for a cooldown are spread over the rest of `wait_at_most`, because the quota has no room for all at once.
        """
        cooldown = self._environment.policy.cooldown
        if wait is None or self._held + wait > cooldown.wait_at_most or (self._held and not circuits_only):
            return None
        self._held += wait
        spread = cooldown.jitter * wait if circuits_only else cooldown.wait_at_most - wait
        return wait + spread * self._environment.rng()

    def _backoff(self) -> float:
        """Return a random pause in seconds; its upper limit doubles with each pause."""
        retry = self._environment.policy.retry
        longest = min(retry.backoff_cap, retry.backoff_base * 2.0**self._pauses)
        self._pauses += 1
        return longest * self._environment.rng()

    def _shortest_cooldown(self) -> float:
        """Return the seconds until the first cooldown ends; 0 if an endpoint may be asked, if only in panic."""
        rows = self._rows()
        if any(row.availability in _MAY_BE_ASKED for row in rows):
            return 0.0
        return min((row.seconds for row in rows if row.availability is Availability.COOLDOWN), default=math.inf)

    def _rows(self) -> tuple[EndpointState, ...]:
        """Return the states of the endpoints that the request may use."""
        return self._environment.balancer.snapshot(self.resolution.model, only=self._plan.only)


def described(endpoint: Endpoint, protocol: ProtocolHandler) -> str:
    """Return a routing decision in a few words, for the log."""
    return f"{endpoint.model} by {protocol.name}, at {endpoint.subaccount}/{endpoint.deployment}"
