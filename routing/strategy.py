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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple, Self, TypeVar

from routing.policy import Policy


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
    """Seconds to first content, by the peak-sensitive moving average."""


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a request says about where it would like to go."""

    affinity_key: str = ""
    """Equal for requests that share a prompt cache; empty if nothing is known."""


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


class RoundRobinStrategy(LoadBalancingStrategy):
    """Subaccounts take turns; within one, its deployments take turns.

    The next is who was served longest ago, so who drops out and comes back neither
    loses the others' order nor catches up on what it missed. Turns of a model are its
    own, and so are those of a model within a subaccount.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self._served: dict[Endpoint | QuotaDomain, int] = {}

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose who waits longest where it waited longest."""
        del context
        model = candidates[0].endpoint.model
        subaccounts = dict.fromkeys(row[0].subaccount for row in candidates)
        with self._lock:
            domain = min([QuotaDomain(name, model) for name in subaccounts], key=self._turn)
            chosen = min([row[0] for row in candidates if row[0].subaccount == domain.subaccount], key=self._turn)
            self._now = now = self._now + 1
            self._served[domain] = self._served[chosen] = now
            return chosen

    def get_name(self) -> str:
        """Return `round-robin`."""
        return "round-robin"

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the turns of those who left."""
        known = {*endpoints, *(endpoint.domain for endpoint in endpoints)}
        with self._lock:
            self._served = {who: turn for who, turn in self._served.items() if who in known}

    def _turn(self, who: Endpoint | QuotaDomain) -> int:
        return self._served.get(who, 0)


class WeightedStrategy(LoadBalancingStrategy):
    """Smooth weighted round robin: 5:1:1 gives A A B A C A A, never A A A A A B C.

    Each round every candidate earns its weight, and the richest pays for all. What is
    paid is what was earned, so credits add up to zero whoever takes part; who is absent
    keeps its own, within the bounds that all of it could have reached by taking part.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credit: dict[Endpoint, float] = {}

    def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
        """Choose whoever is owed most."""
        del context
        total = sum(row.weight for row in candidates)
        with self._lock:
            credit = self._credit
            richest, most = candidates[0].endpoint, -math.inf
            for endpoint, _, weight, _ in candidates:
                owed = min(max(credit.get(endpoint, 0.0), -total), total) + weight
                credit[endpoint] = owed
                if owed > most:
                    richest, most = endpoint, owed
            credit[richest] = most - total
            return richest

    def get_name(self) -> str:
        """Return `weighted`."""
        return "weighted"

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the credit of those who left."""
        known = set(endpoints)
        with self._lock:
            self._credit = {endpoint: owed for endpoint, owed in self._credit.items() if endpoint in known}


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
        loads = [row.in_flight / row.weight for row in candidates]
        least = min(loads)
        ties = [row for row, load in zip(candidates, loads, strict=True) if load == least]
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
            weights[name] = weights.get(name, 0.0) + weight
            loads[name] = loads.get(name, 0) + in_flight
        share = (sum(loads.values()) + 1) / sum(weights.values())
        roomy = [name for name, weight in weights.items() if loads[name] < self._bound(weight * share)]
        home = max(roomy, key=lambda name: _rank(context.affinity_key, name, weights[name]))
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


def _rank(key: str, subaccount: str, weight: float) -> float:
    """Weighted rendezvous: the chance of the highest rank is proportional to the weight."""
    digest = blake2b(f"{key}\0{subaccount}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    uniform = ((int.from_bytes(digest) >> 12) + 0.5) / 2**52  # never quite 0 or 1, which have no use for a logarithm
    return weight / -math.log(uniform)


class PriorityStrategy(_TakingTurns):
    """The first tier takes all; the next one what that cannot take.

    Who is open or cooling is no candidate, so a tier that can take nothing is not seen.
    With *full* above zero, an endpoint with that many requests in flight per weight is
    full; when all tiers are full the least busy takes it.
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
        roomy = [row for row in candidates if row.in_flight < self._full * row.weight]
        if not roomy:
            return self._quietest.select_endpoint(candidates, context)
        tier = min(row.endpoint.tier for row in roomy)
        return self._turns.select_endpoint([row for row in roomy if row.endpoint.tier == tier], context)

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
