"""What was measured, as a table to read and as a file to compare with."""

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contestants import Contestant
from benchmarks.figures import middle, minus, ratio, table, text
from benchmarks.measures import Taken

BASE = "bare"
_DIRECT = "direct"
_LATENCY = "latency "
_ADDED = "added latency "
_Row = dict[str, dict[int, float | None]]


@dataclass
class Report:
    """Figures by row, contestant and round; rows in the order in which they came."""

    contestants: Sequence[Contestant]
    runs: list[dict[str, Any]] = field(default_factory=list)
    trouble: Counter[str] = field(default_factory=Counter)
    _rows: dict[str, dict[str, dict[int, list[float | None]]]] = field(default_factory=dict)

    def add(self, number: int, measure: str, contestant: str, taken: Taken) -> None:
        """Take in one run of a measure in round *number*; what concerns the start is no matter of the measure."""
        self.runs.append({"round": number, "measure": measure, "contestant": contestant, **asdict(taken)})
        for figures, row in ((taken.figures, measure), (taken.start, "start")):
            for name, value in figures.items():
                by_name = self._rows.setdefault(f"{row}: {name}", {})
                by_name.setdefault(contestant, {}).setdefault(number, []).append(value)
        self.trouble.update(f"{contestant}, {measure}: {each}" for each in taken.trouble)

    def rounds(self) -> dict[str, _Row]:
        """Give each row as one figure for each contestant and round: of latencies, what they add to the upstream's."""
        found = {}
        for row, by_name in self._rows.items():
            measured = {
                name: {number: middle(values) for number, values in by_round.items()}
                for name, by_round in by_name.items()
            }
            added = _LATENCY in row and _DIRECT in measured
            found[row.replace(_LATENCY, _ADDED) if added else row] = _beyond(measured) if added else measured
        return found

    def markdown(self, about: str = "") -> str:
        """Write the medians of the rounds, with their ratios to the bare handler, of the rows that name *about*.

        A ratio is the median of the rounds' own, so that a slow minute of the machine does not count.
        """
        names = [each.name for each in self.contestants]
        rounds = {row: measured for row, measured in self.rounds().items() if about in row}
        rows = [[row, *(_cell(measured, name) for name in names)] for row, measured in rounds.items()]
        return table(["", *names], rows)

    @property
    def failed(self) -> bool:
        """Whether some contestant could not be measured at all; that is a fault, however slow the machine is."""
        return any(run["failed"] for run in self.runs)

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
            "contestants": {each.name: each.version for each in self.contestants},
            "medians": medians,
            "rounds": rounds,
            "runs": self.runs,
        }
        path.write_text(json.dumps(everything, indent=1))


def _beyond(measured: _Row) -> _Row:
    """Take the upstream's own figure of the same round off everybody's but its own."""
    own = measured[_DIRECT]
    return {
        name: by_round if name == _DIRECT else {n: minus(value, own.get(n)) for n, value in by_round.items()}
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
