"""How to select one of several endpoints that are all available.

A strategy sees candidates and names one of them. It is called with the balancer's
lock held, so it does no I/O, never waits and calls nobody back. It keeps turns, not
loads: nothing it remembers can leak. What it remembers is guarded by a lock of its
own, held for a few assignments, so a strategy is as exact without a balancer.
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
"""How many times as long two endpoints may take and still count as equally fast."""


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What is known of a request when an endpoint is selected for it."""

    affinity_key: str = ""
    """Equal for requests that share a prompt cache; empty if nothing is known."""
    preferred: Endpoint | None = None
    """The endpoint that made what the request brings along: it is asked before the strategy is, if it is available."""
    caller: str = ""
    """The name of the caller's key; empty if callers have none."""
    tags: frozenset[str] = frozenset()
    """The words that the request was tagged with."""
    input_tokens: int | None = None
    """An estimate of the tokens of the request's input; None if nobody counted."""
    count_input: Callable[[], int | None] | None = None
    """Counts them; asked only for a strategy that reads `input_tokens`, and under no lock."""


NO_CONTEXT = SelectionContext()


class LoadBalancingStrategy(ABC):
    """Selects one of at least one candidate."""

    @classmethod
    def configured(cls, _policy: Policy, _rng: random.Random) -> Self:
        """Build one by the settings; a strategy without settings has nothing to do here."""
        return cls()

    @classmethod
    def reads(cls, _policy: Policy) -> frozenset[str]:
        """Name what it reads: an endpoint's `weight` and `tier`, the `input_tokens` of a request, a policy's settings.

        Tokens are counted only for a strategy that names them.
        """
        return frozenset({"weight", "tier", "input_tokens"})

    @abstractmethod
    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select one. *candidates* is never empty, is of one model, and keeps its order from call to call."""

    @abstractmethod
    def get_name(self) -> str:
        """Return the name that config files use."""

    def retain(self, endpoints: Collection[Endpoint]) -> None:  # noqa: B027 - most strategies remember nothing
        """Forget all that is not about *endpoints*: the pool has changed."""


class _BuiltInStrategy(LoadBalancingStrategy):
    """A strategy of this package: its name, and which settings it reads. It does not read the input's tokens."""

    name: ClassVar[str]
    settings: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def reads(cls, _policy: Policy) -> frozenset[str]:
        """Name the settings that it reads."""
        return cls.settings

    def get_name(self) -> str:
        """Return the name that config files use."""
        return self.name


class _Turns:
    """When each was served last, by the count of selections; one that never was comes first."""

    __slots__ = ("last", "now")

    def __init__(self) -> None:
        self.now = 0
        self.last: defaultdict[str, int] = defaultdict(int)

    def take(self, names: Iterable[str]) -> str:
        """Give the turn to the one that was served longest ago."""
        name = min(names, key=self.last.__getitem__)
        self.now = self.last[name] = self.now + 1
        return name

    def take_by(self, shares: Mapping[str, float]) -> str:
        """Give it so, but one that has a smaller share than 1 waits as much longer."""
        total, last = sum(shares.values()), self.last
        due = {name: last[name] + total * (1 / share - 1) for name, share in shares.items()}
        return self.take([min(due, key=due.__getitem__)])


class RoundRobinStrategy(_BuiltInStrategy):
    """Subaccounts take turns; within one, its deployments take turns.

    The next is the one served longest ago, so one that drops out and comes back neither
    changes the order of the others nor catches up on what it missed. Turns of a model are its
    own, and so are those of a model within a subaccount.

    Weights that are configured do not matter. One that starts slowly waits as much longer as
    its share is smaller; a subaccount waits if all that it has starts slowly, so that one
    deployment coming back takes nothing from those beside it.
    """

    name = "round-robin"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subaccounts: defaultdict[str, _Turns] = defaultdict(_Turns)
        self._deployments: defaultdict[tuple[str, str], _Turns] = defaultdict(_Turns)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select the deployment that waits longest, in the subaccount that waits longest."""
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
        """Begin all turns anew."""
        del endpoints
        with self._lock:
            self._subaccounts.clear()
            self._deployments.clear()


def _share(row: Candidate) -> float:
    return row.weight / row.endpoint.weight


@dataclass(slots=True)
class _Purse:
    """What each deployment of a model is owed, and the most that it could be."""

    owed: dict[tuple[str, str], float]
    most: float = 0.0


class WeightedStrategy(_BuiltInStrategy):
    """Smooth weighted round robin: 5:1:1 gives A A B A C A A, never A A A A A B C.

    Each round every candidate earns its weight, and the richest pays for all. What is
    paid is what was earned, so credits add up to zero whichever take part; one that is absent
    keeps its own, within what it could have come to by taking part.
    """

    name = "weighted"
    settings = frozenset({"weight"})

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._purses: dict[str, _Purse] = {}

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose whoever is owed most."""
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
        """Begin all rounds anew."""
        del endpoints
        with self._lock:
            self._purses.clear()


class LeastConnectionsStrategy(_BuiltInStrategy):
    """The fewest requests in flight for its weight, with those that failed lately; ties take turns by weight.

    Two endpoints tie if neither would have more for its weight with one request more than
    the other has now. So weights of 9 and 1 are nine to one when nothing is in flight, too.
    """

    name = "least-connections"
    settings = frozenset({"weight", "failure_penalty"})

    def __init__(self) -> None:
        self._turns = WeightedStrategy()

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select the least busy."""
        with_one_more = min([(row.in_flight + row.failed_lately + 1) / row.weight for row in candidates])
        ties = [row for row in candidates if (row.in_flight + row.failed_lately) / row.weight < with_one_more]
        return ties[0].endpoint if len(ties) == 1 else self._turns.select_endpoint(ties, context)

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Begin all turns anew."""
        self._turns.retain(endpoints)


class LeastLatencyStrategy(_BuiltInStrategy):
    """Of two candidates at random, the one that will probably answer first.

    Both are drawn by weight, which keeps a fast endpoint from being run over. If both are
    about equally fast, the first goes unless it is busier for its weight, so weights hold;
    else the one with less latency times the requests it would then have in flight, for its weight.
    """

    name = "least-latency"
    settings = frozenset({"weight", "ewma_decay", "ewma_seed", "failure_penalty"})

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing

    @classmethod
    def configured(cls, _policy: Policy, rng: random.Random) -> Self:
        """Build one that draws from *rng*."""
        return cls(rng)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select the better one of two."""
        del context
        if len(candidates) == 1:
            return candidates[0].endpoint
        first = self._draw(candidates)
        second = self._draw([row for row in candidates if row is not first])
        return (second if _is_better(second, first) else first).endpoint

    def _draw(self, rows: Sequence[Candidate]) -> Candidate:
        """Draw one at random, each as often as it weighs."""
        point = self._rng.random() * sum([row.weight for row in rows])
        for row in rows:
            point -= row.weight
            if point < 0:
                return row
        return rows[-1]


def _is_better(one: Candidate, other: Candidate) -> bool:
    """Whether *one* will answer clearly sooner than *other*, or as soon while it is less busy."""
    if max(one.latency, other.latency) > _ALIKE * min(one.latency, other.latency):
        return _cost(one) < _cost(other)
    return (one.in_flight + 1) / one.weight <= other.in_flight / other.weight


def _cost(row: Candidate) -> float:
    return row.latency * (row.in_flight + 1) / row.weight


class CacheAffinityStrategy(_BuiltInStrategy):
    """The same conversation goes to the same subaccount, as long as that is not overloaded.

    A provider's prompt cache belongs to the tenant, so the choice is among subaccounts,
    by weighted rendezvous hash: no table, and the same in every worker. A subaccount
    that would carry more than *load* times its fair share, and more than *floor*, is
    passed over for the next in rank. Its deployments take turns by weight. A request
    without a key goes where the fewest requests are in flight.
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
        """Build one with the configured bounds."""
        return cls(policy.affinity_load, policy.affinity_floor)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select the first subaccount in this key's rank that has room."""
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
        """Begin all turns anew."""
        self._turns.retain(endpoints)
        self._least_connections.retain(endpoints)

    def _bound(self, fair: float) -> int:
        """How many requests a subaccount may have whose fair share is *fair*, this one included."""
        return max(self._floor, math.ceil(self._load * fair))


@lru_cache(maxsize=1_024)
def _digest(text: str) -> int:
    """Sixty-four bits of *text*, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


@lru_cache(maxsize=4_096)
def _pulls(key: str, subaccounts: tuple[str, ...]) -> tuple[float, ...]:
    """How each of *subaccounts* draws *key*, in their order."""
    return tuple([_pull(_digest(key), _digest(name)) for name in subaccounts])


def _pull(key: int, subaccount: int) -> float:
    """Weighted rendezvous: of these, times its weight, the highest wins with a chance proportional to the weight."""
    mixed = (key ^ subaccount) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _MASK
    uniform = ((mixed >> 12) + 0.5) / 2**52  # never quite 0 or 1, which have no use for a logarithm
    return -1 / math.log(uniform)


class PriorityStrategy(_BuiltInStrategy):
    """The first tier takes all; the next one what that cannot take.

    What is unavailable is no candidate, so a tier that can take nothing is not seen.
    With *full* above zero, an endpoint with that many requests in flight per weight is
    full; when all tiers are full the least busy takes it. While all of a tier starts
    slowly, it takes turns with the next.
    """

    name = "priority"
    settings = frozenset({"tier", "priority_full"})

    def __init__(self, full: int = 0) -> None:
        self._full = full or math.inf
        self._turns = RoundRobinStrategy()
        self._least_connections = LeastConnectionsStrategy()

    @classmethod
    def configured(cls, policy: Policy, _rng: random.Random) -> Self:
        """Build one with the configured measure of full."""
        return cls(policy.priority_full)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Select within the lowest tier that has room."""
        roomy = [row for row in candidates if row.in_flight < self._full * row.endpoint.weight]
        if not roomy:
            return self._least_connections.select_endpoint(candidates, context)
        tiers = [row.endpoint.tier for row in roomy if row.weight >= row.endpoint.weight]
        tier = min(tiers or [row.endpoint.tier for row in roomy])
        return self._turns.select_endpoint([row for row in roomy if row.endpoint.tier <= tier], context)

    @classmethod
    def reads(cls, policy: Policy) -> frozenset[str]:
        """Read the tiers, and the weights if an endpoint can be full."""
        return cls.settings | ({"weight", "failure_penalty"} if policy.priority_full else set())

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Begin all turns anew."""
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
"""Every strategy that a config file can name."""


_Strategy = TypeVar("_Strategy", bound=LoadBalancingStrategy)


def register_strategy(cls: type[_Strategy]) -> type[_Strategy]:
    """Make *cls* available to config files under the name it gives itself; usable as a decorator."""
    name = _build(cls, Policy(), None).get_name()
    if _STRATEGIES.get(name, cls) is not cls:
        raise ValueError(f"a strategy named {name!r} exists already")
    _STRATEGIES[name] = cls
    return cls


def make_strategy(name: str, policy: Policy, rng: random.Random | None = None) -> LoadBalancingStrategy:
    """Build the strategy of that name by the settings."""
    if name not in _STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(_STRATEGIES)}, not {name!r}")
    return _build(_STRATEGIES[name], policy, rng)


def _build(cls: type[LoadBalancingStrategy], policy: Policy, rng: random.Random | None) -> LoadBalancingStrategy:
    return cls.configured(policy, rng or random.Random())  # noqa: S311 - spreads load, guards nothing
