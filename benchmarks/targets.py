"""Limits of the proxy's figures, relative to the bare handler and other gateways in the same run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.figures import TIMES, middle, ratio, table
from benchmarks.plan import ONE_CONNECTION, PASSED, SIXTEEN, START, TRANSLATED, TWO_PROCESSES, streams

Rows = Mapping[str, Mapping[str, Mapping[int, float | None]]]
"""Figures by row, contestant and round."""

OURS = "proxy"
REQUEST_CPU = "CPU s per 1,000 requests"
CHUNK_CPU = "CPU ms per 1,000 chunks"
SCALING = f"{TWO_PROCESSES}: requests/s, to those of 1 process"


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of a figure of the proxy, divided by that of another contestant.

    Without another contestant, the figure itself is compared. *of_row* is the other's row if that differs.
    """

    row: str
    other: str
    limit: float
    at_least: bool = False
    of_row: str = ""

    def measured(self, rows: Rows) -> float | None:
        """Return the median of the ratios in each round, rounded as it is shown; None if it was not measured."""
        own = rows.get(self.row, {}).get(OURS, {})
        if not self.other:
            return as_written(middle(own.values()))
        others = rows.get(self.of_row or self.row, {}).get(self.other, {})
        return as_written(middle(ratio(value, others.get(number)) for number, value in own.items()))

    def is_met_by(self, measured: float) -> bool:
        """Return whether *measured* is within the limit."""
        return measured >= self.limit if self.at_least else measured <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        if not self.other:
            return f"{bound} {ratio_text(self.limit)}"
        what = f"{self.other}'s {self.of_row.partition(':')[0]}" if self.of_row else self.other
        return f"{bound} {ratio_text(self.limit)} {TIMES} {what}"


def _targets() -> Iterator[Target]:
    request = f"{SIXTEEN}: {REQUEST_CPU}"
    yield Target(request, "bare", 0.85)
    yield Target(request, "Portkey", 0.5)
    yield Target(request, "LiteLLM", 1 / 15)
    yield Target(SCALING, "", 1.7, at_least=True)
    yield Target(f"{ONE_CONNECTION}: added latency p50, ms", "bare", 1)
    yield Target(f"{ONE_CONNECTION}: added latency p50, ms", "LiteLLM", 1 / 10)
    yield Target(f"{ONE_CONNECTION}: added latency p99, ms", "bare", 1)
    passed, translated = f"{PASSED}: {CHUNK_CPU}", f"{TRANSLATED}: {CHUNK_CPU}"
    yield Target(passed, "bare", 1.5)
    yield Target(passed, "LiteLLM", 1 / 35)
    yield Target(translated, "bare", 2.5, of_row=passed)
    yield Target(translated, "LiteLLM", 1 / 18)
    paced = f"{streams(50)}: {CHUNK_CPU}"
    yield Target(paced, "bare", 1.15)
    yield Target(paced, "Portkey", 0.6)
    for count in (200, 500):
        yield Target(f"{streams(count)}: share of the ideal", "bare", 1, at_least=True)
        yield Target(f"{streams(count)}: delay p99, ms", "bare", 1.5)
    yield Target(f"{START}: memory at rest, MB", "bare", 1.35)
    yield Target(f"{START}: cold start, s", "bare", 2)


TARGETS = tuple(_targets())


def targets_table(rows: Rows) -> str:
    """Render the measured targets and whether each is met; an empty string if none was measured."""
    found = [(target, measured) for target in TARGETS if (measured := target.measured(rows)) is not None]
    lines = [
        [target.row, str(target), ratio_text(measured), "met" if target.is_met_by(measured) else "MISSED"]
        for target, measured in found
    ]
    return table(["target", "", "measured", ""], lines) if lines else ""


def not_judged(rows: Rows) -> str:
    """Return a sentence with the number of targets without figures in this run; empty if there are none."""
    lacking = [target for target in TARGETS if target.measured(rows) is None]
    if not lacking:
        return ""
    direct = any("added latency" in target.row for target in lacking)
    hint = "; added latency needs `direct` in the run" if direct else ""
    return f"{len(lacking)} of {len(TARGETS)} targets have no figures in this run{hint}."


def as_written(value: float | None) -> float | None:
    """Round a ratio to what `ratio_text` shows, so that the result does not depend on digits that are not shown."""
    if value is None or value <= 0:
        return value
    return round(value, 2) if value >= _PART else 1 / round(1 / value, 1)


def ratio_text(value: float) -> str:
    """Format a ratio with two decimals, and a small one as a fraction of one."""
    return f"{value:.2f}" if value <= 0 or value >= _PART else f"1/{round(1 / value, 1):g}"


_PART = 0.25
