"""What the processes of the proxy hold, sample by sample, and whether it grows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.support.processes import children_of

MEASURES = ("threads", "descriptors", "sockets", "rss")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """What a process holds at a moment, in seconds of a monotonic clock. Memory is in bytes."""

    at: float
    pid: int
    threads: int
    descriptors: int
    sockets: int
    rss: int
    pss: int


@dataclass(frozen=True)
class Bound:
    """How much a measure may grow: a jump, and so much in each hour."""

    jump: float
    hourly: float
    most: float
    """The most that it may ever be."""

    def allows(self, growth: float, seconds: float) -> bool:
        return growth <= self.jump + self.hourly * seconds / 3600


SUPERVISOR = {
    "threads": Bound(1, 1, 20),
    "descriptors": Bound(6, 6, 200),
    "sockets": Bound(4, 4, 100),
    "rss": Bound(6 * MIB, 12 * MIB, 400 * MIB),
}
"""For the supervisor, from the end of the warm-up to the end of the soak."""
WORKER = {
    "threads": Bound(40, 40, 200),
    "descriptors": Bound(80, 80, 1000),
    "sockets": Bound(80, 80, 1000),
    "rss": Bound(40 * MIB, 40 * MIB, 400 * MIB),
}
"""For one worker, from the end of its own warm-up to its end. Memory takes more than a minute of load to level off, and
all else follows the load, which is not the same at both ends; `REST` is strict instead."""
GENERATIONS = {
    "threads": Bound(30, 30, 200),
    "descriptors": Bound(60, 60, 1000),
    "sockets": Bound(60, 60, 1000),
    "rss": Bound(12 * MIB, 24 * MIB, 400 * MIB),
}
"""For workers of the same age, from the first of them to the last. All but memory follows the load here as well."""
REST = {
    "threads": Bound(0, 0, 12),
    "descriptors": Bound(0, 0, 60),
    "sockets": Bound(0, 0, 50),
    "rss": Bound(0, 0, 400 * MIB),
}
"""For a worker that has had nothing to do for `IDLE` seconds: its own threads, and connections to SAP AI Core that are
kept for the next request."""
IDLE = 13.0
"""Seconds after which threads that have nothing to do have ended."""


@dataclass(frozen=True)
class Trend:
    """How one measure of a process, or of workers of the same age, went on."""

    of: str
    measure: str
    count: int
    seconds: float
    first: float
    last: float
    hourly: float
    """The slope by least squares, in units an hour."""
    highest: float
    bound: Bound

    @property
    def growth(self) -> float:
        """What the slope makes of the time that was measured."""
        return self.hourly * self.seconds / 3600

    @property
    def is_good(self) -> bool:
        return self.bound.allows(self.growth, self.seconds) and self.highest <= self.bound.most

    def __str__(self) -> str:
        unit, scale = ("MiB", MIB) if self.measure == "rss" else ("", 1)
        first, last, hourly, growth = (each / scale for each in (self.first, self.last, self.hourly, self.growth))
        return (
            f"{self.of:34} {self.measure:12} {first:8.1f} {last:8.1f} {growth:+8.1f} {hourly:+9.1f}/h {unit:4}"
            f"{'' if self.is_good else ' <-- grows'}"
        )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line through points by least squares; 0 where there is no line."""
    count = len(points)
    mean_x, mean_y = (sum(each[axis] for each in points) / max(count, 1) for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def trend(of: str, measure: str, points: Sequence[tuple[float, float]], bound: Bound) -> Trend:
    """What became of a measure, of which there are points of seconds and amounts."""
    values = [value for _, value in points]
    third = max(1, len(values) // 3)
    return Trend(
        of, measure, len(points), points[-1][0] - points[0][0], median(values[:third]), median(values[-third:]),
        slope(points) * 3600, max(values), bound,
    )  # fmt: skip


def trends(samples: Iterable[Sample], supervisor: int, warm: float, *, worker_warm: float) -> list[Trend]:
    """Judge all samples. Those of the supervisor before *warm* do not count, nor those of a worker's first seconds."""
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    found: list[Trend] = []
    after = [sample for sample in lives.pop(supervisor, []) if sample.at >= warm]
    if len(after) > 1:
        found += _of("supervisor", after, SUPERVISOR)
    grown = {pid: [each for each in life if each.at >= life[0].at + worker_warm] for pid, life in lives.items()}
    for number, life in enumerate(
        sorted((life for life in grown.values() if len(life) > 2), key=lambda life: life[0].at)
    ):
        found += _of(f"worker {number + 1} in its life", life, WORKER)
    found += _generations([life for life in grown.values() if life], worker_warm)
    return found


def rest(samples: Iterable[Sample], supervisor: int) -> list[Trend]:
    """Judge what workers hold that have had nothing to do for a while: one sample of each."""
    return [
        trend(f"worker {sample.pid} at rest", measure, [(sample.at, getattr(sample, measure))], REST[measure])
        for sample in samples
        if sample.pid != supervisor
        for measure in MEASURES
    ]


def worst(found: Iterable[Trend]) -> list[Trend]:
    """Of the trends of single workers, that with the most growth for each measure; all others as they are."""
    kept: dict[tuple[str, str], Trend] = {}
    for each in found:
        kind = each.of.rpartition(" ")[2] if each.of.startswith("worker ") else each.of
        key = (kind, each.measure)
        if key not in kept or (each.is_good, -each.growth) < (kept[key].is_good, -kept[key].growth):
            kept[key] = each
    return list(kept.values())


def _of(name: str, life: Sequence[Sample], bounds: dict[str, Bound]) -> list[Trend]:
    return [
        trend(name, measure, [(each.at, getattr(each, measure)) for each in life], bounds[measure])
        for measure in MEASURES
    ]


def _generations(lives: Sequence[Sequence[Sample]], seconds: float) -> list[Trend]:
    """Compare workers when they were as old as the others, in so many seconds after the warm-up of each."""
    early = sorted((_typical(life, seconds) for life in lives), key=lambda sample: sample.at)
    return _of("workers of the same age", early, GENERATIONS) if len(early) > 3 else []


def _typical(life: Sequence[Sample], seconds: float) -> Sample:
    """The median of each measure in the first *seconds*."""
    first = [sample for sample in life if sample.at <= life[0].at + seconds]
    return replace(life[0], **{measure: median(getattr(each, measure) for each in first) for measure in MEASURES})


def sample_of(pid: int, at: float) -> Sample | None:
    """Measure a process; None if it has ended."""
    folder = Path("/proc") / str(pid)
    try:
        status = _fields((folder / "status").read_text())
        memory = _fields((folder / "smaps_rollup").read_text())
        held = [*map(_target, (folder / "fd").iterdir())]
    except OSError:
        return None
    if "Threads" not in status or "Pss" not in memory:
        return None
    sockets = sum(each.startswith("socket:") for each in held)
    return Sample(at, pid, status["Threads"], len(held), sockets, memory["Rss"] * 1024, memory["Pss"] * 1024)


def _target(descriptor: Path) -> str:
    """What a descriptor is of; "" if it was closed meanwhile."""
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def sampled(supervisor: int, clock: Callable[[], float]) -> list[Sample]:
    """Measure the supervisor and its workers now."""
    now = clock()
    found = (sample_of(pid, now) for pid in (supervisor, *children_of(supervisor)))
    return [sample for sample in found if sample is not None]


def _fields(text: str) -> dict[str, int]:
    """Read the lines of a name and a number."""
    rows = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in rows if rest.split() and rest.split()[0].isdigit()}
