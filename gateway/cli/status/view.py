"""What there is to see of a running proxy, computed from what it says of itself at one or two moments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum, IntEnum
from typing import Any, Final, NamedTuple

from dialects.core.conversation import JSON
from gateway.readiness import DRAINING, NO_DEPLOYMENT, READY, WELL, without_deployments
from gateway.served_models import Ending
from routing.availability import Availability

Row = Mapping[str, Any]
"""An endpoint, a worker or a decision, as `/router/state` has them."""
_KINDS: Final = ("input", "cache_read", "cache_write", "output")
_NO_ERRORS: Final = frozenset({"ok", "caller_left"})
"""The outcomes of requests in which nothing went wrong."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the router, and when it was read: seconds that only grow."""

    at: float
    state: JSON


class Severity(IntEnum):
    """How bad a state is; the worst comes first wherever states are listed."""

    FINE = 0
    ODD = 1
    """It serves, less than it could."""
    BAD = 2
    """It does not serve."""

    @property
    def word(self) -> str:
        """What it is called for programs."""
        return self.name.lower()


class Health(Enum):
    """Whether the proxy serves all that it should."""

    WELL = "well"
    UNWELL = "unwell"
    """Some model can be served; something else is wrong."""
    DOWN = "down"
    """No model can be served."""

    @property
    def word(self) -> str:
        """What it is called for programs."""
        return self.value


class _State(NamedTuple):
    severity: Severity
    name: str
    is_available: bool = False


_STATES: Final = {
    Availability.AVAILABLE: _State(Severity.FINE, "ready", is_available=True),
    Availability.DRAINED: _State(Severity.FINE, "drained"),
    Availability.PROBE: _State(Severity.ODD, "half-open", is_available=True),
    Availability.PROBING: _State(Severity.ODD, "being probed", is_available=True),
    Availability.COOLDOWN: _State(Severity.BAD, "in cooldown"),
    Availability.OPEN: _State(Severity.BAD, "circuit open"),
    Availability.GONE: _State(Severity.BAD, "gone"),
}
"""How bad each is and what it is called, the worst last."""
_TOGETHER: Final = {"circuit open": "circuits open"}
"""What several are called, if it is something else."""
_FAILING: Final = 3
"""From how many requests on a deployment is failing that may be asked and answers none of them."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens, each in one kind."""

    input: int = 0
    """Fresh input."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def prompt(self) -> int:
        """All that models have read."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went through something in a time."""

    requests: int = 0
    errors: int = 0
    """Of the requests, those that failed."""
    answers: int = 0
    """Answers that have begun."""
    waited: float = 0.0
    """The seconds until they did, added up."""
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def first_content(self) -> float | None:
        """Seconds until an answer began, on average; None where none did."""
        return self.waited / self.answers if self.answers else None

    @property
    def cache_share(self) -> float | None:
        """The part of the prompts that came from the prompt cache, from 0 to 1; None where nothing was read."""
        return self.tokens.cache_read / self.tokens.prompt if self.tokens.prompt else None

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.requests + other.requests,
            self.errors + other.errors,
            self.answers + other.answers,
            self.waited + other.waited,
            Tokens(*(getattr(self.tokens, kind) + getattr(other.tokens, kind) for kind in _KINDS)),
        )


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A deployment asked for one model, as all workers see it; where they differ, as the worst off does."""

    subaccount: str
    deployment: str
    model: str
    severity: Severity
    state: str
    is_available: bool
    why: str
    seconds: float | None
    """How long it is not asked for yet; None if that is not known, 0 if it may be."""
    workers: str
    """Which part of the workers see it so, such as "1 of 2 workers"; empty if all do."""
    in_flight: int
    asked: int
    """How often it was asked, as long as its workers remember."""
    standby: bool
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class GroupView:
    """A model or a subaccount: how many of its endpoints may be asked now, and what goes through them."""

    name: str
    severity: Severity
    status: str
    """What is wrong with a subaccount itself; empty if nothing is."""
    available: int
    endpoints: int
    in_flight: int
    asked: int
    traffic: Traffic
    strategy: str = ""
    """How an endpoint of a model is selected; empty for a subaccount."""


@dataclass(frozen=True, slots=True)
class View:
    """All that there is to see."""

    health: Health
    problems: tuple[str, ...]
    """What is wrong, in a few words each."""
    warnings: tuple[str, ...]
    """What will be wrong some time, or is odd."""
    version: str
    at: float
    """When the proxy said so: seconds since the epoch."""
    uptime: float
    """Seconds."""
    workers: int
    window: float
    """The seconds within which traffic is counted."""
    since_start: bool
    """Whether that is all the time since the proxy was started."""
    in_flight: int
    traffic: Traffic
    subaccounts: tuple[GroupView, ...]
    models: tuple[GroupView, ...]
    endpoints: tuple[EndpointView, ...]
    decisions: tuple[Row, ...]
    """The latest requests that are over, newest first, as `/router/state` has them."""


def view_of(now: Snapshot, before: Snapshot | None = None) -> View:
    """Compute what is to be seen *now*; traffic is that since *before*, or since the proxy started.

    Raises `LookupError` or `TypeError` for what no proxy says of itself.
    """
    state = now.state
    uptime = max(0.0, state["at"] - state["started"])
    past = before.state if before is not None else {"endpoints": [], "workers": []}
    endpoints = _endpoints(state["endpoints"], past["endpoints"], _retiring(state))
    groups = state["subaccounts"]
    strategies = state["strategies"]
    models = tuple(
        replace(each, strategy=strategies.get(each.name, ""))
        for each in _grouped(endpoints, lambda each: each.model, {})
    )
    subaccounts = _grouped(endpoints, lambda each: each.subaccount, groups)
    problems = _problems(state, endpoints, models, groups)
    down = state["status"] != READY
    return View(
        health=Health.DOWN if down else Health.UNWELL if problems else Health.WELL,
        problems=problems,
        warnings=_warnings(state),
        version=state["version"],
        at=state["at"],
        uptime=uptime,
        workers=max(1, len(state.get("workers", ()))),
        window=now.at - before.at if before is not None else uptime,
        since_start=before is None,
        in_flight=sum(each.in_flight for each in endpoints),
        traffic=_whole_traffic(state, past, endpoints),
        subaccounts=subaccounts,
        models=models,
        endpoints=endpoints,
        decisions=tuple(state["decisions"]),
    )


def as_json(view: View) -> JSON:
    """Write a view for programs: durations are in seconds, traffic is that of the `window`."""
    written = {**asdict(view, dict_factory=_plain), "traffic": _traffic_as_json(view.traffic)}
    for name in ("subaccounts", "models", "endpoints"):
        for row, each in zip(written[name], getattr(view, name), strict=True):
            row["traffic"] = _traffic_as_json(each.traffic)
    return written


def _traffic_as_json(traffic: Traffic) -> JSON:
    first, share = traffic.first_content, traffic.cache_share
    return {
        "requests": traffic.requests,
        "errors": traffic.errors,
        "first_content": None if first is None else round(first, 4),
        "tokens": {kind: getattr(traffic.tokens, kind) for kind in _KINDS},
        "cache_share": None if share is None else round(share, 4),
    }


def _plain(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Write enums as their words, and durations to the millisecond."""
    return {name: _plain_value(value) for name, value in items}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Severity | Health):
        return value.word
    return round(value, 3) if isinstance(value, float) else value


# Differences


def _since(now: Row | None, before: Row | None, *path: str) -> float:
    """How much a count has grown; one that is smaller than it was has begun anew."""
    new, old = _at(now, path), _at(before, path)
    return new - old if new >= old else new


def _at(row: Row | None, path: Sequence[str]) -> float:
    """Find a number in a row; what is not there is 0."""
    found: Any = row
    for name in path:
        found = (found or {}).get(name)
    return float(found or 0)


def _traffic(pairs: Sequence[tuple[Row, Row | None]]) -> Traffic:
    """Add up what the rows of an endpoint have counted since, one for each worker."""

    def grown(*path: str) -> float:
        return sum(_since(now, before, "counts", *path) for now, before in pairs)

    answered, failed = int(grown("answered")), int(grown("failed"))
    return Traffic(
        requests=answered + failed + int(grown("refused")),
        errors=failed,
        answers=answered,
        waited=grown("first_content_seconds"),
        tokens=Tokens(*(int(grown("tokens", kind)) for kind in _KINDS)),
    )


def _whole_traffic(state: JSON, past: JSON, endpoints: Iterable[EndpointView]) -> Traffic:
    """What callers have asked for, of whom some are refused before a model is asked, and what models have said."""
    before = {row["worker"]: row for row in past.get("workers", ())}
    workers = state.get("workers") or [state]
    old = [before.get(row.get("worker")) if "worker" in row else past for row in workers]
    counts = [
        (outcome, _since(now, then, "outcomes", outcome))
        for now, then in zip(workers, old, strict=True)
        for outcome in now["outcomes"]
    ]
    return replace(
        sum((each.traffic for each in endpoints), Traffic()),
        requests=int(sum(count for _, count in counts)),
        errors=int(sum(count for outcome, count in counts if outcome not in _NO_ERRORS)),
    )


# Endpoints, and what they are part of


def _key(row: Row) -> tuple[str, str, str]:
    return row["subaccount"], row["deployment"], row["model"]


def _retiring(state: JSON) -> frozenset[int]:
    """The workers that only end what they have begun: what they think of an endpoint does not count."""
    return frozenset(row["worker"] for row in state.get("workers", ()) if row["retiring"])


def _endpoints(rows: Iterable[Row], past: Iterable[Row], retiring: frozenset[int]) -> tuple[EndpointView, ...]:
    before = {(_key(row), row.get("worker")): row for row in past}
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault(_key(row), []).append(row)
    seen = [_endpoint(same, before, retiring) for same in found.values()]
    return tuple(sorted(seen, key=_place_of_endpoint))


def _endpoint(
    rows: Sequence[Row],
    before: Mapping[tuple[tuple[str, str, str], Any], Row],
    retiring: frozenset[int],
) -> EndpointView:
    """See an endpoint as the worst off of those workers that stay."""
    stay = [row for row in rows if row.get("worker") not in retiring] or rows
    worst = max(stay, key=_badness)
    severity, state, is_available = _STATES[Availability(worst["standing"])]
    alike = sum(row["standing"] == worst["standing"] for row in stay)
    counted = (_at(row, ("counts", kind)) for row in rows for kind in ("answered", "failed", "refused"))
    traffic, why = _traffic([(row, before.get((_key(row), row.get("worker")))) for row in rows]), worst["why"]
    if severity is Severity.FINE and _FAILING <= traffic.errors == traffic.requests:
        severity, state, why = Severity.ODD, "failing", f"{traffic.errors} of {traffic.requests} requests"
    return EndpointView(
        *_key(worst),
        severity=severity,
        state=state,
        is_available=is_available,
        why=why if severity is not Severity.FINE else "",
        seconds=worst["seconds"],
        workers=f"{alike} of {len(stay)} workers" if alike < len(stay) else "",
        in_flight=sum(row["in_flight"] for row in rows),
        asked=int(sum(counted)),
        standby=worst["standby"],
        traffic=traffic,
    )


def _badness(row: Row) -> tuple[int, float]:
    order = list(_STATES).index(Availability(row["standing"]))
    return order, row["seconds"] or 0.0


def _place_of_endpoint(each: EndpointView) -> tuple[Any, ...]:
    """Sort what is wrong to the front, then what fails now, then what was ever asked; rows do not jump about."""
    return (-each.severity, not each.traffic.errors, not each.asked, each.model, each.subaccount, each.deployment)


def _grouped(
    endpoints: Iterable[EndpointView], name_of: Callable[[EndpointView], str], statuses: Mapping[str, str]
) -> tuple[GroupView, ...]:
    found: dict[str, list[EndpointView]] = {name: [] for name in statuses}
    for each in endpoints:
        found.setdefault(name_of(each), []).append(each)
    groups = [_group(name, members, statuses.get(name, WELL)) for name, members in found.items()]
    return tuple(sorted(groups, key=lambda each: (-each.severity, not each.traffic.errors, not each.asked, each.name)))


def _group(name: str, members: Sequence[EndpointView], status: str) -> GroupView:
    available = sum(each.is_available for each in members)
    worst = max((each.severity for each in members), default=Severity.ODD)  # of a subaccount alone there may be none
    none = (members and not available) or status != WELL
    return GroupView(
        name=name,
        severity=Severity.BAD if none else min(worst, Severity.ODD),
        status="" if status == WELL else status,
        available=available,
        endpoints=len(members),
        in_flight=sum(each.in_flight for each in members),
        asked=sum(each.asked for each in members),
        traffic=sum((each.traffic for each in members), Traffic()),
    )


# What is wrong


def _problems(
    state: JSON, endpoints: Sequence[EndpointView], models: Iterable[GroupView], subaccounts: Mapping[str, str]
) -> tuple[str, ...]:
    """Say what keeps the proxy from serving all that it should, the worst first."""
    found = [DRAINING if state["status"] == DRAINING else "no model can be served"] * (state["status"] != READY)
    if state["status"] == READY:
        found += [f"{each.name} cannot be served" for each in models if not each.available]
    found += [f"{name}: {status}" for name, status in subaccounts.items() if status != WELL]
    empty = without_deployments(subaccounts, {each.subaccount for each in endpoints})
    found += [f"{name}: {NO_DEPLOYMENT}" for name in empty]
    counts: dict[str, int] = {}
    for each in endpoints:
        if each.severity is not Severity.FINE:
            counts[each.state] = counts.get(each.state, 0) + 1
    found += [f"{count} of {len(endpoints)} {_TOGETHER.get(what, what)}" for what, count in counts.items()]
    waiting = [row for row in state.get("workers", ()) if not row["ready"] and not row["retiring"]]
    return (*found, *([f"{len(waiting)} of {len(state['workers'])} workers not ready"] if waiting else []))


def _warnings(state: JSON) -> tuple[str, ...]:
    dropped = sum(row["log_lines_dropped"] for row in state.get("workers", ()))
    lines = [f"{dropped} log lines could not be written"] if dropped else []
    return (*lines, *(str(Ending.of(each)) for each in state["endings"]))
