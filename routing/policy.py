"""The settings of routing, each with a default, a unit and a range."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, get_args

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and the highest value that a number may have."""

    low: float
    high: float


Seconds = Annotated[float, Range(0.001, _DAY)]
SecondsOrZero = Annotated[float, Range(0, _DAY)]
"""Seconds, where 0 switches something off or removes a delay."""


def _check(settings: "DataclassInstance", *order: tuple[str, str]) -> None:
    """Raise `ValueError` for a number out of range, or if the second setting of a pair in *order* is lower."""
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
    """Settings of the circuit breaker: when a circuit opens, for how long, and how the deployment comes back."""

    failure_threshold: Annotated[int, Range(1, 1_000)] = 5
    """A circuit opens after this many failures in a row."""
    failure_rate: Annotated[float, Range(0.01, 2)] = 0.5
    """A circuit opens when this share of the requests within the window has failed. Above 1 this rule is off."""
    minimum_outcomes: Annotated[int, Range(1, 1_000_000)] = 10
    """`failure_rate` applies only if at least this many requests have ended within the window."""
    window: Seconds = 30.0
    """The length of the window for the share of failures, in seconds."""
    timeout: Seconds = 10.0
    """A circuit stays open for this many seconds, and twice as long each time a probe fails."""
    timeout_cap: Seconds = 300.0
    """The maximum time that a circuit stays open, in seconds, before jitter."""
    timeout_jitter: Annotated[float, Range(0, 0.9)] = 0.2
    """The open time varies at random by up to this share, so that circuits do not send their probes together."""
    fixed_timeout: bool = False
    """Whether a circuit stays open for exactly `timeout` each time, without doubling and jitter."""
    forgive_after: Seconds = 60.0
    """One doubling of the open time is taken back for this many seconds without a failure each."""
    success_threshold: Annotated[int, Range(1, 1_000)] = 1
    """A circuit closes after this many successful probes in a row."""
    slow_start: SecondsOrZero = 30.0
    """A deployment that is new or comes back has its full weight after this many seconds; 0 means at once."""
    slow_start_floor: Annotated[float, Range(0.01, 1)] = 0.1
    """The share of its weight with which such a deployment starts."""

    def __post_init__(self) -> None:
        _check(self, ("timeout", "timeout_cap"))


@dataclass(frozen=True, slots=True)
class CooldownPolicy:
    """Settings of cooldowns, in which a deployment gets no requests because a quota was used up or a token refused."""

    floor: SecondsOrZero = 0.5
    """A cooldown lasts at least this many seconds, however short the retry hint is."""
    cap: SecondsOrZero = 300.0
    """A cooldown with a retry hint lasts at most this many seconds, before jitter."""
    jitter: Annotated[float, Range(0, 1)] = 0.1
    """A cooldown gets longer at random by up to this share, and never shorter."""
    base: Seconds = 5.0
    """The first cooldown without a hint lasts this many seconds; each further one twice as long, until a success."""
    base_cap: Seconds = 60.0
    """A cooldown without a hint lasts at most this many seconds, before jitter."""
    credentials: Seconds = 60.0
    """A subaccount that refuses the proxy's token, or forbids the use of all its deployments, is in cooldown for this
    many seconds, and twice as long each further time, until a success."""
    credentials_cap: Seconds = 600.0
    """Such a cooldown lasts at most this many seconds, before jitter."""
    wait_at_most: SecondsOrZero = 2.0
    """A request waits for up to this many seconds for a deployment to become available."""

    def __post_init__(self) -> None:
        _check(self, ("floor", "cap"), ("base", "base_cap"), ("credentials", "credentials_cap"))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Settings of retries: the attempts of one request, and the retry budget of all requests to a model."""

    max_attempts: Annotated[int, Range(1, 100)] = 3
    """One request makes at most this many calls to deployments."""
    budget_ratio: Annotated[float, Range(0, 10)] = 0.2
    """Each request of the last `budget_window` seconds allows this many retries."""
    budget_window: Seconds = 10.0
    """Requests count for the retry budget for this many seconds."""
    budget_reserve: Annotated[int, Range(0, 1_000_000)] | None = None
    """This many retries are allowed without any traffic. Used ones are available again after `budget_window` seconds.

    The default is `failure_threshold` times the number of deployments of the model, and at least 10."""
    backoff_base: SecondsOrZero = 0.25
    """If all deployments failed, the first pause lasts up to this many seconds, each further one twice as long."""
    backoff_cap: SecondsOrZero = 8.0
    """A pause lasts at most this many seconds."""
    hint_cap: SecondsOrZero = 10.0
    """A retry hint of more than this many seconds is sent to the client, and the request does not wait for it."""

    def __post_init__(self) -> None:
        _check(self, ("backoff_base", "backoff_cap"))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits of the phases of a request."""

    connect: Seconds = 5.0
    """A connection must be established within this many seconds."""
    first_event: Seconds = 60.0
    """A stream must begin within this many seconds. Once anything has arrived, `idle` applies."""
    idle: Seconds = 120.0
    """A stream may be silent for this many seconds between two events."""
    answer: Seconds = 300.0
    """An answer in one piece may be silent for this many seconds, in each attempt."""
    silence: Seconds = 600.0
    """This many seconds replace `first_event`, `idle` and `answer` for models that are silent while they think, such as
    GPT-5 and Claude 4.7."""
    total: Seconds = 600.0
    """A request may take this many seconds, with all its attempts."""
    keep_alive: Seconds = 10.0
    """A client that waits for a stream gets a keep-alive message every time this many seconds have passed."""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """Settings for one model. A setting that is left out is the same as for all models."""

    strategy: str | None = None
    """The strategy for this model."""
    first_event: Seconds | None = None
    """A stream must begin within this many seconds. Models that think need longer."""
    idle: Seconds | None = None
    """A stream may be silent for this many seconds between two events."""
    answer: Seconds | None = None
    """An answer in one piece may be silent for this many seconds, in each attempt."""
    total: Seconds | None = None
    """A request may take this many seconds, with all its attempts."""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of routing: how the proxy selects a deployment, and what it does when one fails."""

    strategy: str = "round-robin"
    """The strategy for every model that has none of its own."""
    breaker: BreakerPolicy = BreakerPolicy()
    cooldown: CooldownPolicy = CooldownPolicy()
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    health_check_interval: SecondsOrZero = 30.0
    """Deployments whose circuit is not closed are checked every time this many seconds have passed; 0 means never."""
    health_check_timeout: Seconds = 5.0
    """A check may take this many seconds."""
    discovery_interval: SecondsOrZero = 60.0
    """The deployments of a subaccount are listed every time this many seconds have passed; 0 means never."""
    affinity_load: Annotated[float, Range(1, 100)] = 1.25
    """`cache-affinity` skips a subaccount with more than this many times its fair share of the requests in flight."""
    affinity_floor: Annotated[int, Range(1, 1_000_000)] = 2
    """Under `cache-affinity`, a subaccount may always have this many requests in flight."""
    ewma_decay: Seconds = 10.0
    """For `least-latency`, the weight of a measurement falls to 37 % within this many seconds."""
    ewma_seed: Seconds = 1.0
    """`least-latency` assumes a latency of this many seconds for a deployment without measurements."""
    failure_penalty: Seconds = 5.0
    """`least-latency` and `least-connections` count a failure as a request of this many seconds."""
    priority_full: Annotated[int, Range(0, 1_000_000)] = 0
    """For `priority`, a deployment is full with this many requests in flight per unit of its weight; 0 means never."""
    models: Mapping[str, ModelPolicy] = field(default_factory=dict)
    """Settings for single models, each under any name of the model."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Additional names for models: each new name, with the name of the model that it stands for."""
    fallbacks: Mapping[str, tuple[str, ...]] | None = None
    """For each family, the fallbacks for a model that is not deployed, best first. The default is built in."""
    fallback: bool = True
    """Whether another model of the family may answer in place of one that is not deployed."""

    def __post_init__(self) -> None:
        _check(self)

    def for_model(self, model: str) -> ModelPolicy | None:
        """Return the settings of *model*; None if it has none. `ModelPolicies` find them by any name of the model."""
        find: Callable[[str], ModelPolicy | None] = getattr(self.models, "find", self.models.get)
        return find(model)

    def strategy_for(self, model: str) -> str:
        """Return the name of the strategy for *model*."""
        own = self.for_model(model)
        return self.strategy if own is None or own.strategy is None else own.strategy

    def timeouts_for(self, model: str, *, silent: bool = False) -> Timeouts:
        """Return the time limits of a request to *model*; *silent* if the model sends nothing while it thinks."""
        own, usual = self.for_model(model), self.timeouts
        if silent:
            usual = replace(usual, first_event=usual.silence, idle=usual.silence, answer=usual.silence)
        if own is None:
            return usual
        names = ("first_event", "idle", "answer", "total")
        return replace(usual, **{name: getattr(own, name) for name in names if getattr(own, name) is not None})
