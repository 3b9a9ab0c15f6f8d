"""The report of a run: a table to read, and a file to compare with."""

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from benchmarks.figures import middle, minus, ratio, table, text
from benchmarks.measures import Taken
from benchmarks.plan import ONE_PROCESS, START, TWO_PROCESSES
from benchmarks.targets import SCALING

BASE = "bare"
_DIRECT = "direct"
_LATENCY = "latency "
_ADDED = "added latency "
_ONE, _TWO = f"{ONE_PROCESS}: requests/s", f"{TWO_PROCESSES}: requests/s"
_Row = dict[str, dict[int, float | None]]


@dataclass
class Report:
    """Figures by row, contestant and round, with the contestants' versions.

    Rows are in the order in which they were added.
    """

    contestants: Mapping[str, str]
    runs: list[dict[str, Any]] = field(default_factory=list)
    trouble: Counter[str] = field(default_factory=Counter)
    _rows: dict[str, dict[str, dict[int, list[float | None]]]] = field(default_factory=dict)

    def add(self, number: int, measure: str, contestant: str, taken: Taken) -> None:
        """Add one run of a measure in round *number*. Figures of the start have rows of their own."""
        self.runs.append({"round": number, "measure": measure, "contestant": contestant, **asdict(taken)})
        for figures, row in ((taken.figures, measure), (taken.start, START)):
            for name, value in figures.items():
                by_name = self._rows.setdefault(f"{row}: {name}", {})
                by_name.setdefault(contestant, {}).setdefault(number, []).append(value)
        self.trouble.update(f"{contestant}, {measure}: {each}" for each in taken.trouble)

    def rounds(self) -> dict[str, _Row]:
        """Return each row as one figure for each contestant and round. Those of the start come first.

        For latencies, the figures are what a contestant adds to the upstream's latency.
        """
        found = {}
        for row, by_name in self._rows.items():
            measured = {
                name: {number: middle(values) for number, values in by_round.items()}
                for name, by_round in by_name.items()
            }
            added = _LATENCY in row and _DIRECT in measured
            found[row.replace(_LATENCY, _ADDED) if added else row] = _beyond(measured) if added else measured
        found = dict(sorted(found.items(), key=lambda each: not each[0].startswith(f"{START}:")))
        if _ONE in found and _TWO in found:
            found[SCALING] = _over(found[_TWO], found[_ONE])
        return found

    def markdown(self, about: str = "") -> str:
        """Render the medians of the rounds, with ratios to the bare handler, of the rows whose names contain *about*.

        A ratio is the median of the ratios in each round, so that a slow minute of the machine has no effect.
        """
        rounds = {row: measured for row, measured in self.rounds().items() if about in row}
        rows = [[row, *(_cell(measured, name) for name in self.contestants)] for row, measured in rounds.items()]
        return table(["", *self.contestants], rows)

    @property
    def failed(self) -> bool:
        """Whether a contestant could not be measured at all, which is an error however slow the machine is."""
        return any(run["failed"] for run in self.runs)

    @property
    def last_round(self) -> int:
        """The number of the last round with a result."""
        return max((each["round"] for each in self.runs), default=0)

    def troubles(self) -> Iterable[str]:
        """List the errors, and how often each occurred."""
        return (f"{said} ({times} times)" if times > 1 else said for said, times in self.trouble.items())

    def write(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write everything as JSON."""
        machine = {"python": platform.python_version(), "kernel": platform.release(), "cores": os.cpu_count()}
        rounds = self.rounds()
        medians = {
            row: {name: middle(by_round.values()) for name, by_round in measured.items()}
            for row, measured in rounds.items()
        }
        everything = {
            "about": {**about, **machine},
            "contestants": dict(self.contestants),
            "medians": medians,
            "rounds": rounds,
            "runs": self.runs,
        }
        path.write_text(json.dumps(everything, indent=1))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` wrote; raises `OSError` or `ValueError` if that is not possible."""
        try:
            read = json.loads(path.read_text())
            report = cls(read["contestants"])
            for run in read["runs"]:
                taken = Taken(**{each.name: run[each.name] for each in fields(Taken)})
                report.add(run["round"], run["measure"], run["contestant"], taken)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} was not written by the benchmarks") from error
        return report


def _beyond(measured: _Row) -> _Row:
    """Subtract the upstream's own figure of the same round from those of the contestants."""
    own = measured[_DIRECT]
    return {
        name: by_round if name == _DIRECT else {n: minus(value, own.get(n)) for n, value in by_round.items()}
        for name, by_round in measured.items()
    }


def _over(measured: _Row, base: _Row) -> _Row:
    """Divide each figure by that of another row in the same round."""
    return {
        name: {n: ratio(value, base.get(name, {}).get(n)) for n, value in by_round.items()}
        for name, by_round in measured.items()
    }


def _cell(measured: _Row, name: str) -> str:
    """Render the median of one contestant, and its ratio to the bare handler."""
    by_round = measured.get(name, {})
    value = text(middle(by_round.values()))
    if name in (BASE, _DIRECT) or BASE not in measured:
        return value
    times = middle(ratio(each, measured[BASE].get(number)) for number, each in by_round.items())
    return value if times is None else f"{value} ({text(times)})"
