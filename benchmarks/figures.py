"""What the benchmarks compute: sums over /proc, medians, ratios, and how a number is written."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

TIMES = "\N{MULTIPLICATION SIGN}"
"""What a ratio is written with."""
_KIB = 1024


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """One line of /proc/PID/stat: the session, and the CPU time in clock ticks, that of reaped children included."""

    session: int
    ticks: int
    is_zombie: bool


def process_times(line: str) -> ProcessTimes:
    """Parse /proc/PID/stat; the command in it may hold spaces and parentheses."""
    fields = line.rpartition(")")[2].split()
    return ProcessTimes(int(fields[3]), sum(map(int, fields[11:15])), fields[0] == "Z")


def pss_bytes(rollup: str) -> int:
    """Read the proportional set size out of /proc/PID/smaps_rollup: shared pages count by their share."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIB
    return 0


def middle(values: Iterable[float | None]) -> float | None:
    """Give the median of what was measured; None if nothing was."""
    measured = [value for value in values if value is not None]
    return median(measured) if measured else None


def minus(value: float | None, base: float | None) -> float | None:
    """Subtract, where both are known."""
    return value - base if value is not None and base is not None else None


def ratio(value: float | None, base: float | None) -> float | None:
    """Divide, where both are known and the base is not nothing."""
    return value / base if value is not None and base else None


def per_thousand(amount: float, count: float) -> float | None:
    """Share *amount* out among thousands; None if there was nothing to share it among."""
    return amount * 1_000 / count if count else None


def text(value: float | None) -> str:
    """Write a number with three figures that matter, or a dash for none."""
    if value is None:
        return "-"
    if value and abs(value) < 100:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{value:.{min(digits, 4)}f}"
    return f"{value:,.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown: the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
