"""How routing behaves: every number of it, as a setting with a default, a unit and a range."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, get_args

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most that a number may be."""

    low: float
    high: float


Seconds = Annotated[float, Range(0.001, _DAY)]
SecondsOrZero = Annotated[float, Range(0, _DAY)]
"""Zero switches something off, or makes it happen at once."""


def _check(settings: "DataclassInstance", *order: tuple[str, str]) -> None:
    """Refuse a number outside its range, and a limit, the second of a pair in *order*, that is below what it limits."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        for option in (each.type, *get_args(each.type)):
            for limit in getattr(option, "__metadata__", ()):
                if value is not None and not limit.low <= value <= limit.high:
                    raise ValueError(f"{each.name} must be between {limit.low:g} and {limit.high:g}, not {value!r}")
    for lower, upper in order:
        low, high = getattr(settings, lower), getattr(settings, upper)
        if high < low:
            raise ValueError(f"{upper} must be at least {lower} ({low:g}), not {high!r}")


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit opens, for how long, and how its endpoint comes back."""

    failure_threshold: Annotated[int, Range(1, 1_000)] = 5
    """Failures in a row that open a circuit."""
    failure_rate: Annotated[float, Range(0.01, 2)] = 0.5
    """Share of failures within the window that opens a circuit, 0 to 1; above 1 nothing reaches it."""
    minimum_outcomes: Annotated[int, Range(1, 1_000_000)] = 10
    """Outcomes within the window below which their rate says nothing."""
    window: Seconds = 30.0
    """Seconds over which outcomes are remembered for the rate."""
    timeout: Seconds = 10.0
    """Seconds that a circuit stays open the first time; doubled each time a probe fails."""
    timeout_cap: Seconds = 300.0
    """Seconds that it stays open at most, before jitter."""
    timeout_jitter: Annotated[float, Range(0, 0.9)] = 0.2
    """Share by which that time is made longer or shorter at random, so that circuits do not probe in step."""
    fixed_timeout: bool = False
    """Whether a circuit stays open for exactly `timeout` each time: no doubling, no jitter."""
    forgive_after: Seconds = 60.0
    """Seconds of health that take back one doubling."""
    success_threshold: Annotated[int, Range(1, 1_000)] = 1
    """Probes in a row that must succeed to close a circuit."""
    slow_start: SecondsOrZero = 30.0
    """Seconds until an endpoint has its full weight after joining, a cooldown or an open circuit; 0 is at once."""
    slow_start_floor: Annotated[float, Range(0.01, 1)] = 0.1
    """Share of its weight that an endpoint starts with."""

    def __post_init__(self) -> None:
        _check(self, ("timeout", "timeout_cap"))


@dataclass(frozen=True, slots=True)
class CooldownPolicy:
    """How long an endpoint is left alone where a quota was used up or a token refused."""

    floor: SecondsOrZero = 0.5
    """Seconds that a cooldown lasts at least, however short the hint."""
    cap: SecondsOrZero = 300.0
    """Seconds that a cooldown lasts at most by a hint, before jitter."""
    jitter: Annotated[float, Range(0, 1)] = 0.1
    """Share by which a cooldown is made longer at random; never shorter."""
    base: Seconds = 5.0
    """Seconds of the first cooldown without a hint; doubled for each one after it until a success."""
    base_cap: Seconds = 60.0
    """Seconds that a cooldown without a hint lasts at most, before jitter."""
    credentials: Seconds = 60.0
    """Seconds that a subaccount is in cooldown when it refuses the proxy's token, or forbids the use of all its
    deployments; doubled each time until a success."""
    credentials_cap: Seconds = 600.0
    """Seconds that it is in cooldown at most, before jitter."""
    wait_at_most: SecondsOrZero = 2.0
    """Seconds that a request may be held until an endpoint may be asked."""

    def __post_init__(self) -> None:
        _check(self, ("floor", "cap"), ("base", "base_cap"), ("credentials", "credentials_cap"))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is tried again, and what all requests together may spend on that."""

    max_attempts: Annotated[int, Range(1, 100)] = 3
    """Upstream calls that one request may make."""
    budget_ratio: Annotated[float, Range(0, 10)] = 0.2
    """Retries per request of the last `budget_window` seconds."""
    budget_window: Seconds = 10.0
    """Seconds over which requests earn retries."""
    budget_reserve: Annotated[int, Range(0, 1_000_000)] | None = None
    """Retries that are there without any traffic; what is spent of them is back within `budget_window`.

    None is enough to open the circuit of every endpoint of a model once, and at least 10."""
    backoff_base: SecondsOrZero = 0.25
    """Seconds of the longest first pause before the same endpoints are tried again; doubled for each one after it."""
    backoff_cap: SecondsOrZero = 8.0
    """Seconds that a pause lasts at most."""
    hint_cap: SecondsOrZero = 10.0
    """Seconds of a retry hint above which it is passed on and not waited for."""

    def __post_init__(self) -> None:
        _check(self, ("backoff_base", "backoff_cap"))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what."""

    connect: Seconds = 5.0
    """Seconds until a connection must stand."""
    first_event: Seconds = 60.0
    """Seconds until a stream must have said something."""
    idle: Seconds = 120.0
    """Seconds that a stream may be silent between two events."""
    answer: Seconds = 300.0
    """Seconds that an answer in one piece may be silent, for each attempt."""
    silence: Seconds = 600.0
    """Seconds in place of the three above for a model that thinks without a sign of life, unless it has its own."""
    total: Seconds = 600.0
    """Seconds that a request may take, all attempts together."""
    keep_alive: Seconds = 10.0
    """Seconds until a waiting caller gets headers and a comment, and between comments from then on."""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """What differs for one model; None is as for all."""

    strategy: str | None = None
    """The name of the strategy that balances this model."""
    first_event: Seconds | None = None
    """Seconds until a stream must have said something: reasoning models think long."""
    idle: Seconds | None = None
    """Seconds that a stream may be silent between two events."""
    answer: Seconds | None = None
    """Seconds that an answer in one piece may be silent, for each attempt."""
    total: Seconds | None = None
    """Seconds that a request may take, all attempts together."""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole of it."""

    strategy: str = "round-robin"
    """The name of the strategy that balances every model that names none of its own."""
    breaker: BreakerPolicy = BreakerPolicy()
    cooldown: CooldownPolicy = CooldownPolicy()
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    health_check_interval: SecondsOrZero = 30.0
    """Seconds between two active checks of the endpoints whose circuit is not closed; 0 is never."""
    health_check_timeout: Seconds = 5.0
    """Seconds that one active check may take."""
    discovery_interval: SecondsOrZero = 60.0
    """Seconds between two listings of a subaccount's deployments; 0 is never."""
    affinity_load: Annotated[float, Range(1, 100)] = 1.25
    """Times its fair share that a subaccount may be loaded before `cache-affinity` passes it over."""
    affinity_floor: Annotated[int, Range(1, 1_000_000)] = 2
    """Requests in flight that a subaccount may always have under `cache-affinity`."""
    ewma_decay: Seconds = 10.0
    """Seconds in which a measured latency loses all but 37 % of its say."""
    ewma_seed: Seconds = 1.0
    """Seconds of latency that an endpoint is credited with before it was measured."""
    failure_penalty: Seconds = 5.0
    """Seconds of latency that a failure without a hint counts as; so long it counts as in flight, too."""
    priority_full: Annotated[int, Range(0, 1_000_000)] = 0
    """Requests in flight per weight at which `priority` calls an endpoint full; 0 is never."""
    models: Mapping[str, ModelPolicy] = field(default_factory=dict)
    """What differs for one model, under any of its names."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """More names for models."""
    fallbacks: Mapping[str, tuple[str, ...]] | None = None
    """For each family, the models that may answer instead, best first; None is the built-in table."""
    fallback: bool = True
    """Whether another model of the family may answer for one that is not deployed."""

    def __post_init__(self) -> None:
        _check(self)

    def for_model(self, model: str) -> ModelPolicy | None:
        """What differs for *model*; None if nothing does. `ModelPolicies` find it under any of the model's names."""
        find: Callable[[str], ModelPolicy | None] = getattr(self.models, "find", self.models.get)
        return find(model)

    def strategy_for(self, model: str) -> str:
        """The name of the strategy that balances *model*."""
        own = self.for_model(model)
        return self.strategy if own is None or own.strategy is None else own.strategy

    def timeouts_for(self, model: str, *, silent: bool = False) -> Timeouts:
        """How long *model* may take; *silent* while it thinks and says nothing meanwhile."""
        own, usual = self.for_model(model), self.timeouts
        if silent:
            usual = replace(usual, first_event=usual.silence, idle=usual.silence, answer=usual.silence)
        if own is None:
            return usual
        names = ("first_event", "idle", "answer", "total")
        return replace(usual, **{name: getattr(own, name) for name in names if getattr(own, name) is not None})
