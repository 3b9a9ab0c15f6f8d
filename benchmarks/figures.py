"""Calculations of the benchmarks: values from /proc, medians, ratios, and the format of numbers."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

TIMES = "\N{MULTIPLICATION SIGN}"
"""The sign after a ratio."""
_KIB = 1024


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """Values of a line of /proc/PID/stat: the session, and the CPU time in clock ticks, including reaped children."""

    session: int
    ticks: int
    is_zombie: bool


def process_times(line: str) -> ProcessTimes:
    """Parse /proc/PID/stat. The command in it may contain spaces and parentheses."""
    fields = line.rpartition(")")[2].split()
    return ProcessTimes(int(fields[3]), sum(map(int, fields[11:15])), fields[0] == "Z")


def pss_bytes(rollup: str) -> int:
    """Return the proportional set size in bytes from /proc/PID/smaps_rollup. Shared pages count by their share."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIB
    return 0


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that were measured; None if there are none."""
    measured = [value for value in values if value is not None]
    return median(measured) if measured else None


def minus(value: float | None, base: float | None) -> float | None:
    """Subtract; return None if a value is unknown."""
    return value - base if value is not None and base is not None else None


def ratio(value: float | None, base: float | None) -> float | None:
    """Divide; return None if a value is unknown or the base is 0."""
    return value / base if value is not None and base else None


def per_thousand(amount: float, count: float) -> float | None:
    """Return the amount per thousand; None if the count is 0."""
    return amount * 1_000 / count if count else None


def text(value: float | None) -> str:
    """Format a number with three significant digits, or None as a dash."""
    if value is None:
        return "-"
    if value and abs(value) < 100:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{value:.{min(digits, 4)}f}"
    return f"{value:,.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table in Markdown, with the first column aligned left and the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
