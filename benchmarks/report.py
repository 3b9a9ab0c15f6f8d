"""What was measured, as a table to read and as a file to compare with."""

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
    """Figures by row, contestant and round; rows in the order in which they came. Contestants have their versions."""

    contestants: Mapping[str, str]
    runs: list[dict[str, Any]] = field(default_factory=list)
    trouble: Counter[str] = field(default_factory=Counter)
    _rows: dict[str, dict[str, dict[int, list[float | None]]]] = field(default_factory=dict)

    def add(self, number: int, measure: str, contestant: str, taken: Taken) -> None:
        """Take in one run of a measure in round *number*; what concerns the start is no matter of the measure."""
        self.runs.append({"round": number, "measure": measure, "contestant": contestant, **asdict(taken)})
        for figures, row in ((taken.figures, measure), (taken.start, START)):
            for name, value in figures.items():
                by_name = self._rows.setdefault(f"{row}: {name}", {})
                by_name.setdefault(contestant, {}).setdefault(number, []).append(value)
        self.trouble.update(f"{contestant}, {measure}: {each}" for each in taken.trouble)

    def rounds(self) -> dict[str, _Row]:
        """Give each row as one figure for each contestant and round: of latencies, what they add to the upstream's.

        Those of the start come first.
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
        """Write the medians of the rounds, with their ratios to the bare handler, of the rows that name *about*.

        A ratio is the median of the rounds' own, so that a slow minute of the machine does not count.
        """
        rounds = {row: measured for row, measured in self.rounds().items() if about in row}
        rows = [[row, *(_cell(measured, name) for name in self.contestants)] for row, measured in rounds.items()]
        return table(["", *self.contestants], rows)

    @property
    def failed(self) -> bool:
        """Whether some contestant could not be measured at all; that is a fault, however slow the machine is."""
        return any(run["failed"] for run in self.runs)

    @property
    def last_round(self) -> int:
        """The number of the last round of which something is known."""
        return max((each["round"] for each in self.runs), default=0)

    def troubles(self) -> Iterable[str]:
        """Name what went wrong, and how often."""
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
        """Read what `write` wrote; raises `OSError`, and `ValueError` for what is no such file."""
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
    """Take the upstream's own figure of the same round off everybody's but its own."""
    own = measured[_DIRECT]
    return {
        name: by_round if name == _DIRECT else {n: minus(value, own.get(n)) for n, value in by_round.items()}
        for name, by_round in measured.items()
    }


def _over(measured: _Row, base: _Row) -> _Row:
    """Divide everybody's figure by what it was in another row of the same round."""
    return {
        name: {n: ratio(value, base.get(name, {}).get(n)) for n, value in by_round.items()}
        for name, by_round in measured.items()
    }


def _cell(measured: _Row, name: str) -> str:
    """Write the median of one contestant, and its ratio to the bare handler."""
    by_round = measured.get(name, {})
    value = text(middle(by_round.values()))
    if name in (BASE, _DIRECT) or BASE not in measured:
        return value
    times = middle(ratio(each, measured[BASE].get(number)) for number, each in by_round.items())
    return value if times is None else f"{value} ({text(times)})"
