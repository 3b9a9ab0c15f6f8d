"""The load balancer, which selects the endpoint for the next request."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dialects.core.faults import Fault, FaultKind
from routing.availability import MAKER_LEFT, EndpointState, NoEndpointError, unavailable
from routing.cooldown import Clock, Cooldowns, keys_of
from routing.endpoint import Candidate, Endpoint, QuotaDomain
from routing.events import (
    Circuit,
    CircuitChanged,
    CooldownEnded,
    CooldownStarted,
    EventPublisher,
    PoolsChanged,
    StrategyFailed,
    Transition,
)
from routing.health import CircuitBreaker, CircuitState, Permit
from routing.lease import Grant, Lease, OutcomeRecorder
from routing.member import Member, StrategyLock
from routing.model_names import ModelNames, with_resolved_names
from routing.policy import Policy
from routing.pool import Pool
from routing.slow_start import SlowStart
from routing.strategy import NO_CONTEXT, LoadBalancingStrategy, SelectionContext, make_strategy

_REMEMBERED = 600.0
"""Seconds for which the history of an endpoint that left is kept, in case it returns."""


@dataclass(frozen=True, slots=True)
class _Departed:
    """A member that left, and when. Its history is kept for a while."""

    member: Member
    at: float


@dataclass(slots=True, eq=False)
class _Request:
    """The arguments of `acquire`. If *only* is empty, all endpoints of the model may be used."""

    model: str
    exclude: Collection[Endpoint]
    domains: Collection[QuotaDomain]
    context: SelectionContext
    can_fail_over: bool = False
    only: Collection[Endpoint] = ()
    sticky: bool = True

    def excludes(self, endpoint: Endpoint) -> bool:
        """Return whether the request excludes *endpoint*."""
        return endpoint in self.exclude or endpoint.domain in self.domains

    def may_use(self, endpoint: Endpoint) -> bool:
        """Return whether the request may use *endpoint*. A drained one may only continue its own answers."""
        if self.only:
            return endpoint in self.only
        return bool(endpoint.weight) or endpoint == self.context.preferred


@dataclass(slots=True, eq=False)
class _Options:
    """The endpoints that a request may use now, by circuit."""

    closed: list[Candidate]
    probes: list[Candidate]
    """Endpoints whose circuit is half-open and has room for a probe."""
    opened: list[Member]
    """In panic, the members whose circuit is open, the longest-open first."""
    panic: bool
    """Whether no endpoint outside of a cooldown has a closed circuit."""
    alone: bool
    """Whether there is only one endpoint."""


class _CheckedStrategy:
    """A strategy whose answers are checked. The balancer's *lock* guards it.

    If a strategy raises, or returns an endpoint that is not a candidate, the first candidate is selected and a
    `StrategyFailed` is published once for each model. So a strategy cannot select an endpoint that is unavailable.
    """

    def __init__(
        self, strategy: LoadBalancingStrategy, policy: Policy, lock: StrategyLock, events: EventPublisher
    ) -> None:
        self.strategy = strategy
        self._lock = lock
        self.name = strategy.get_name()
        self.reads_input = "input_tokens" in strategy.reads(policy)
        self._events = events
        self._failed: set[str] = set()

    def select(self, candidates: Sequence[Candidate], context: SelectionContext) -> tuple[Endpoint, str]:
        """Select one of *candidates*; return it and the reason."""
        error: Exception
        self._lock.asks = threading.get_ident()
        try:
            selected = self.strategy.select_endpoint(list(candidates), context)
            offered = _find(candidates, selected)
            if offered is not None:
                return offered, self.name
            error = LookupError(f"it selected {_described(selected)}, which is not one of its candidates")
        except Exception as raised:  # noqa: BLE001 - not swallowed: it is published once no lock is held
            error = raised
        finally:
            self._lock.asks = 0
        first = candidates[0].endpoint
        if first.model not in self._failed:
            self._failed.add(first.model)
            self._events.put(StrategyFailed(self.name, first.model, error))
        return first, "defect"


class LoadBalancer:
    """Grants leases on the endpoints of a model.

    | the pool of the model has           | a request gets                                            |
    |-------------------------------------|-----------------------------------------------------------|
    | a half-open circuit without a probe | that endpoint, as its probe, if the request can fail over |
    | closed circuits                     | the endpoint that the strategy selects                    |
    | one endpoint only                   | that endpoint, unless it is in cooldown or drained        |
    | no closed circuit: panic            | a half-open endpoint with room, else the longest-open one |
    | only cooldowns                      | an error with the time until the first one ends           |

    An endpoint on standby is used only if no other one can take the request. In panic an endpoint has room for one
    request at first, and for twice as many for each second without a failure. An endpoint of weight 0 is drained: it
    gets only requests that continue its own answers. `StrategyLock` describes the lock.
    """

    def __init__(
        self,
        pools: Mapping[str, Sequence[Endpoint]],
        *,
        policy: Policy | None = None,
        strategy: LoadBalancingStrategy | None = None,
        clock: Clock = time.monotonic,
        rng: random.Random | None = None,
        events: EventPublisher | None = None,
    ) -> None:
        self._policy = policy = with_resolved_names(policy or Policy())
        self._clock = clock
        self._rng = rng = rng or random.Random()  # noqa: S311 - spreads load, and has no use in security
        self._events = events = events or EventPublisher()
        self._lock = StrategyLock()
        self._cooldowns = Cooldowns(policy.cooldown, clock=clock, rng=rng.random)
        self._members: dict[Endpoint, Member] = {}
        members = lambda: self._members  # noqa: E731 - `replace_pools` replaces the dictionary
        self._outcomes = OutcomeRecorder(self._lock, members, self._cooldowns, events, policy, clock)
        self._departed: dict[Endpoint, _Departed] = {}
        self._joined_at: dict[Endpoint, float] = {}
        self._pools: dict[str, Pool] = {}
        self._endpoints: Mapping[str, tuple[Endpoint, ...]] = {}
        self._models: tuple[str, ...] = ()
        """`_endpoints` and `_models` are replaced, never changed, so they are read without the lock."""
        self._strategy = self._checked(strategy or policy.strategy)
        for own in policy.models.values():
            if own.strategy:
                self._checked(own.strategy)  # raises for an unknown name
        self._own: dict[str, _CheckedStrategy] = {}
        self._replace(pools, clock())

    @property
    def policy(self) -> Policy:
        """The policy of the balancer, which router and health checker use, too."""
        return self._policy

    def acquire(
        self,
        model: str,
        *,
        exclude: Collection[Endpoint] = (),
        exclude_domains: Collection[QuotaDomain] = (),
        context: SelectionContext = NO_CONTEXT,
        can_fail_over: bool = True,
        only: Collection[Endpoint] = (),
        sticky: bool = True,
    ) -> Lease:
        """Lease the endpoint that the strategy selects, or one that is due for a probe; in panic any that has room.

        Endpoints in *exclude* and *exclude_domains* are not used. If *only* is given, all other endpoints are ignored;
        *sticky* says that the request continues an answer of those. Raises `NoEndpointError` if none is available.
        """
        context = self._counted(model, context)
        request = _Request(model, exclude, exclude_domains, context, can_fail_over, only, sticky)
        self._outcomes.reclaim()
        try:
            with self._lock:
                members = self._members_for(request)
                options = self._options(request, alone=len(members) == 1)
                lease = self._lease_selected(request, options) or self._lease_open(options)
            if lease is None:
                raise unavailable(model, self._states(members))
            return lease
        finally:
            self._events.publish()

    def select(self, model: str, *, context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select an endpoint without a lease, for callers that do not report outcomes. It is never a probe."""
        request = _Request(model, (), (), self._counted(model, context))
        try:
            with self._lock:
                members = self._members_for(request)
                options = self._options(request, alone=len(members) == 1)
                if candidates := options.closed or options.probes:
                    return self._select(request, candidates, ())[0]
                if len(members) == len(options.opened) == 1:
                    return members[0].endpoint
            raise unavailable(model, self._states(members))
        finally:
            self._events.publish()

    def use(self, strategy: LoadBalancingStrategy | str, model: str | None = None) -> None:
        """Use *strategy* from the next request on, for *model* or for all models that have no strategy of their own.

        *model* is any name of a deployed model. Raises `NoEndpointError` if it is not deployed.
        """
        if model is not None:
            model = ModelNames(self.models(), self._policy.aliases, fallback=False).resolve(model).model
        checked = self._checked(strategy)
        with self._lock:
            if model is None:
                self._strategy = checked
            else:
                self._own[model] = checked

    def replace_pools(self, pools: Mapping[str, Sequence[Endpoint]]) -> None:
        """Replace the endpoints of all models.

        Endpoints that stay, or return within ten minutes, keep their history. New endpoints get a slow start if the
        pool has an endpoint whose own slow start is over. So endpoints that are discovered one by one at the start get
        their full weight at once.
        """
        slow_start = SlowStart(self._policy.breaker)
        with self._lock:
            now = self._clock()
            change = self._replace(pools, now)
            for pool in self._pools.values():
                if slow_start.share(now - min(self._joined_at[member.endpoint] for member in pool.members)) == 1.0:
                    for member in pool.members:
                        if self._joined_at[member.endpoint] == now:
                            member.adjust(member.endpoint, slow_since=now)
            known = [*self._members, *self._departed]
            self._cooldowns.retain({key for endpoint in known for key in keys_of(endpoint)})
            if change.joined or change.left:
                self._events.put(change)
                for checked in (self._strategy, *self._own.values()):
                    checked.strategy.retain(self._members)
        self._events.publish()

    def snapshot(self, model: str | None = None, *, only: Collection[Endpoint] = ()) -> tuple[EndpointState, ...]:
        """Return the states of all endpoints, of those of *model*, or of those of *model* that are in *only*.

        Raises `NoEndpointError` if *model* is not deployed, or if it has none of the endpoints in *only*.
        """
        self._outcomes.reclaim()
        with self._lock:
            if model is None:
                members = tuple(self._members.values())
            else:
                members = self._members_for(_Request(model, (), (), NO_CONTEXT, only=only))
        try:
            return self._states(members)
        finally:
            self._events.publish()

    def models(self) -> tuple[str, ...]:
        """Return the models that have endpoints."""
        return self._models

    def endpoints(self, model: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of *model*; an empty tuple if it is unknown."""
        return self._endpoints.get(model, ())

    def breaker(self, endpoint: Endpoint) -> CircuitBreaker:
        """Return the circuit breaker of *endpoint*; raises `KeyError` if the endpoint has left."""
        with self._lock:
            return self._members[endpoint].breaker

    def apply(self, event: CooldownStarted | CooldownEnded | CircuitChanged) -> None:
        """Apply an event that the balancer of another process published, without publishing it again."""
        with self._lock:
            if isinstance(event, CooldownStarted):
                self._cooldowns.apply(event.key, event.seconds, event.why)
            elif isinstance(event, CooldownEnded):
                self._cooldowns.end(event.key)
            elif event.endpoint in self._members:
                member = self._members[event.endpoint]
                member.breaker.apply(event.transition)
                member.changed()
        self._events.publish()

    def _checked(self, strategy: LoadBalancingStrategy | str) -> _CheckedStrategy:
        named = make_strategy(strategy, self._policy, self._rng) if isinstance(strategy, str) else strategy
        return _CheckedStrategy(named, self._policy, self._lock, self._events)

    def _replace(self, pools: Mapping[str, Sequence[Endpoint]], now: float) -> PoolsChanged:
        """Install the pools; return which endpoints joined and left."""
        before = self._members
        wanted = {endpoint: endpoint for pool in pools.values() for endpoint in pool}
        remembered = {each: former for each, former in self._departed.items() if now < former.at + _REMEMBERED}
        known = {each: former.member for each, former in remembered.items()} | before
        self._members = {each: known.get(each) or self._new_member(each, now) for each in wanted}
        for endpoint, member in self._members.items():
            member.adjust(wanted[endpoint])
        leaving = {endpoint: _Departed(member, now) for endpoint, member in before.items()}
        self._departed = {each: former for each, former in (remembered | leaving).items() if each not in wanted}
        self._joined_at = {each: self._joined_at.get(each, now) for each in (*self._members, *self._departed)}
        joined = tuple(endpoint for endpoint in wanted if endpoint not in before)
        left = tuple(endpoint for endpoint in before if endpoint not in wanted)
        self._pools = {model: self._pool(endpoints) for model, endpoints in pools.items() if endpoints}
        watchers = defaultdict(list)
        for pool in self._pools.values():
            for member in pool.members:
                watchers[member].append(pool.changed)
        for member, its in watchers.items():
            member.watch(*its)
        self._endpoints = {model: tuple(each.endpoint for each in pool.members) for model, pool in self._pools.items()}
        self._models = tuple(self._pools)
        for model in self._pools.keys() - self._own.keys():
            own = self._policy.for_model(model)
            if own is not None and own.strategy:
                self._own[model] = self._checked(own.strategy)
        return PoolsChanged(joined, left)

    def _pool(self, endpoints: Sequence[Endpoint]) -> Pool:
        members = [self._members[endpoint] for endpoint in dict.fromkeys(endpoints)]
        return Pool(members, self._cooldowns, self._policy.ewma_decay / 100)

    def _new_member(self, endpoint: Endpoint, now: float) -> Member:
        def changed(transition: Transition) -> None:
            member.changed()
            self._events.put(CircuitChanged(endpoint, transition))

        breaker = CircuitBreaker(self._policy.breaker, clock=self._clock, rng=self._rng.random, on_transition=changed)
        member = Member(endpoint, breaker, self._policy, now)
        return member

    def _members_for(self, request: _Request) -> tuple[Member, ...]:
        """Return the members that the request may use, at least one; raises `NoEndpointError` if there are none."""
        pool = self._pools.get(request.model)
        if pool is None:
            message = f"the model {request.model!r} is not deployed"
            raise NoEndpointError(Fault(FaultKind.NOT_FOUND, message, 404, param="model"))
        if not request.only:
            return pool.members
        own = tuple(member for member in pool.members if member.endpoint in request.only)
        if not own:
            raise NoEndpointError(MAKER_LEFT)
        return own

    def _strategy_of(self, model: str) -> _CheckedStrategy:
        return self._own.get(model, self._strategy)

    def _counted(self, model: str, context: SelectionContext) -> SelectionContext:
        """Count the input tokens if the strategy reads them; the caller holds no lock."""
        if context.count_input is None or not self._strategy_of(model).reads_input:
            return context
        return replace(context, input_tokens=context.count_input(), count_input=None)

    def _options(self, request: _Request, *, alone: bool) -> _Options:
        """Sort the members by circuit, without those that are in cooldown, drained or excluded."""
        now, pool, preferred = self._clock(), self._pools[request.model], request.context.preferred
        if not (request.exclude or request.domains or request.only or (preferred and preferred.standby)):
            candidates = pool.candidates(now)
            if candidates:
                return _Options(candidates, [], [], panic=False, alone=alone)
        closed: list[Candidate] = []
        others: list[tuple[Member, CircuitState]] = []
        panic = True
        for member, candidate in pool.rows(now):
            if not request.may_use(member.endpoint):
                continue
            if candidate is not None:
                panic = False
            if request.excludes(member.endpoint):
                continue
            if candidate is None:
                others.append((member, member.breaker.snapshot()))
            else:
                closed.append(candidate)
        closed = _ahead(closed, preferred)
        if not others:
            return _Options(closed, [], [], panic, alone)
        half_open = [each for each in others if each[1].circuit is Circuit.HALF_OPEN]
        due = [each for each in half_open if not each[1].probes or (panic and not each[1].next_probe)]
        # The latency that was measured before a failure does not apply now, and probes are few, so it counts as 0.
        probes = [Candidate(each.endpoint, circuit.probes, each.endpoint.weight or 1.0, 0.0) for each, circuit in due]
        probes = [row for row in _ahead([*closed, *probes], preferred) if row not in closed]
        opened = [each for each in others if alone or (each[1].circuit is Circuit.OPEN and not each[1].ejected)]
        opened.sort(key=lambda each: (each[0].endpoint.standby, each[1].since))
        return _Options(closed, probes, [member for member, _ in opened] if panic else [], panic, alone)

    def _lease_selected(self, request: _Request, options: _Options) -> Lease | None:
        """Lease the preferred endpoint, one that is due for a probe, or the one that the strategy selects."""
        due = options.probes if request.can_fail_over else []
        candidates = options.closed + due or options.probes
        while candidates:
            selected, reason = self._select(request, candidates, due)
            member = self._members[selected]
            if (permit := member.breaker.enter(panic=options.panic)) is not None:
                is_probe = options.probes and _find(options.probes, selected)
                return self._grant(member, permit, "probe" if is_probe else reason)
            candidates = [row for row in candidates if row.endpoint != selected]
            due = [row for row in due if row.endpoint != selected]
        return None

    def _select(
        self, request: _Request, candidates: Sequence[Candidate], due: Sequence[Candidate]
    ) -> tuple[Endpoint, str]:
        """Select one of *candidates*, or of those *due* for a probe if there are any; return it and the reason."""
        if preferred := request.context.preferred and _find(candidates, request.context.preferred):
            return preferred, "preferred"
        if request.only and request.sticky:
            return min(candidates, key=lambda row: row.in_flight).endpoint, "sticky"
        return self._strategy_of(request.model).select(due or candidates, request.context)

    def _lease_open(self, options: _Options) -> Lease | None:
        """Lease an endpoint with an open circuit: the only endpoint, or in panic the longest-open one."""
        for member in options.opened:
            if (permit := member.breaker.enter(panic=True, always=options.alone)) is not None:
                return self._grant(member, permit, "alone" if options.alone else "panic")
        return None

    def _grant(self, member: Member, permit: Permit, reason: str) -> Lease:
        member.enter()
        return Lease(self._outcomes, Grant(member, permit, self._clock()), reason)

    def _states(self, members: Sequence[Member]) -> tuple[EndpointState, ...]:
        """Build the states of *members*, holding the lock for one at a time."""
        states = []
        for member in members:
            circuit = member.breaker.snapshot()
            with self._lock:
                strategy = self._strategy_of(member.endpoint.model).name
                states.append(member.state(self._clock(), circuit, self._cooldowns, strategy))
        return tuple(states)


def _ahead(rows: list[Candidate], preferred: Endpoint | None) -> list[Candidate]:
    """Return *rows* without those on standby, except for the *preferred* one; all of them if none is left."""
    return [row for row in rows if not row.endpoint.standby or row.endpoint == preferred] or rows


def _find(candidates: Sequence[Candidate], named: Endpoint) -> Endpoint | None:
    """Return the endpoint of *candidates* that equals *named*; None if there is none."""
    for row in candidates:  # it is nearly always the same object, and comparing identities is faster
        if row.endpoint is named:
            return named
    return next((row.endpoint for row in candidates if row.endpoint == named), None)


def _described(named: object) -> str:
    """Describe the return value of a strategy. Of an object that is no endpoint, only the type is named."""
    return f"{named.subaccount}/{named.deployment}" if isinstance(named, Endpoint) else type(named).__name__
