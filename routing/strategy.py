"""How to choose among endpoints that may all be chosen.

A strategy sees rows of candidates and names one. It is called with the balancer's
lock held, so it does no I/O, never waits and asks nobody back. It keeps turns, not
loads: nothing it remembers can leak. What it remembers is guarded by a lock of its
own, held for a few assignments, so a strategy is as exact without a balancer.
"""

import math
import random
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from operator import mul
from types import MappingProxyType
from typing import NamedTuple, Self, TypeVar

from routing.policy import Policy

_MASK = 2**64 - 1


class QuotaDomain(NamedTuple):
    """What shares one request quota of SAP AI Core: a model in a tenant."""

    subaccount: str
    model: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One deployment of one model in one subaccount.

    *url* has no slash at its end, *model* is the deployed name, *weight* is the share
    of traffic it should get, *tier* its priority: the lowest comes first. Settings do
    not make it another: it keeps its history when they change.
    """

    subaccount: str
    url: str
    model: str
    resource_group: str = field(default="default", compare=False)
    weight: float = field(default=1.0, compare=False)
    tier: int = field(default=0, compare=False)
    runs: str = field(default="", compare=False)
    """The model that the deployment says it runs; empty where it was not asked."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight must be above 0 and finite, not {self.weight!r}")

    def __hash__(self) -> int:
        return hash(self.url)

    @property
    def deployment(self) -> str:
        """The id of the deployment: what follows `/deployments/` in the URL, else its last part."""
        _, found, rest = self.url.rpartition("/deployments/")
        return rest.partition("/")[0] if found else self.url.rstrip("/").rpartition("/")[2]

    @property
    def backend(self) -> str:
        """The name of the model that decides how it is asked: what the deployment says outranks what it is called."""
        return self.runs or self.model

    @property
    def domain(self) -> QuotaDomain:
        """The quota that it draws on."""
        return QuotaDomain(self.subaccount, self.model)


class Candidate(NamedTuple):
    """An endpoint that may be chosen now, and what it costs to choose it."""

    endpoint: Endpoint
    in_flight: int = 0
    weight: float = 1.0
    """The endpoint's weight, less what slow start holds back."""
    latency: float = 1.0
    """Seconds to first content, by the peak-sensitive moving average; 0 for one that is to be probed."""


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a request says about where it would like to go."""

    affinity_key: str = ""
    """Equal for requests that share a prompt cache; empty if nothing is known."""
    preferred: Endpoint | None = None
    """Who made what the request brings along, and is asked before any strategy is; others only if it cannot be."""


NO_CONTEXT = SelectionContext()


class LoadBalancingStrategy(ABC):
    """Chooses one of at least one candidate."""

    @classmethod
    def configured(cls, _policy: Policy, _rng: random.Random) -> Self:
        """Build one by the settings; a strategy without settings has nothing to do here."""
        return cls()

    @abstractmethod
    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose. *candidates* is never empty, is of one model, and keeps its order from call to call."""

    @abstractmethod
    def get_name(self) -> str:
        """The name that config files use."""

    def retain(self, endpoints: Collection[Endpoint]) -> None:  # noqa: B027 - most strategies remember nothing
        """Forget all that is not about *endpoints*: the pool has changed."""


class _Turns:
    """When each was served last, by the count of choices among them; who never was comes first."""

    __slots__ = ("last", "now")

    def __init__(self) -> None:
        self.now = 0
        self.last: defaultdict[str, int] = defaultdict(int)

    def take(self, names: Iterable[str]) -> str:
        """Give the turn to who was served longest ago."""
        return self._give(min(names, key=self.last.__getitem__))

    def take_by(self, shares: Mapping[str, float]) -> str:
        """Give it so, but who has a smaller share than 1 waits as much longer."""
        total, last = sum(shares.values()), self.last
        due = {name: last[name] + total * (1 / share - 1) for name, share in shares.items()}
        return self._give(min(due, key=due.__getitem__))

    def _give(self, name: str) -> str:
        self.now = self.last[name] = self.now + 1
        return name


class RoundRobinStrategy(LoadBalancingStrategy):
    """Subaccounts take turns; within one, its deployments take turns.

    The next is who was served longest ago, so who drops out and comes back neither
    loses the others' order nor catches up on what it missed. Turns of a model are its
    own, and so are those of a model within a subaccount.

    Weights that are configured do not matter. Who starts slowly waits as much longer as
    its share is smaller; a subaccount waits if all that it has starts slowly, so that one
    deployment coming back takes nothing from those beside it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subaccounts: defaultdict[str, _Turns] = defaultdict(_Turns)
        self._deployments: defaultdict[tuple[str, str], _Turns] = defaultdict(_Turns)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose who waits longest where it waited longest."""
        del context
        model = candidates[0].endpoint.model
        if [row for row in candidates if row[2] < row[0].weight]:
            return self._select_by_share(model, candidates)
        names = [row[0].subaccount for row in candidates]
        with self._lock:
            name = self._subaccounts[model].take(names)
            here = {row[0].url: row[0] for row in candidates if row[0].subaccount == name}
            return here[self._deployments[name, model].take(here)]

    def _select_by_share(self, model: str, candidates: Sequence[Candidate]) -> Endpoint:
        """Choose where some start slowly."""
        shares: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for endpoint, _, weight, _ in candidates:
            shares[endpoint.subaccount][endpoint.url] = weight / endpoint.weight
        best = {name: max(here.values()) for name, here in shares.items()}
        with self._lock:
            name = self._subaccounts[model].take_by(best)
            url = self._deployments[name, model].take_by(shares[name])
        return next(row[0] for row in candidates if row[0].url == url and row[0].subaccount == name)

    def get_name(self) -> str:
        """Return `round-robin`."""
        return "round-robin"

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the turns of those who left."""
        with self._lock:
            subaccounts, self._subaccounts = self._subaccounts, defaultdict(_Turns)
            deployments, self._deployments = self._deployments, defaultdict(_Turns)
            for endpoint in endpoints:
                _carry(subaccounts, self._subaccounts, endpoint.model, endpoint.subaccount)
                _carry(deployments, self._deployments, endpoint.domain, endpoint.url)


_K = TypeVar("_K")


def _carry(before: Mapping[_K, _Turns], after: Mapping[_K, _Turns], key: _K, name: str) -> None:
    """Take one turn over from *before* to *after*, if there is one."""
    turns = before.get(key, _Turns())
    turn = turns.last.get(name)
    if turn:
        after[key].now, after[key].last[name] = turns.now, turn


@dataclass(slots=True)
class _Purse:
    """What each deployment of a model is owed, and the most that it could be."""

    owed: dict[tuple[str, str], float]
    most: float = 0.0


class WeightedStrategy(LoadBalancingStrategy):
    """Smooth weighted round robin: 5:1:1 gives A A B A C A A, never A A A A A B C.

    Each round every candidate earns its weight, and the richest pays for all. What is
    paid is what was earned, so credits add up to zero whoever takes part; who is absent
    keeps its own, within what it could have come to by taking part.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._purses: dict[str, _Purse] = {}

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose whoever is owed most."""
        del context
        total = sum([row.weight for row in candidates])
        richest, most = candidates[0].endpoint, -math.inf
        with self._lock:
            purse = self._purses.setdefault(richest.model, _Purse({}))
            purse.most = limit = max(purse.most, total)
            for endpoint, _, weight, _ in candidates:
                key = endpoint.subaccount, endpoint.url
                owed = purse.owed.get(key, 0.0) + weight
                purse.owed[key] = owed
                if owed > most:
                    richest, most = endpoint, owed
            purse.owed[richest.subaccount, richest.url] = max(most - total, -limit)
            return richest

    def get_name(self) -> str:
        """Return `weighted`."""
        return "weighted"

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the credit of those who left."""
        with self._lock:
            before, self._purses = self._purses, {}
            for endpoint in endpoints:
                key = endpoint.subaccount, endpoint.url
                owed = before.get(endpoint.model, _Purse({})).owed.get(key)
                if owed is not None:
                    self._purses.setdefault(endpoint.model, _Purse({})).owed[key] = owed


class _TakingTurns(LoadBalancingStrategy):
    """A rule that narrows the choice, and leaves what is left to turns."""

    def __init__(self) -> None:
        self._turns = RoundRobinStrategy()

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the turns of those who left."""
        self._turns.retain(endpoints)


class LeastConnectionsStrategy(_TakingTurns):
    """The fewest requests in flight for its weight; ties take turns."""

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose the least busy."""
        least = math.inf
        ties: list[Candidate] = []
        for row in candidates:
            load = row.in_flight / row.weight
            if load < least:
                least, ties = load, [row]
            elif load == least:
                ties.append(row)
        return ties[0].endpoint if len(ties) == 1 else self._turns.select_endpoint(ties, context)

    def get_name(self) -> str:
        """Return `least-connections`."""
        return "least-connections"


class LeastLatencyStrategy(LoadBalancingStrategy):
    """Of two candidates at random, the one that will probably answer first.

    The cost of a candidate is its latency times the requests it would then have in
    flight, for its weight. Two random choices keep a fast endpoint from being run over.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing

    @classmethod
    def configured(cls, _policy: Policy, rng: random.Random) -> Self:
        """Build one that draws from *rng*."""
        return cls(rng)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose the cheaper of two."""
        del context
        count = len(candidates)
        if count == 1:
            return candidates[0].endpoint
        one = int(self._rng.random() * count)
        step = 1 + int(self._rng.random() * (count - 1))
        return min(candidates[one], candidates[(one + step) % count], key=_cost).endpoint

    def get_name(self) -> str:
        """Return `least-latency`."""
        return "least-latency"


def _cost(row: Candidate) -> float:
    return row.latency * (row.in_flight + 1) / row.weight


class CacheAffinityStrategy(_TakingTurns):
    """The same conversation goes to the same subaccount, as long as that is not overloaded.

    A provider's prompt cache belongs to the tenant, so the choice is among subaccounts,
    by weighted rendezvous hash: no table, and the same in every worker. A subaccount
    that would carry more than *load* times its fair share, and more than *floor*, is
    passed over for the next in rank. Its deployments take turns. A request without
    a key goes where it is quietest.
    """

    def __init__(self, load: float = 1.25, floor: int = 2) -> None:
        super().__init__()
        self._load = load
        self._floor = floor
        self._quietest = LeastConnectionsStrategy()

    @classmethod
    def configured(cls, policy: Policy, _rng: random.Random) -> Self:
        """Build one with the configured bounds."""
        return cls(policy.affinity_load, policy.affinity_floor)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose the first subaccount in this key's rank that has room."""
        if not context.affinity_key:
            return self._quietest.select_endpoint(candidates, context)
        weights: dict[str, float] = {}
        loads: dict[str, int] = {}
        for endpoint, in_flight, weight, _ in candidates:
            name = endpoint.subaccount
            if name in weights:
                weights[name] += weight
                loads[name] += in_flight
            else:
                weights[name], loads[name] = weight, in_flight
        share = (sum(loads.values()) + 1) / sum(weights.values())
        pulls = _pulls(context.affinity_key, tuple(weights))
        ranks = dict(zip(weights, map(mul, weights.values(), pulls), strict=True))
        home = max(ranks, key=ranks.__getitem__)
        while loads[home] >= self._bound(weights[home] * share):
            del ranks[home]
            home = max(ranks, key=ranks.__getitem__)
        return self._turns.select_endpoint([row for row in candidates if row[0].subaccount == home], context)

    def get_name(self) -> str:
        """Return `cache-affinity`."""
        return "cache-affinity"

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the turns of those who left."""
        super().retain(endpoints)
        self._quietest.retain(endpoints)

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


class PriorityStrategy(_TakingTurns):
    """The first tier takes all; the next one what that cannot take.

    Who is open or cooling is no candidate, so a tier that can take nothing is not seen.
    With *full* above zero, an endpoint with that many requests in flight per weight is
    full; when all tiers are full the least busy takes it. While all of a tier starts
    slowly, it takes turns with the next.
    """

    def __init__(self, full: int = 0) -> None:
        super().__init__()
        self._full = full or math.inf
        self._quietest = LeastConnectionsStrategy()

    @classmethod
    def configured(cls, policy: Policy, _rng: random.Random) -> Self:
        """Build one with the configured measure of full."""
        return cls(policy.priority_full)

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose within the lowest tier that has room."""
        roomy = [row for row in candidates if row.in_flight < self._full * row.endpoint.weight]
        if not roomy:
            return self._quietest.select_endpoint(candidates, context)
        tiers = [row[0].tier for row in roomy if row[2] >= row[0].weight] or [row[0].tier for row in roomy]
        tier = min(tiers)
        return self._turns.select_endpoint([row for row in roomy if row[0].tier <= tier], context)

    def get_name(self) -> str:
        """Return `priority`."""
        return "priority"

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the turns of those who left."""
        super().retain(endpoints)
        self._quietest.retain(endpoints)


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
