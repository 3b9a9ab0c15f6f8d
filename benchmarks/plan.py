"""The measures by name: the loads for gateways, from light to heavy."""

from benchmarks.contestants import Schedule
from benchmarks.measures import Measure

RATE = 50
"""The chunks per second of a paced stream."""
STREAMS = (50, 200, 500, 1_000)
SLOW = 1_000
"""The number of streams with one chunk per second."""
TEN = Schedule(10, 0)
"""A whole answer, with ten pieces of text."""
THOUSAND = Schedule(1_000, 0)
"""A stream without pauses."""

ONE_CONNECTION = "1 connection"
SIXTEEN = "16 connections"
PASSED = "passed through"
TRANSLATED = "translated"
ONE_PROCESS = "2 cores, 1 process"
TWO_PROCESSES = "2 cores, 2 processes"
START = "start"
"""The start of a gateway, with which each measure begins, and its `--help`; this is not a load."""


def streams(count: int) -> str:
    """Return the name of the measure with *count* paced streams."""
    return f"{count} streams"


def measures(*, seconds: float) -> list[Measure]:
    """List all measures. Each takes about *seconds*."""
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
    """List the loads of the hot paths: a request, and a chunk of a stream. Each takes about *seconds*."""
    paced = Schedule(round(seconds * RATE), RATE)
    return [
        Measure(SIXTEEN, 16, seconds, TEN),
        Measure(PASSED, 8, seconds, THOUSAND, stream=True),
        Measure(TRANSLATED, 8, seconds, THOUSAND, stream=True, translated=True),
        Measure(streams(50), 50, paced.seconds, paced, stream=True),
    ]


def schedules_of(*measures: Measure) -> tuple[Schedule, ...]:
    """List the schedules that a gateway must support for these measures, starting with the whole answer."""
    return tuple(dict.fromkeys([TEN, *(measure.schedule for measure in measures)]))
