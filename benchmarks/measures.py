"""Measures: start a contestant, load it with the client, observe it, and stop it."""

import http.client
import json
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.contestants import Contestant, Direct, Place, Question, Schedule
from benchmarks.figures import per_thousand
from benchmarks.processes import ProcessTree

_START = 300.0
_LIFE = 4 * 3600
_LOOK = 0.005
_MB = 1_000_000
_GRACE = 1.0
_LATE = 10_000.0


@dataclass(frozen=True, slots=True)
class Measure:
    """A load for a contestant: *connections* that send requests repeatedly, or paced streams with a *schedule*."""

    name: str
    connections: int
    seconds: float
    schedule: Schedule
    stream: bool = False
    translated: bool = False
    processes: int = 1
    on_both: bool = False
    """Whether the contestant, the client and the upstream all run on both cores."""

    @property
    def is_paced(self) -> bool:
        """Whether each connection has one stream, whose chunks arrive at fixed times."""
        return self.stream and self.schedule.rate > 0

    @property
    def ramp(self) -> float:
        """The seconds in which all streams start, at 500 per second."""
        return self.connections / 500


@dataclass(slots=True)
class Taken:
    """The result of one run of a measure: figures by name, those of the start, counters, and errors."""

    figures: dict[str, float | None] = field(default_factory=dict)
    start: dict[str, float | None] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    upstream: dict[str, Any] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    failed: bool = False


Beside = Callable[[ProcessTree], object]
"""Called with the processes of a contestant while they are under load."""


class CannotServeError(RuntimeError):
    """Raised if a contestant did not answer."""


class Bench:
    """The upstream and the client on the second of *cores*, with this process, and the contestants on the first.

    With fewer than two cores, all share what there is.
    """

    def __init__(
        self, client: Path, upstream: Path, cores: tuple[int, int] | None, schedules: tuple[Schedule, ...]
    ) -> None:
        self._client = client
        self._core = cores[0] if cores else None
        self._cores = cores
        if cores:
            os.sched_setaffinity(0, {cores[1]})
        self._schedules = schedules
        self._folder = Path(mkdtemp(prefix="sap-ai-proxy-bench-"))
        log = self._folder / "upstream.log"
        self._upstream = ProcessTree([str(upstream), "0", str(_LIFE)], env={}, folder=self._folder, log=log, core=None)
        end = time.monotonic() + 10
        while not (said := log.read_text()).endswith("\n"):
            if time.monotonic() > end or self._upstream.is_over:
                self.close()
                raise CannotServeError("the upstream did not start")
            time.sleep(_LOOK)
        self._port = int(said)

    def close(self) -> None:
        """Stop the upstream."""
        self._upstream.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, contestant: Contestant) -> Taken:
        """Start a contestant and stop it again; time its help if it has one."""
        taken = Taken()
        try:
            with self._serving(contestant, self._place(1), self._core, taken):
                pass
        except CannotServeError as error:
            taken.trouble.append(str(error))
            taken.failed = True
        taken.start |= self.help(contestant)
        return taken

    def help(self, contestant: Contestant) -> dict[str, float | None]:
        """Time the help of a contestant's command; return no figures if it has none."""
        if not contestant.help:
            return {}
        place = self._place(1)
        log = place.folder / "help.log"
        before = _reaped()
        with ProcessTree(
            contestant.help, env=contestant.env(place), folder=place.folder, log=log, core=self._core
        ) as tree:
            while not tree.is_over and time.monotonic() < tree.started + _START:
                time.sleep(_LOOK / 5)
            took = time.monotonic() - tree.started if tree.is_over else None
        return {"--help, s": took, "--help, CPU s": _reaped() - before}

    def take(self, contestant: Contestant, measure: Measure, beside: Beside | None = None) -> Taken | None:
        """Measure once, with new processes; return None if the contestant or the machine does not support the measure.

        *beside* is called with these processes while they are under load.
        """
        if measure.processes > contestant.most_processes or (measure.on_both and not self._cores):
            return None
        with self._cores_for(measure) as core:
            return self._take(contestant, measure, core, beside)

    def _take(self, contestant: Contestant, measure: Measure, core: int | None, beside: Beside | None) -> Taken | None:
        place = self._place(measure.processes)
        if isinstance(contestant, Direct) and type(contestant) is Direct:
            place = Place(place.folder, self._port, place.upstream, 1, place.schedules)
            return self._load(contestant, measure, place, None, Taken()) if measure.processes == 1 else None
        if contestant.question(place, measure.schedule, stream=measure.stream, translated=measure.translated) is None:
            return None
        taken = Taken()
        try:
            with self._serving(contestant, place, core, taken) as tree:
                return self._load(contestant, measure, place, tree, taken, beside)
        except CannotServeError as error:
            taken.trouble.append(str(error))
            taken.failed = True
            return taken

    def _place(self, processes: int) -> Place:
        folder = Path(mkdtemp(dir=self._folder))
        return Place(folder, _free_port(), f"http://127.0.0.1:{self._port}", processes, self._schedules)

    @contextmanager
    def _cores_for(self, measure: Measure) -> Iterator[int | None]:
        """Pin client and upstream as the measure requires; yield the contestant's core, or None for all cores."""
        if not measure.on_both or not self._cores:
            yield self._core
            return
        own = os.sched_getaffinity(0)
        self._pin(self._cores)
        try:
            yield None
        finally:
            self._pin(own)

    def _pin(self, cores: Collection[int]) -> None:
        os.sched_setaffinity(0, cores)
        self._upstream.pin(cores)

    @contextmanager
    def _serving(self, contestant: Contestant, place: Place, core: int | None, taken: Taken) -> Iterator[ProcessTree]:
        """Start a contestant and wait for its first answer; raises `CannotServeError` if there is none."""
        log = place.folder / "contestant.log"
        command, env = contestant.command(place), contestant.env(place)
        with ProcessTree(command, env=env, folder=place.folder, log=log, core=core) as tree:
            question = contestant.question(place, place.schedules[0], stream=False, translated=False)
            last = "nothing was printed"
            while question:
                status, last = _asked(place.port, question)
                if status == 200:
                    break
                if tree.is_over or time.monotonic() > tree.started + _START:
                    raise CannotServeError(f"no answer: {last}; {_end_of(log)}")
                time.sleep(_LOOK)
            if core == self._core and place.processes == 1:
                taken.start["cold start, s"] = time.monotonic() - tree.started
                taken.start["cold start, CPU s"] = tree.cpu_seconds()
                time.sleep(0.2)
                taken.start["memory at rest, MB"] = tree.pss_bytes() / _MB
            yield tree

    def _load(
        self,
        contestant: Contestant,
        measure: Measure,
        place: Place,
        tree: ProcessTree | None,
        taken: Taken,
        beside: Beside | None = None,
    ) -> Taken | None:
        """Warm up, apply the load, and return the figures."""
        question = contestant.question(place, measure.schedule, stream=measure.stream, translated=measure.translated)
        if question is None:
            return None
        self._warm_up(contestant, measure, place)
        self._statistics()
        before, upstream_before = tree.cpu_seconds() if tree else 0.0, self._upstream.cpu_seconds()
        with self._running(measure, place.port, question) as client:
            if tree and beside:
                beside(tree)
            if measure.is_paced:
                taken.figures["memory, MB"] = self._memory(measure, tree, client)
            try:
                said, complaint = client.communicate(timeout=measure.seconds * 3 + 60)
            except subprocess.TimeoutExpired:
                taken.trouble.append("the client did not end in time")
                return taken
        cpu = tree.cpu_seconds() - before if tree else None
        taken.upstream = self._statistics()
        if client.returncode:
            raise CannotServeError(f"the client failed: {complaint.strip()}")
        taken.client = json.loads(said)
        taken.upstream["cpu_s"] = self._upstream.cpu_seconds() - upstream_before
        taken.figures |= figures_of(measure, taken.client, cpu, taken.upstream["cpu_s"])
        taken.trouble += troubles_of(measure, taken.client)
        if taken.upstream["late_mean_us"] > _LATE:
            taken.trouble.append(f"the upstream itself was late by {taken.upstream['late_mean_us'] / 1e3:.0f} ms")
        return taken

    def _warm_up(self, contestant: Contestant, measure: Measure, place: Place) -> None:
        """Send one request, then load for half a second, so that imports and new connections are not measured."""
        schedule = place.schedules[0]
        question = contestant.question(place, schedule, stream=measure.stream, translated=measure.translated)
        if question is None:
            return
        _asked(place.port, question)
        short = Measure("warm-up", 8, 0.5, schedule)
        with self._running(short, place.port, question) as client, suppress(subprocess.TimeoutExpired):
            client.communicate(timeout=60)

    @contextmanager
    def _running(self, measure: Measure, port: int, question: Question) -> Iterator[subprocess.Popen[str]]:
        """Run the client."""
        command = [
            *(str(self._client), "--port", str(port), "--path", question.path, "--body", question.body),
            *(part for header in question.headers for part in ("--header", header)),
            *("--connections", str(measure.connections), "--seconds", str(measure.seconds)),
            *("--mode", "streams" if measure.is_paced else "requests"),
        ]
        if measure.is_paced:
            command += ["--chunks", str(measure.schedule.chunks), "--ramp", str(measure.ramp), "--grace", str(_GRACE)]
        with subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            try:
                yield client
            finally:
                client.kill()

    def _memory(self, measure: Measure, tree: ProcessTree | None, client: subprocess.Popen[str]) -> float | None:
        """Return the memory in MB while all streams run."""
        if not tree:
            return None
        with suppress(subprocess.TimeoutExpired):
            client.wait(measure.ramp + measure.seconds * 0.5)
        return tree.pss_bytes() / _MB

    def _statistics(self) -> dict[str, Any]:
        """Return the upstream's counters since the last call."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            connection.request("GET", "/stats")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told


def figures_of(
    measure: Measure, client: Mapping[str, Any], cpu: float | None, upstream_cpu: float = 0.0
) -> dict[str, float | None]:
    """Compute the figures from the client's counts and the CPU seconds of the contestant and the upstream."""
    if measure.is_paced:
        return {
            "share of the ideal": client["share"],
            "unfinished": client["unfinished"],
            "delay p50, ms": client["delay_p50"] / 1e3 if client["chunks"] else None,
            "delay p99, ms": client["delay_p99"] / 1e3 if client["chunks"] else None,
            "CPU ms per 1,000 chunks": None if cpu is None else per_thousand(cpu * 1e3, client["chunks"]),
        }
    if measure.stream:
        return {
            "chunks/s": client["chunks"] / client["seconds"],
            "CPU ms per 1,000 chunks": None if cpu is None else per_thousand(cpu * 1e3, client["chunks"]),
        }
    figures = {
        "requests/s": client["answers"] / client["seconds"],
        "CPU s per 1,000 requests": None if cpu is None else per_thousand(cpu, client["answers"]),
    }
    if measure.on_both:
        return figures | {"cores that client and upstream take": (client["cpu_s"] + upstream_cpu) / client["seconds"]}
    return figures | {
        "latency p50, ms": client["latency_p50"] / 1e3 if client["answers"] else None,
        "latency p99, ms": client["latency_p99"] / 1e3 if client["answers"] else None,
    }


def troubles_of(measure: Measure, client: Mapping[str, Any]) -> list[str]:
    """List the errors of a run, so that no figure hides them."""
    found = [
        f"{client[name]} {said}"
        for name, said in (
            ("refused", "unsuccessful answers"),
            ("broken", "answers cut short"),
            ("connect_errors", "connections refused"),
            ("misplaced", "chunks lost or out of order"),
        )
        if client[name]
    ]
    if measure.stream and client["done"] < client["answers"]:
        found.append(f"{client['answers'] - client['done']} streams without [DONE]")
    if measure.is_paced and client["silent"]:
        found.append(f"{client['silent']} streams without a chunk")
    if not client["answers"] and not client["chunks"]:
        found.append("no request was answered")
    return found


def _asked(port: int, question: Question) -> tuple[int, str]:
    """Send one request; return the status and the start of the body, or the status 0 and the error."""
    headers = dict(header.split(": ", 1) for header in question.headers) | {"Content-Type": "application/json"}
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_START)) as connection:
            connection.request("POST", question.path, question.body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()[:300].decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__


def _reaped() -> float:
    """Return the CPU seconds of all children that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-500:]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
