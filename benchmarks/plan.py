"""What is measured, by name: the loads that gateways are put under, the light before the heavy."""

from benchmarks.contestants import Schedule
from benchmarks.measures import Measure

RATE = 50
"""Chunks a second of a paced stream."""
STREAMS = (50, 200, 500, 1_000)
SLOW = 1_000
"""Streams that say one thing a second."""
TEN = Schedule(10, 0)
"""A whole answer, of ten pieces of text."""
THOUSAND = Schedule(1_000, 0)
"""A stream as fast as it is taken."""

ONE_CONNECTION = "1 connection"
SIXTEEN = "16 connections"
PASSED = "passed through"
TRANSLATED = "translated"
ONE_PROCESS = "2 cores, 1 process"
TWO_PROCESSES = "2 cores, 2 processes"
START = "start"
"""No load: the start of a gateway, which each measure begins with, and its `--help`."""


def streams(count: int) -> str:
    """Name the measure of *count* paced streams."""
    return f"{count} streams"


def measures(*, seconds: float) -> list[Measure]:
    """List everything that is measured; *seconds* is how long each takes."""
    paced = Schedule(round(seconds * RATE), RATE)
    slow = Schedule(max(2, round(seconds * 2)), 1)
    return [
        Measure(ONE_CONNECTION, 1, seconds, TEN),
        Measure(SIXTEEN, 16, seconds, TEN),
        Measure("64 connections", 64, seconds, TEN),
        Measure(ONE_PROCESS, 64, seconds, TEN, on_both=True),
        Measure(TWO_PROCESSES, 64, seconds, TEN, processes=2, on_both=True),
        Measure(PASSED, 8, seconds, THOUSAND, stream=True),
        Measure(TRANSLATED, 8, seconds, THOUSAND, stream=True, translated=True),
        *(Measure(streams(count), count, paced.seconds, paced, stream=True) for count in STREAMS),
        Measure(f"{SLOW} streams of 1 chunk/s", SLOW, slow.seconds, slow, stream=True),
    ]


def hot_paths(seconds: float) -> list[Measure]:
    """List the loads of the hot paths: a request, and a chunk of a stream; *seconds* is how long each takes."""
    paced = Schedule(round(seconds * RATE), RATE)
    return [
        Measure(SIXTEEN, 16, seconds, TEN),
        Measure(PASSED, 8, seconds, THOUSAND, stream=True),
        Measure(TRANSLATED, 8, seconds, THOUSAND, stream=True, translated=True),
        Measure(streams(50), 50, paced.seconds, paced, stream=True),
    ]


def schedules_of(*measures: Measure) -> tuple[Schedule, ...]:
    """List the answers that a gateway must be able to ask for, the whole one first."""
    return tuple(dict.fromkeys([TEN, *(measure.schedule for measure in measures)]))
