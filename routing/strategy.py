"""Strategies: each selects one of the available endpoints of a model.

A strategy gets candidates and returns the endpoint of one of them. It is called with the lock of the balancer held, so
it must do no I/O, must not wait and must not call the balancer. The built-in strategies remember turns and no counts of
running requests, so a lost request cannot leave wrong counts behind. A lock of their own guards the turns, so that they
also work without a balancer.
"""

import math
import random
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from operator import mul
from types import MappingProxyType
from typing import ClassVar, Self, TypeVar

from routing.endpoint import Candidate, Endpoint
from routing.policy import Policy

_MASK = 2**64 - 1
_ALIKE = 1.25
"""The ratio of latencies up to which two endpoints count as equally fast."""


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """The data of a request that strategies may use."""

    affinity_key: str = ""
    """A key that is equal for requests that share a prompt cache; empty if it is unknown."""
    preferred: Endpoint | None = None
    """The endpoint that made content of the request. If it is available, it is used and the strategy is not called."""
    caller: str = ""
    """The name of the caller's key; empty if callers have none."""
    tags: frozenset[str] = frozenset()
    """The tags of the request."""
    input_tokens: int | None = None
    """The estimated number of input tokens; None if they were not counted."""
    count_input: Callable[[], int | None] | None = None
    """Counts the input tokens. It is called without a lock, and only for a strategy that reads `input_tokens`."""


NO_CONTEXT = SelectionContext()


class LoadBalancingStrategy(ABC):
    """The base class of strategies. Derive from it and register the class with `register_strategy`."""

    @classmethod
    def configured(cls, _policy: Policy, _rng: random.Random) -> Self:
        """Build the strategy from the settings. Override this if the strategy has settings."""
        return cls()

    @classmethod
    def reads(cls, _policy: Policy) -> frozenset[str]:
        """Return the names of what it reads: `weight` and `tier` of endpoints, `input_tokens`, fields of the policy.

        Input tokens are counted only for a strategy that returns `input_tokens` here.
        """
        return frozenset({"weight", "tier", "input_tokens"})

    @abstractmethod
    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return the endpoint of one candidate. *candidates* are of one model, never empty, and keep their order."""

    @abstractmethod
    def get_name(self) -> str:
        """Return the name of the strategy in config files."""

    def retain(self, endpoints: Collection[Endpoint]) -> None:  # noqa: B027 - most strategies remember nothing
        """Remove the state of all but *endpoints*, because the pool has changed."""


class _BuiltInStrategy(LoadBalancingStrategy):
    """The base class of the strategies of this package, which do not read input tokens."""

    name: ClassVar[str]
    settings: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def reads(cls, _policy: Policy) -> frozenset[str]:
        """Return the settings that the strategy reads."""
        return cls.settings

    def get_name(self) -> str:
        """Return the name of the strategy in config files."""
        return self.name


class _Turns:
    """The number of the latest selection of each name; a name that was never selected comes first."""

    __slots__ = ("last", "now")

    def __init__(self) -> None:
        self.now = 0
        self.last: defaultdict[str, int] = defaultdict(int)

    def take(self, names: Iterable[str]) -> str:
        """Select the name that was selected longest ago."""
        name = min(names, key=self.last.__getitem__)
        self.now = self.last[name] = self.now + 1
        return name

    def take_by(self, shares: Mapping[str, float]) -> str:
        """Select as `take` does, but a name with a share below 1 waits longer in proportion."""
        total, last = sum(shares.values()), self.last
        due = {name: last[name] + total * (1 / share - 1) for name, share in shares.items()}
        return self.take([min(due, key=due.__getitem__)])


class RoundRobinStrategy(_BuiltInStrategy):
    """The subaccounts take turns, and within a subaccount its deployments take turns.

    The next one is the one that was selected longest ago. So an endpoint that drops out and comes back does not change
    the order of the others, and does not catch up on the turns that it missed. Each model has its own turns.

    Configured weights are ignored. An endpoint in slow start gets fewer turns, in proportion to its share. A subaccount
    gets fewer turns only if all of its deployments are in slow start.
    """

    name = "round-robin"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subaccounts: defaultdict[str, _Turns] = defaultdict(_Turns)
        self._deployments: defaultdict[tuple[str, str], _Turns] = defaultdict(_Turns)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return the deployment that waits longest, in the subaccount that waits longest."""
        del context
        model = candidates[0].endpoint.model
        groups: dict[str, dict[str, Candidate]] = {}
        slow = False
        for row in candidates:
            endpoint = row.endpoint
            slow = slow or row.weight < endpoint.weight
            if endpoint.subaccount in groups:
                groups[endpoint.subaccount][endpoint.url] = row
            else:
                groups[endpoint.subaccount] = {endpoint.url: row}
        with self._lock:
            if slow:
                name = self._subaccounts[model].take_by(
                    {name: max(map(_share, groups[name].values())) for name in groups}
                )
                url = self._deployments[name, model].take_by({url: _share(row) for url, row in groups[name].items()})
            else:
                name = self._subaccounts[model].take(groups)
                url = self._deployments[name, model].take(groups[name])
            return groups[name][url].endpoint

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Reset all turns."""
        del endpoints
        with self._lock:
            self._subaccounts.clear()
            self._deployments.clear()


def _share(row: Candidate) -> float:
    return row.weight / row.endpoint.weight


@dataclass(slots=True)
class _Purse:
    """The credits of the deployments of one model, and the highest credit that one may have."""

    owed: dict[tuple[str, str], float]
    most: float = 0.0


class WeightedStrategy(_BuiltInStrategy):
    """Smooth weighted round robin: weights of 5:1:1 give A A B A C A A, and never A A A A A B C.

    In each round, every candidate earns its weight as credit. The candidate with the most credit is selected and pays
    the sum of all weights, so the credits add up to zero. An endpoint that is no candidate keeps its credit, within the
    limits of those that are.
    """

    name = "weighted"
    settings = frozenset({"weight"})

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._purses: dict[str, _Purse] = {}

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return the endpoint with the most credit."""
        del context
        total = sum([row.weight for row in candidates])
        richest, most = candidates[0].endpoint, -math.inf
        with self._lock:
            purse = self._purses.get(richest.model)
            if purse is None:
                purse = self._purses[richest.model] = _Purse({})
            purse.most = limit = max(purse.most, total)
            all_owed = purse.owed
            for row in candidates:
                endpoint = row.endpoint
                key = endpoint.subaccount, endpoint.url
                all_owed[key] = owed = all_owed.get(key, 0.0) + row.weight
                if owed > most:
                    richest, most = endpoint, owed
            all_owed[richest.subaccount, richest.url] = max(most - total, -limit)
            return richest

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Reset all credits."""
        del endpoints
        with self._lock:
            self._purses.clear()


class LeastConnectionsStrategy(_BuiltInStrategy):
    """Selects the endpoint with the fewest requests in flight and recent failures, divided by its weight.

    Endpoints tie if their loads differ by less than one request would add. Ties take turns by weight, so endpoints with
    weights of 9 and 1 share requests nine to one even if nothing is in flight.
    """

    name = "least-connections"
    settings = frozenset({"weight", "failure_penalty"})

    def __init__(self) -> None:
        self._turns = WeightedStrategy()

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return the least busy endpoint."""
        with_one_more = min([(row.in_flight + row.failed_lately + 1) / row.weight for row in candidates])
        ties = [row for row in candidates if (row.in_flight + row.failed_lately) / row.weight < with_one_more]
        return ties[0].endpoint if len(ties) == 1 else self._turns.select_endpoint(ties, context)

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Reset all turns."""
        self._turns.retain(endpoints)


class LeastLatencyStrategy(_BuiltInStrategy):
    """Draws two candidates at random by weight, and selects the one that will probably answer first.

    The random draw keeps a fast endpoint from getting all requests. If both are about equally fast, the first one is
    selected unless it is busier for its weight. Otherwise the endpoint is selected whose latency, times its requests in
    flight with this one, divided by its weight, is lower.
    """

    name = "least-latency"
    settings = frozenset({"weight", "ewma_decay", "ewma_seed", "failure_penalty"})

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, and has no use in security

    @classmethod
    def configured(cls, _policy: Policy, rng: random.Random) -> Self:
        """Build the strategy with the random numbers of *rng*."""
        return cls(rng)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return the better one of two random candidates."""
        del context
        if len(candidates) == 1:
            return candidates[0].endpoint
        first = self._draw(candidates)
        second = self._draw([row for row in candidates if row is not first])
        return (second if _is_better(second, first) else first).endpoint

    def _draw(self, rows: Sequence[Candidate]) -> Candidate:
        """Return a random candidate, with a probability in proportion to its weight."""
        point = self._rng.random() * sum([row.weight for row in rows])
        for row in rows:
            point -= row.weight
            if point < 0:
                return row
        return rows[-1]


def _is_better(one: Candidate, other: Candidate) -> bool:
    """Return whether *one* is clearly faster than *other*, or about as fast and less busy."""
    if max(one.latency, other.latency) > _ALIKE * min(one.latency, other.latency):
        return _cost(one) < _cost(other)
    return (one.in_flight + 1) / one.weight <= other.in_flight / other.weight


def _cost(row: Candidate) -> float:
    return row.latency * (row.in_flight + 1) / row.weight


class CacheAffinityStrategy(_BuiltInStrategy):
    """Sends the same conversation to the same subaccount, as long as that is not overloaded.

    The prompt cache of a provider belongs to the tenant, so the key selects a subaccount, by a weighted rendezvous
    hash. This needs no table and gives the same result in every worker. A subaccount that would have more than *load*
    times its fair share of the requests in flight, and more than *floor* requests, is skipped for the next in rank. The
    deployments of a subaccount take turns by weight. A request without a key goes to the least busy endpoint.
    """

    name = "cache-affinity"
    settings = frozenset({"weight", "failure_penalty", "affinity_load", "affinity_floor"})

    def __init__(self, load: float = 1.25, floor: int = 2) -> None:
        self._load = load
        self._floor = floor
        self._turns = WeightedStrategy()
        self._least_connections = LeastConnectionsStrategy()

    @classmethod
    def configured(cls, policy: Policy, _rng: random.Random) -> Self:
        """Build the strategy with the configured bounds."""
        return cls(policy.affinity_load, policy.affinity_floor)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return an endpoint of the first subaccount that has room, in the rank of the affinity key."""
        if not context.affinity_key:
            return self._least_connections.select_endpoint(candidates, context)
        weights: dict[str, float] = {}
        loads: dict[str, int] = {}
        for row in candidates:
            name = row.endpoint.subaccount
            if name in weights:
                weights[name] += row.weight
                loads[name] += row.in_flight
            else:
                weights[name], loads[name] = row.weight, row.in_flight
        pulls = _pulls(context.affinity_key, tuple(weights))
        ranks = dict(zip(weights, map(mul, weights.values(), pulls), strict=True))
        home = max(ranks, key=ranks.__getitem__)
        if loads[home] >= self._floor:
            share = (sum(loads.values()) + 1) / sum(weights.values())
            while loads[home] >= self._bound(weights[home] * share):
                del ranks[home]
                home = max(ranks, key=ranks.__getitem__)
        return self._turns.select_endpoint([row for row in candidates if row.endpoint.subaccount == home], context)

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Reset all turns."""
        self._turns.retain(endpoints)
        self._least_connections.retain(endpoints)

    def _bound(self, fair: float) -> int:
        """Return the maximum of requests in flight for a subaccount whose fair share is *fair*, with this request."""
        return max(self._floor, math.ceil(self._load * fair))


@lru_cache(maxsize=1_024)
def _digest(text: str) -> int:
    """Return a 64-bit hash of *text*, which is the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


@lru_cache(maxsize=4_096)
def _pulls(key: str, subaccounts: tuple[str, ...]) -> tuple[float, ...]:
    """Return the rendezvous hash of *key* with each of *subaccounts*, in their order."""
    return tuple([_pull(_digest(key), _digest(name)) for name in subaccounts])


def _pull(key: int, subaccount: int) -> float:
    """Return a rendezvous hash: of such hashes times weights, the highest wins in proportion to its weight."""
    mixed = (key ^ subaccount) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _MASK
    uniform = ((mixed >> 12) + 0.5) / 2**52  # above 0 and below 1, as the logarithm needs it
    return -1 / math.log(uniform)


class PriorityStrategy(_BuiltInStrategy):
    """Selects an endpoint of the lowest tier that has room.

    Unavailable endpoints are no candidates, so a tier without available endpoints is skipped. If *full* is above 0, an
    endpoint is full with that many requests in flight per unit of its weight. If all tiers are full, the least busy
    endpoint is selected. While a whole tier is in slow start, it takes turns with the next one.
    """

    name = "priority"
    settings = frozenset({"tier", "priority_full"})

    def __init__(self, full: int = 0) -> None:
        self._full = full or math.inf
        self._turns = RoundRobinStrategy()
        self._least_connections = LeastConnectionsStrategy()

    @classmethod
    def configured(cls, policy: Policy, _rng: random.Random) -> Self:
        """Build the strategy with the configured limit."""
        return cls(policy.priority_full)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Return an endpoint of the lowest tier that has room."""
        roomy = [row for row in candidates if row.in_flight < self._full * row.endpoint.weight]
        if not roomy:
            return self._least_connections.select_endpoint(candidates, context)
        tiers = [row.endpoint.tier for row in roomy if row.weight >= row.endpoint.weight]
        tier = min(tiers or [row.endpoint.tier for row in roomy])
        return self._turns.select_endpoint([row for row in roomy if row.endpoint.tier <= tier], context)

    @classmethod
    def reads(cls, policy: Policy) -> frozenset[str]:
        """Return the settings that it reads: tiers, and weights if an endpoint can be full."""
        return cls.settings | ({"weight", "failure_penalty"} if policy.priority_full else set())

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Reset all turns."""
        self._turns.retain(endpoints)
        self._least_connections.retain(endpoints)


_STRATEGIES: dict[str, type[LoadBalancingStrategy]] = {
    "round-robin": RoundRobinStrategy,
    "weighted": WeightedStrategy,
    "least-connections": LeastConnectionsStrategy,
    "least-latency": LeastLatencyStrategy,
    "cache-affinity": CacheAffinityStrategy,
    "priority": PriorityStrategy,
}
STRATEGIES: Mapping[str, type[LoadBalancingStrategy]] = MappingProxyType(_STRATEGIES)
"""The strategies by their names in config files."""


_Strategy = TypeVar("_Strategy", bound=LoadBalancingStrategy)


def register_strategy(cls: type[_Strategy]) -> type[_Strategy]:
    """Register *cls* under the name that its `get_name` returns; usable as a decorator.

    Raises `ValueError` if another class has that name.
    """
    name = _build(cls, Policy(), None).get_name()
    if _STRATEGIES.get(name, cls) is not cls:
        raise ValueError(f"a strategy named {name!r} exists already")
    _STRATEGIES[name] = cls
    return cls


def make_strategy(name: str, policy: Policy, rng: random.Random | None = None) -> LoadBalancingStrategy:
    """Build the strategy *name* from the settings; raises `ValueError` for an unknown name."""
    if name not in _STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(_STRATEGIES)}, not {name!r}")
    return _build(_STRATEGIES[name], policy, rng)


def _build(cls: type[LoadBalancingStrategy], policy: Policy, rng: random.Random | None) -> LoadBalancingStrategy:
    return cls.configured(policy, rng or random.Random())  # noqa: S311 - spreads load, and has no use in security
