"""Who gets the next request: choosing among endpoints, and what to say when there is none."""

import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from dialects.faults import Fault, FaultKind
from routing.breaker import CircuitBreaker
from routing.cooling import Clock
from routing.journal import Circuit, EndpointState, PoolsChanged, Row, Standing, StrategyErred
from routing.lease import Lease, Ledger, Listener, Member, keys_of
from routing.model_names import ModelNames, with_resolved_names
from routing.policy import Policy
from routing.standing import MAKER_LEFT, MAY_BE_CHOSEN, NoEndpointError, Survey, regret
from routing.strategy import (
    NO_CONTEXT,
    Candidate,
    Endpoint,
    LoadBalancingStrategy,
    QuotaDomain,
    SelectionContext,
    make_strategy,
)

__all__ = ["Lease", "LoadBalancer", "NoEndpointError"]


class _Wish(NamedTuple):
    """What one request wants; *among* are the only endpoints there are for it, all if it is empty."""

    model: str
    exclude: Collection[Endpoint]
    domains: Collection[QuotaDomain]
    context: SelectionContext
    probes: bool = False
    among: Collection[Endpoint] = ()

    def excludes(self, endpoint: Endpoint) -> bool:
        """Whether it has been there already."""
        return endpoint in self.exclude or endpoint.domain in self.domains


class _Chooser:
    """A strategy that is not taken at its word. The ledger's lock guards it.

    One that raises, or names what it was not offered, has a defect: that is told once for each model,
    and the first candidate is taken. So no strategy can send a request where the balancer would not.
    """

    def __init__(self, strategy: LoadBalancingStrategy, ledger: Ledger) -> None:
        self.strategy = strategy
        self.name = strategy.get_name()
        self._ledger = ledger
        self._erred: set[str] = set()

    def choose(self, candidates: Sequence[Candidate], context: SelectionContext) -> tuple[Endpoint, str]:
        """Name one of *candidates*, and say why it."""
        error: Exception
        try:
            chosen = self.strategy.select_endpoint(list(candidates), context)
            offered = _among(candidates, chosen)
            if offered is not None:
                return offered, self.name
            error = LookupError(f"it named {_told(chosen)}, which it was not offered")
        except Exception as raised:  # noqa: BLE001 - not swallowed: it is told when no lock is held
            error = raised
        first = candidates[0].endpoint
        if first.model not in self._erred:
            self._erred.add(first.model)
            self._ledger.note(StrategyErred(self.name, first.model, error))
        return first, "defect"


class LoadBalancer:
    """Grants leases on the endpoints of a model.

    ==========================  ====================================================
    the pool of the model has   a request gets
    ==========================  ====================================================
    endpoints that are well     the one the strategy names
    only half-open ones         one of them, as its probe
    one endpoint in all         that one, unless it rests
    only open ones              the one open longest, one request at a time each
    only resting ones           nothing, and the exact time until the first is back
    ==========================  ====================================================

    A request that could still go elsewhere is a probe, if one is due, while others are
    well: whatever the strategy, so that who is not its first choice comes back too. The
    lock is the ledger's: it guards pools, strategies, counts and coolings, is held to
    choose and to count, never across I/O, a log line or a callback. A breaker's lock
    may be taken inside it, and a strategy's; nothing inside those.
    """

    def __init__(
        self,
        pools: Mapping[str, Sequence[Endpoint]],
        *,
        policy: Policy | None = None,
        strategy: LoadBalancingStrategy | None = None,
        clock: Clock = time.monotonic,
        rng: random.Random | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._policy = policy = with_resolved_names(policy or Policy())
        self._clock = clock
        self._rng = rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._ledger = Ledger(policy, clock, rng, listener)
        self._members: dict[Endpoint, Member] = {}
        self._pools: dict[str, tuple[Member, ...]] = {}
        self._chooser = _Chooser(strategy or make_strategy(policy.strategy, policy, rng), self._ledger)
        for own in policy.models.values():
            make_strategy(own.strategy or policy.strategy, policy, rng)  # a name that is unknown is refused at once
        self._own: dict[str, _Chooser] = {}
        self._enrol(pools)

    @property
    def policy(self) -> Policy:
        """The policy that it was built with; whoever works on it uses the same."""
        return self._policy

    def acquire(
        self,
        model: str,
        *,
        exclude: Collection[Endpoint] = (),
        exclude_domains: Collection[QuotaDomain] = (),
        context: SelectionContext = NO_CONTEXT,
        can_fail_over: bool = True,
        among: Collection[Endpoint] = (),
    ) -> Lease:
        """Lease an endpoint of *model*, other than those and those of the quota domains already tried.

        With *among*, the pool is only those, as if there were no others.
        """
        wish = _Wish(model, exclude, exclude_domains, context, can_fail_over, among)
        try:
            with self._ledger.lock:
                pool = self._pool(wish)
                lease = self._lease_well(wish, pool) or self._lease_last(wish, pool)
                if lease is None:
                    raise regret(model, self._rows(wish, pool))
                return lease
        finally:
            self._ledger.publish()

    def peek(
        self,
        model: str,
        *,
        exclude: Collection[Endpoint] = (),
        exclude_domains: Collection[QuotaDomain] = (),
        context: SelectionContext = NO_CONTEXT,
    ) -> Endpoint:
        """Choose as `acquire` does, and take the turn, but no lease: for who will not say how it went."""
        wish = _Wish(model, exclude, exclude_domains, context)
        try:
            with self._ledger.lock:
                pool = self._pool(wish)
                candidates, _ = self._candidates(wish, pool)
                if candidates:
                    return self._choose(wish, candidates)[0]
                if self._is_alone(wish, pool):
                    return pool[0].endpoint
                raise regret(model, self._rows(wish, pool))
        finally:
            self._ledger.publish()

    def explain(
        self,
        model: str,
        context: SelectionContext = NO_CONTEXT,
        *,
        exclude: Collection[Endpoint] = (),
        exclude_domains: Collection[QuotaDomain] = (),
        among: Collection[Endpoint] = (),
    ) -> list[Row]:
        """Say of each endpoint of *model*, or of those *among* them, whether it may be chosen now, and if not, why."""
        wish = _Wish(model, exclude, exclude_domains, context, probes=True, among=among)
        try:
            with self._ledger.lock:
                return self._rows(wish, self._pool(wish))
        finally:
            self._ledger.publish()

    def use(self, strategy: LoadBalancingStrategy | str, model: str | None = None) -> None:
        """Choose differently from the next request on: for one model, or for all that have no strategy of their own.

        *model* is any name of a deployed model; raises `NoEndpointError` where it means none.
        """
        if model is not None:
            model = ModelNames(self.models(), self._policy.aliases, fallback=False).resolve(model).model
        named = make_strategy(strategy, self._policy, self._rng) if isinstance(strategy, str) else strategy
        chosen = _Chooser(named, self._ledger)
        with self._ledger.lock:
            if model is None:
                self._chooser = chosen
            else:
                self._own[model] = chosen

    def strategy(self, model: str) -> str:
        """The name of the strategy that *model* is balanced by."""
        with self._ledger.lock:
            return self._chooser_of(model).name

    def replace_pools(self, pools: Mapping[str, Sequence[Endpoint]]) -> None:
        """Serve other endpoints from now on.

        Who stays keeps its history. Who joins others starts slowly, unless they are about as
        new themselves: what is found piece by piece at start has nobody to be slow against.
        """
        with self._ledger.lock:
            joined, left = self._enrol(pools)
            settled = self._clock() - self._policy.breaker.slow_start
            for pool in self._pools.values():
                if min(member.joined for member in pool) < settled:
                    for member in pool:
                        if member.endpoint in joined:
                            member.breaker.start_slowly()
            self._ledger.cooling.retain({key for endpoint in self._members for key in keys_of(endpoint)})
            for chooser in (self._chooser, *self._own.values()):
                chooser.strategy.retain(self._members)
        if joined or left:
            self._ledger.note(PoolsChanged(joined, left))
        self._ledger.publish()

    def snapshot(self) -> tuple[EndpointState, ...]:
        """Everything that is known about every endpoint."""
        try:
            with self._ledger.lock:
                survey = self._survey()
                return tuple(survey.state(member) for member in self._members.values())
        finally:
            self._ledger.publish()

    def in_flight(self) -> dict[Endpoint, int]:
        """How many requests each endpoint has."""
        with self._ledger.lock:
            return {endpoint: member.in_flight for endpoint, member in self._members.items()}

    def models(self) -> tuple[str, ...]:
        """The models that have endpoints."""
        with self._ledger.lock:
            return tuple(self._pools)

    def endpoints(self, model: str) -> tuple[Endpoint, ...]:
        """The endpoints of *model*; none if it is not known."""
        with self._ledger.lock:
            return tuple(member.endpoint for member in self._pools.get(model, ()))

    def breaker(self, endpoint: Endpoint) -> CircuitBreaker:
        """The breaker that guards *endpoint*; a `KeyError` if it has left."""
        with self._ledger.lock:
            return self._members[endpoint].breaker

    def _enrol(self, pools: Mapping[str, Sequence[Endpoint]]) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
        """Take over the pools; return who joined and who left."""
        before = self._members
        wanted = {endpoint: endpoint for pool in pools.values() for endpoint in pool}
        self._members = {endpoint: before.get(endpoint) or self._ledger.enrol(endpoint) for endpoint in wanted}
        for endpoint, member in self._members.items():
            member.adjust(wanted[endpoint])
        self._pools = {
            model: tuple(self._members[endpoint] for endpoint in dict.fromkeys(pool))
            for model, pool in pools.items()
            if pool
        }
        for model in self._pools.keys() - self._own.keys():
            own = self._policy.models.get(model)
            if own is not None and own.strategy:
                self._own[model] = _Chooser(make_strategy(own.strategy, self._policy, self._rng), self._ledger)
        joined = tuple(endpoint for endpoint in wanted if endpoint not in before)
        return joined, tuple(endpoint for endpoint in before if endpoint not in wanted)

    def _pool(self, wish: _Wish) -> tuple[Member, ...]:
        """Give all that there is for the request: never nothing."""
        pool = self._pools.get(wish.model)
        if pool is None:
            message = f"the model {wish.model!r} is not deployed"
            raise NoEndpointError(Fault(FaultKind.NOT_FOUND, message, 404, param="model"))
        if not wish.among:
            return pool
        own = tuple(member for member in pool if member.endpoint in wish.among)
        if not own:
            raise NoEndpointError(MAKER_LEFT)
        return own

    def _chooser_of(self, model: str) -> _Chooser:
        return self._own.get(model, self._chooser)

    def _lease_well(self, wish: _Wish, pool: Sequence[Member]) -> Lease | None:
        """Lease whom the strategy names, of those that may be chosen."""
        candidates, due = self._candidates(wish, pool)
        while candidates:
            chosen, reason = self._choose(wish, candidates, due)
            member = self._members[chosen]
            well = member.breaker.well
            permit = member.breaker.enter()
            if permit is not None:
                probe = not well and member.breaker.state is Circuit.HALF_OPEN
                return self._ledger.grant(member, permit, "probe" if probe else reason)
            candidates, due = ([row for row in rows if row.endpoint != chosen] for rows in (candidates, due))
        return None

    def _choose(
        self, wish: _Wish, candidates: Sequence[Candidate], due: Sequence[Candidate] = ()
    ) -> tuple[Endpoint, str]:
        """Name one of *candidates*, and say why it: of those *due* for a probe, if there are any."""
        preferred = _preferred(candidates, wish.context)
        if preferred:
            return preferred, "preferred"
        chosen, reason = self._chooser_of(wish.model).choose(due or candidates, wish.context)
        return chosen, "pinned" if wish.among else reason

    def _lease_last(self, wish: _Wish, pool: Sequence[Member]) -> Lease | None:
        """Lease where there is nowhere else to go: the only endpoint, or the one that is open longest."""
        if self._is_alone(wish, pool):
            return self._ledger.grant(pool[0], pool[0].breaker.insist(), "alone")
        survey = self._survey()
        rows = [(member, survey.stand(member).standing) for member in pool]
        if any(standing in MAY_BE_CHOSEN for _, standing in rows):
            return None
        opened = [m for m, standing in rows if standing is Standing.OPEN and not wish.excludes(m.endpoint)]
        for member in sorted(opened, key=lambda member: member.breaker.snapshot().since):
            permit = member.breaker.enter(force=True)
            if permit is not None:
                return self._ledger.grant(member, permit, "forced")
        return None

    def _is_alone(self, wish: _Wish, pool: Sequence[Member]) -> bool:
        """Whether the pool is one endpoint, and nothing but a circuit is in the way."""
        [only, *others] = pool
        return not others and not wish.excludes(only.endpoint) and not self._survey().rest(only)[0]

    def _candidates(self, wish: _Wish, pool: Iterable[Member]) -> tuple[list[Candidate], list[Candidate]]:
        """List those that may be chosen, and those of them that the request is to probe.

        May be chosen: the well ones, with the half-open ones if they may be probed or are all. A probe is not left
        to the strategy: it might never name one that it likes less than others.
        """
        now, decay = self._clock(), self._policy.ewma_decay
        picky = bool(wish.exclude or wish.domains)
        survey = None if self._ledger.cooling.idle() else self._survey()
        well: list[Candidate] = []
        probes: list[Candidate] = []
        for member in pool:
            if (picky and wish.excludes(member.endpoint)) or (survey and survey.rest(member)[0]):
                continue
            breaker = member.breaker
            row = member.row(now, decay)
            if breaker.well:
                well.append(row)
                continue
            view = breaker.snapshot()
            if view.state is Circuit.CLOSED:
                well.append(row._replace(weight=row.weight * view.share))
            elif view.state is Circuit.HALF_OPEN and not view.probing:
                # What it took when it failed says nothing of now, and one request at a time is slow enough.
                probes.append(row._replace(latency=0.0))
        return ([*well, *probes], probes) if wish.probes else (well or probes, [])

    def _survey(self) -> Survey:
        return Survey(self._ledger.cooling, self._clock(), self._policy.ewma_decay)

    def _rows(self, wish: _Wish, pool: Iterable[Member]) -> list[Row]:
        survey = self._survey()
        return [survey.row(member, excluded=wish.excludes(member.endpoint)) for member in pool]


def _preferred(candidates: Sequence[Candidate], context: SelectionContext) -> Endpoint | None:
    """The endpoint that the request would go back to, if it may be chosen."""
    return None if context.preferred is None else _among(candidates, context.preferred)


def _among(candidates: Sequence[Candidate], named: Endpoint) -> Endpoint | None:
    """The endpoint of *candidates* that is *named*, if there is one."""
    for row in candidates:  # nearly always the very object, which is quicker to see than that two are equal
        if row[0] is named:
            return named
    return next((row[0] for row in candidates if row[0] == named), None)


def _told(named: object) -> str:
    """Say what a strategy named; what is no endpoint is not asked what it is."""
    return f"{named.subaccount}/{named.deployment}" if isinstance(named, Endpoint) else type(named).__name__
