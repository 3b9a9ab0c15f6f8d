"""The attempts at one request: where each goes, how many there are, and what is left of them."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
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
"""Open ones too: where all are open, the balancer lets a request through."""
_TIERED = "priority"
"""The strategy that prefers tiers to subaccounts."""
_FAILURES_OF_A_TIER = 2
"""After so many, the next attempt prefers another tier."""


class _Refusal(NamedTuple):
    """What an endpoint said to a request that another one may take."""

    lease: Lease
    fault: Fault


class Attempt:
    """One try at one endpoint, with a lease on it.

    The lease belongs to the `Attempts` that made it, which close it, until somebody takes it over.
    """

    def __init__(self, number: int, lease: Lease, protocol: ProtocolHandler, refusals: Sequence[_Refusal] = ()) -> None:
        self.number = number
        self.lease = lease
        self.endpoint = lease.endpoint
        """Where to send the request."""
        self.protocol = protocol
        self.fault: Fault | None = None
        self._settled = False
        """Whether it is known how it went."""
        self.taken_over = False
        """Whether somebody else closes its lease."""
        self._refusals = refusals
        """What was said before it to the same request: an answer overrules it."""

    def answered(self, *, whole: bool = False) -> None:
        """Report that the model has begun to answer, or has answered as a *whole*."""
        refusals, self._refusals = self._refusals, ()
        self._settled = True
        self.lease.answered(whole=whole)
        for lease, fault in refusals:
            lease.overruled(fault)

    def failed(self, fault: Fault) -> None:
        """Report what went wrong; the next attempt, if any, goes elsewhere."""
        self._settled = True
        self.fault = fault
        if fault.cause is not None:
            where = f"{self.endpoint.subaccount}/{self.endpoint.deployment}"
            _log.info("attempt %d at %s failed: %s", self.number, where, fault.cause)
        self.lease.failed(fault)

    def take_over(self) -> Lease:
        """Give the lease to the caller, which closes it: for an answer that outlives the attempts."""
        self.taken_over = True
        return self.lease

    def __str__(self) -> str:
        """Say where it went and what became of it, as far as is known: `eu/d1 503`."""
        if self.fault is None:
            outcome = "ok" if self._settled else "open"
        else:
            refused = self.fault.status is not None and self.fault.status >= 400
            outcome = str(self.fault.status) if refused else self.fault.kind.value
        return f"{self.endpoint.subaccount}/{self.endpoint.deployment} {outcome}"


class Lifetime(Protocol):
    """How long a request may take."""

    def left(self) -> float:
        """How many seconds remain."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let a pause between two attempts pass; raises what ends the request, or what has it go on after the pause."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """What the attempts at all requests share."""

    balancer: LoadBalancer
    budget: RetryBudget
    clock: Callable[[], float]
    rng: Callable[[], float]
    sleep: Callable[[float], object]

    @property
    def policy(self) -> Policy:
        """The balancer's own: there is no other."""
        return self.balancer.policy


class Countdown:
    """The seconds that a request for *model* may take, from now on."""

    def __init__(self, environment: Environment, model: str) -> None:
        self._environment = environment
        self._model = model
        self._began = environment.clock()

    def left(self) -> float:
        """How many seconds remain."""
        total = self._environment.policy.timeouts_for(self._model).total
        return self._began + total - self._environment.clock()

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._environment.sleep(seconds)


@dataclass(slots=True, eq=False)
class Plan:
    """What one request asks of its attempts."""

    protocol: Callable[[Endpoint], ProtocolHandler]
    """Chooses how an endpoint is asked; raises `FaultError` for one that cannot be."""
    context: SelectionContext
    most: int
    """How many attempts there may be."""
    only: tuple[Endpoint, ...]
    """Where alone it may go; empty if it may go anywhere."""
    lifetime: Lifetime
    sticky: bool = True
    """Whether that is because what it continues lies there; it cannot be written for the others if not."""


class Attempts:
    """One attempt after another, until one did not fail or none is worth making.

    =======================  =========================================================
    the last attempt         the next one
    =======================  =========================================================
    failed                   goes to another subaccount, or else to another endpoint;
                             under `priority` to another tier once a tier failed twice
    met a used-up quota      goes to no endpoint that draws on it
    was refused              asks for one second opinion, without a pause
    could not be asked this  goes where it can: a deployment of one model alone, or orchestration
    timed out in silence     is the last: the model may still be at work on the first
    failed, and all others   goes to any of them again, after a pause
    did not fail             is not made
    =======================  =========================================================

    The first attempt that cannot be made raises `NoEndpointError`; a later one ends the iteration, and `fault` holds
    what the last one met. Used in a ``with`` statement, it closes at its end every lease that nobody took over.
    """

    def __init__(self, environment: Environment, resolution: Resolution, plan: Plan) -> None:
        self.resolution = resolution
        self.unaffordable = False
        """Whether the budget refused the last retry that was to be made."""
        self.paused = 0.0
        """For how many seconds no endpoint was asked."""
        self._environment = environment
        self._plan = plan
        self._most = plan.most
        self._made: list[Attempt] = []
        self._over = False
        self._tried: list[Endpoint] = []
        """Those asked since the last pause."""
        self._used_up: list[QuotaDomain] = []
        self._refusals: list[_Refusal] = []
        """One may be overruled, two say the same."""
        self._pauses = 0
        self._paused_since: float | None = None
        self._held = 0.0
        """For how many seconds it was held until an endpoint could be asked."""
        environment.budget.deposit(resolution.model)

    @property
    def trail(self) -> str:
        """What became of each attempt so far, in order: `eu/d1 503 → us/d7 ok`."""
        return " → ".join(map(str, self._made))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each attempt so far went where it did, in order."""
        return tuple(attempt.lease.reason for attempt in self._made)

    @property
    def fault(self) -> Fault | None:
        """What the last attempt met, if it failed; of those that were asked, if one was."""
        asked = (attempt.fault for attempt in reversed(self._made) if not (attempt.fault and attempt.fault.unasked))
        return next(asked, self._made[-1].fault if self._made else None)

    @property
    def final_fault(self) -> Fault | None:
        """What to tell the caller when the last attempt failed and none is left.

        A fault that put something in cooldown gets the time until any endpoint may be asked: by itself it would say
        when its own endpoint is back, or nothing.
        """
        fault = self.fault
        if fault is None or scope_of(fault) is Scope.NONE:
            return fault
        try:
            return replace(fault, retry_after=nearest(self._rows()))
        except NoEndpointError:
            return fault

    def again(self, lifetime: Lifetime) -> "Attempts":
        """Begin attempts at another part of the same request, within *lifetime*."""
        return Attempts(self._environment, self.resolution, replace(self._plan, lifetime=lifetime))

    def close(self) -> None:
        """Make no more attempts, and close every lease that nobody took over."""
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
        if self._made and not self._environment.budget.spend(self.resolution.model):  # others were quicker
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _learn_from_last(self) -> bool:
        """Note what the last attempt met, so that it is not asked again soon; return whether to make another."""
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
        """Go on where the request can be written, as if there were no others; return whether there is such a place."""
        others = (row.endpoint for row in self._rows() if row.endpoint.orchestration is not unfit.orchestration)
        self._plan = replace(self._plan, only=tuple(each for each in others if each.weight), sticky=False)
        self._most += 1
        return bool(self._plan.only)

    def _lease(self) -> Lease:
        """Lease an endpoint that was not tried yet; if there is none, wait and begin anew."""
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
        """Whether the last attempt was refused; a second opinion is not worth a pause."""
        return bool(self._refusals) and self._refusals[-1].lease is self._made[-1].lease

    def _acquire(self) -> Lease:
        """Lease an endpoint that was not tried yet, far from those that failed if there is one."""
        tried = [*self._tried, *(each.lease.endpoint for each in self._refusals)]
        if self._tried and (near := self._near()):
            with suppress(NoEndpointError):
                return self._acquire_besides([*tried, *near])
        return self._acquire_besides(tried)

    def _near(self) -> list[Endpoint]:
        """List the endpoints that are likely to fail as those did that were tried since the last pause."""
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
            # Where no request can fail over, it is still these that find out which endpoints are back.
            can_fail_over=self._plan.most == 1 or len(self._made) + 1 < self._most,
            only=self._plan.only,
            sticky=self._plan.sticky,
        )

    def _pause(self, error: NoEndpointError) -> float | None:
        """Choose how long to wait before looking again; None where waiting leads nowhere."""
        if not self._tried:
            return self._until_one_may_be_asked(error.wait, circuits_only=error.fault.kind is FaultKind.UNAVAILABLE)
        self._tried, self._used_up = [], []
        retry, hint = self._environment.policy.retry, self.fault.retry_after if self.fault else None
        shortest = self._shortest_cooldown()
        if hint is None:
            return self._until_one_may_be_asked(shortest) if shortest > 0 else self._backoff()
        # A cooldown lasts a little longer than its hint, so that not all requests come back at once.
        longest = retry.hint_cap * (1 + self._environment.policy.cooldown.jitter)
        return max(hint, shortest) if hint <= retry.hint_cap and shortest <= longest else None

    def _until_one_may_be_asked(self, wait: float | None, *, circuits_only: bool = False) -> float | None:
        """Wait until an endpoint may be asked, with jitter, for `wait_at_most` seconds in all.

        Where *circuits_only* are in the way, as often as that allows; for a cooldown, once. All that wait for one are
        spread over the rest of that time: a quota that has room for one request again has none for all of them.
        """
        cooldown = self._environment.policy.cooldown
        if wait is None or self._held + wait > cooldown.wait_at_most or (self._held and not circuits_only):
            return None
        self._held += wait
        spread = cooldown.jitter * wait if circuits_only else cooldown.wait_at_most - wait
        return wait + spread * self._environment.rng()

    def _backoff(self) -> float:
        """Leave the same endpoints alone for a random time, of which the longest doubles."""
        retry = self._environment.policy.retry
        longest = min(retry.backoff_cap, retry.backoff_base * 2.0**self._pauses)
        self._pauses += 1
        return longest * self._environment.rng()

    def _shortest_cooldown(self) -> float:
        """In how many seconds the first endpoint may be asked again; an open circuit is no obstacle."""
        rows = self._rows()
        if any(row.availability in _MAY_BE_ASKED for row in rows):
            return 0.0
        return min((row.seconds for row in rows if row.availability is Availability.COOLDOWN), default=math.inf)

    def _rows(self) -> tuple[EndpointState, ...]:
        """Whether each endpoint that the request may go to is available, and why not."""
        return self._environment.balancer.snapshot(self.resolution.model, only=self._plan.only)


def described(endpoint: Endpoint, protocol: ProtocolHandler) -> str:
    """Write a decision in a few words, for the log."""
    return f"{endpoint.model} by {protocol.name}, at {endpoint.subaccount}/{endpoint.deployment}"
