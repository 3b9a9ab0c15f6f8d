"""What was measured, as a table to read and as a file to compare with."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contestants import Contestant
from benchmarks.figures import middle, ratio, spread, table, text
from benchmarks.measures import Taken

BASE = "bare"
_DIRECT = "direct"
_LATENCY = "latency "
_START = "start"


@dataclass
class Report:
    """Figures by row and contestant, one for each round; rows in the order in which they came."""

    contestants: Sequence[Contestant]
    rows: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    trouble: dict[str, int] = field(default_factory=dict)

    def add(self, number: int, measure: str, contestant: str, taken: Taken) -> None:
        """Take in one run of a measure."""
        self.runs.append(
            {
                "round": number,
                "measure": measure,
                "contestant": contestant,
                "figures": taken.figures,
                "client": taken.client,
                "upstream": taken.upstream,
                "trouble": taken.trouble,
            }
        )
        for name, value in taken.figures.items():
            of_start = name in ("cold start, s", "memory at rest, MB", "--help, s")
            self.figure(_START if of_start else measure, name, contestant, value)
        for each in taken.trouble:
            said = f"{contestant}, {measure}: {each}"
            self.trouble[said] = self.trouble.get(said, 0) + 1

    def figure(self, measure: str, name: str, contestant: str, value: float | None) -> None:
        """Take in one figure."""
        self.rows.setdefault(f"{measure}: {name}", {}).setdefault(contestant, []).append(value)

    def medians(self) -> dict[str, dict[str, float | None]]:
        """Give the median of each row for each contestant, with what each adds to the latency of the upstream."""
        found: dict[str, dict[str, float | None]] = {}
        for row, by_name in self.rows.items():
            measured = {name: middle(values) for name, values in by_name.items()}
            base = measured.get(_DIRECT)
            if _LATENCY in row and base is not None:
                measured = {
                    name: value if name == _DIRECT or value is None else value - base for name, value in measured.items()
                }
                row = row.replace(_LATENCY, "added latency ")  # noqa: PLW2901 - the row is another one now
            found[row] = measured
        return found

    def markdown(self) -> str:
        """Write the medians, each with its ratio to the bare handler where that ran."""
        names = [each.name for each in self.contestants]
        rows = [
            [row, *(self._cell(measured, name) for name in names)]
            for row, measured in self.medians().items()
        ]
        return table(["", *(f"**{name}**" if name.startswith("proxy") else name for name in names)], rows)

    def _cell(self, measured: Mapping[str, float | None], name: str) -> str:
        value = measured.get(name)
        times = None if name in (BASE, _DIRECT) else ratio(value, measured.get(BASE))
        return text(value) + (f" ({text(times)}×)" if times is not None else "")

    def widest_spread(self) -> float | None:
        """Give the median over all rows of how far rounds lay apart, as a share of their median."""
        return middle(spread(values) for row in self.rows.values() for values in row.values())

    def troubles(self) -> Iterable[str]:
        """Name what went wrong, and how often."""
        return (f"{said}" + (f" ({times} times)" if times > 1 else "") for said, times in self.trouble.items())

    def write(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write everything as JSON."""
        path.write_text(
            json.dumps(
                {
                    "about": {**about, "python": platform.python_version(), "kernel": platform.release(),
                              "cores": os.cpu_count()},
                    "contestants": {each.name: each.version for each in self.contestants},
                    "medians": self.medians(),
                    "rows": self.rows,
                    "runs": self.runs,
                },
                indent=1,
            )
        )  # fmt: skip
