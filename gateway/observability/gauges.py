"""Prometheus gauges of endpoints, subaccounts, workers and processes. They are computed when `/metrics` is read."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.observability.processes import usage_of
from gateway.readiness import READY, WELL
from gateway.version import VERSION
from routing.availability import Availability
from routing.events import Circuit

_AVAILABLE: Final = {Availability.AVAILABLE.value, Availability.PROBE.value}
_ENDPOINT: Final = ("subaccount", "deployment", "model")
_WORKER_STATES: Final = ("starting", "accepting", "retiring")
_SATURATION: Final = {
    # key in the state   the metric's name   what it counts
    "requests": ("requests_in_progress", "Requests that a worker works on"),
    "waiting": ("requests_waiting", "Requests that wait in a worker for a place among those in progress"),
    "memory": ("memory_reserved_bytes", "Bytes of memory that the requests of a worker have reserved"),
    "connections": ("connections_open", "Connections of clients that a worker has open, idle ones too"),
    "streams": ("streams_open", "Streams that have begun in a worker; each is one of its requests in progress"),
}
_USAGE: Final = {
    # field of ProcessUsage   the name in Prometheus' own clients, and the description
    "resident_bytes": ("resident_memory_bytes", "Resident memory; what processes share counts in each of them"),
    "open_descriptors": ("open_fds", "Open file descriptors"),
    "most_descriptors": ("max_fds", "The most file descriptors that may be open"),
    "start_time": ("start_time_seconds", "When the process started, in seconds since the epoch"),
}

_Row = Mapping[str, Any]
_Values = Iterable[tuple[tuple[str, ...], float]]
"""Values, each with its label values. Several may have the same label values."""


class Gauges(Collector):
    """Collects the gauges from one state of the proxy, in the form of `/router/state`.

    Requests therefore do no work for them. *supervisor* is the id of the process that supervises the workers, if there
    is one.
    """

    def __init__(self, state: _Row, supervisor: int | None = None) -> None:
        alone = {"slot": 0, "worker": os.getpid(), "accepting": True}
        own = {name: state.get(name, {}) for name in ("saturation", "credentials")}
        self._state = state
        self._workers: list[_Row] = state.get("workers") or [{**alone, **own}]
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """Yield all gauges."""
        version = VERSION, platform.python_version()
        yield _gauge("build_info", "The version of the proxy, and of Python", ("version", "python"), [(version, 1)])
        ready = self._state.get("status") == READY
        yield _gauge("ready", "1 if some model can be served, as /ready says", (), [((), ready)])
        yield from self._endpoints()
        endings: list[_Row] = self._state.get("endings", [])
        about = "When SAP AI Core ends a served model, where that is soon; others have no series"
        ends = [((each["model"],), _midnight(each["on"])) for each in endings]
        yield _gauge("model_end_timestamp_seconds", about, ("model",), ends, combine=min)
        yield from self._subaccounts()
        yield from self._load()
        yield from _usage(self._pids())

    def _endpoints(self) -> Iterator[Metric]:
        """Yield the load and the availability of endpoints. Each worker has circuits and cooldowns of its own."""
        retiring = {worker["worker"] for worker in self._workers if worker.get("retiring")}
        every: list[_Row] = self._state.get("endpoints", [])
        rows = [(_endpoint(row), row) for row in every if row.get("worker") not in retiring]
        yield _of_endpoints(
            "in_flight", "Requests that the endpoint works on", [(_endpoint(row), row["in_flight"]) for row in every]
        )
        yield _of_endpoints(
            "available",
            "Number of workers in which the endpoint may be selected now",
            [(labels, row["standing"] in _AVAILABLE) for labels, row in rows],
        )
        yield _of_endpoints(
            "circuits",
            "Number of workers in which the circuit of the endpoint is in this state",
            [((*labels, each.value), row["circuit"] == each.value) for labels, row in rows for each in Circuit],
            more=("state",),
        )
        yield _of_endpoints(
            "in_cooldown",
            "Number of workers in which the endpoint is in cooldown for this reason; none has no series",
            [((*labels, row["cooldown"]), 1) for labels, row in rows if row["cooldown"]],
            more=("why",),
        )
        yield _of_endpoints(
            "cooldown_end_timestamp_seconds",
            "When the cooldown of the endpoint ends, in the worker where it lasts longest; 0 without a cooldown",
            [(labels, (row["cooldown"] and row["until"]) or 0) for labels, row in rows],
            combine=max,
        )
        yield _of_endpoints(
            "weight",
            "The weight of the endpoint, less what slow start holds back, in the worker where that is most",
            [(labels, row["weight"]) for labels, row in rows],
            combine=min,
        )
        yield _of_endpoints(
            "expected_first_content_seconds",
            "Time to first content that the endpoint is expected to need, in the worker that expects most",
            [(labels, row["latency"]) for labels, row in rows],
            combine=max,
        )

    def _subaccounts(self) -> Iterator[Metric]:
        """Yield the readiness of subaccounts, and the expiry of their tokens and certificates."""
        labels = ("subaccount",)
        subaccounts: Mapping[str, str] = self._state.get("subaccounts", {})
        known = [item for worker in self._workers for item in worker.get("credentials", {}).items()]
        yield _gauge(
            "subaccount_ready",
            "1 if there is a token for the subaccount and its deployments are known",
            labels,
            [((name,), said == WELL) for name, said in subaccounts.items()],
        )
        yield _gauge(
            "token_expiry_timestamp_seconds",
            "When the access token of the subaccount expires, in the worker where it does first; 0 where one has none",
            labels,
            [((name,), each["token_until"] or 0) for name, each in known],
            combine=min,
        )
        yield _gauge(
            "token_failing",
            "Number of workers whose latest request for a token failed with this fault; none has no series",
            (*labels, "fault"),
            [((name, each["fault"]), 1) for name, each in known if each["fault"]],
        )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "When the client certificate in the service key of the subaccount expires; a key without one has no series",
            labels,
            [((name,), each["certificate_until"]) for name, each in known if each["certificate_until"]],
            combine=min,
        )

    def _load(self) -> Iterator[Metric]:
        """Yield the number of workers, and the load of each."""
        states = [_state_of(worker) for worker in self._workers]
        counts = [((state,), states.count(state)) for state in _WORKER_STATES]
        yield _gauge("workers", "Number of workers, by what they do", ("state",), counts)
        name, about = "aicore_proxy_worker_restarts", "Workers that ended unexpectedly and were replaced"
        yield CounterMetricFamily(name, about, value=self._state.get("worker_restarts", 0))
        for kind, (name, about) in _SATURATION.items():
            found = [(_slot(each), each["saturation"].get(kind)) for each in self._workers if "saturation" in each]
            full = [(labels, each) for labels, each in found if each is not None]
            yield _gauge(name, about, ("worker",), [(labels, each["used"]) for labels, each in full])
            if limits := [(labels, each["most"]) for labels, each in full if each["most"] is not None]:
                yield _gauge(f"{name}_limit", f"The most there may be of {name}", ("worker",), limits)

    def _pids(self) -> dict[str, int]:
        """Return the process ids by name. A worker that replaces another takes over its name."""
        found = {f"worker-{worker['slot']}": worker["worker"] for worker in self._workers}
        if self._supervisor is not None and self._supervisor not in found.values():
            found["supervisor"] = self._supervisor
        return found


def _usage(pids: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the resources that each process uses."""
    found = {name: used for name, pid in pids.items() if (used := usage_of(pid)) is not None}
    cpu = CounterMetricFamily("process_cpu_seconds", "CPU time in user and in system mode", labels=("process",))
    for name, used in found.items():
        cpu.add_metric((name,), used.cpu_seconds)
    yield cpu
    for field, (metric, about) in _USAGE.items():
        gauge = GaugeMetricFamily(f"process_{metric}", about, labels=("process",))
        for name, used in found.items():
            if (value := getattr(used, field)) is not None:
                gauge.add_metric((name,), value)
        yield gauge


def _gauge(
    name: str,
    about: str,
    labels: tuple[str, ...],
    values: _Values,
    combine: Callable[[float, float], float] = float.__add__,
) -> Metric:
    """Build a gauge of *values*; *combine* merges values with the same labels."""
    combined: dict[tuple[str, ...], float] = {}
    for key, value in values:
        combined[key] = combine(combined[key], float(value)) if key in combined else float(value)
    gauge = GaugeMetricFamily(f"aicore_proxy_{name}", about, labels=labels)
    for key, value in combined.items():
        gauge.add_metric(key, value)
    return gauge


def _of_endpoints(
    name: str,
    about: str,
    values: _Values,
    combine: Callable[[float, float], float] = float.__add__,
    more: tuple[str, ...] = (),
) -> Metric:
    """Build a gauge of endpoints; *more* names its further labels."""
    return _gauge(f"endpoint_{name}", about, (*_ENDPOINT, *more), values, combine)


def _midnight(day: str) -> float:
    """Return the start of a day such as 2026-10-16 in UTC, in seconds since the epoch."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _endpoint(row: _Row) -> tuple[str, ...]:
    return tuple(row[name] for name in _ENDPOINT)


def _slot(worker: _Row) -> tuple[str]:
    return (str(worker["slot"]),)


def _state_of(worker: _Row) -> str:
    """Return the state of a worker. One that retires accepts no more connections."""
    if worker.get("retiring"):
        return "retiring"
    return "accepting" if worker.get("accepting") else "starting"
