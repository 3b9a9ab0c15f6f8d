"""What the soak has found: the table for people, and the same for programs."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.soak.answers import MARKER
from tests.soak.hostile import WRONG_KEY
from tests.soak.outcomes import GOOD, Outcome, Window, explanation
from tests.soak.samples import Sample, Trend, worst

SHOWN = 25
"""How many of each kind of finding are printed."""
_ENOUGH = 20
"""So many requests of a kind cannot all have met an outage."""
_MANY = 150
"""So many wrong keys from two addresses are too many for two workers."""
_EXPECTED = re.compile(r"worker \d+ ended unexpectedly with SIGKILL|the settings are unchanged: ")
"""Errors of the log that the soak has caused on purpose."""
_ERROR = re.compile(r"^\S+ \S+ (ERROR|CRITICAL) ")


@dataclass(frozen=True)
class Verdict:
    """All that is judged. It is good if nothing of it says otherwise."""

    seconds: float
    seed: int
    outcomes: Sequence[Outcome]
    windows: Sequence[Window]
    disturbances: Mapping[str, int]
    trends: Sequence[Trend]
    problems: Sequence[str]
    samples: Sequence[Sample] = ()
    began: float = 0.0
    """When it began, by the clock of the outcomes."""

    @property
    def amiss(self) -> list[str]:
        """Everything that must not be, each in a line."""
        clients = [
            f"unexplained, {each.began - self.began:.0f} s after the start: {each}"
            for each in self.outcomes
            if explanation(each, self.windows) is None
        ]
        grown = [f"grows: {each}" for each in self.trends if not each.is_good]
        return [*self.problems, *clients, *grown]

    def lines(self) -> list[str]:
        """The report."""
        again = sum(each.reconnected for each in self.outcomes)
        return [
            f"{self.seconds:.0f} s, seed {self.seed}: {len(self.outcomes)} requests, {again} of them sent anew",
            "",
            f"{'requests':34} {'number':>7} {'good':>7} {'explained':>9} {'unexplained':>11}  slowest",
            *self._rows(),
            "",
            "explained by",
            *(f"  {name:40} {number:6}" for name, number in self._explained().most_common()),
            "",
            "what went wrong on purpose",
            *(f"  {name:40} {number:6}" for name, number in sorted(self.disturbances.items())),
            "",
            f"{'processes':34} {'measure':12} {'first':>8} {'last':>8} {'growth':>8} {'slope':>9}",
            *map(str, worst(self.trends)),
            "",
            *self._amiss(),
        ]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "seconds": self.seconds,
            "seed": self.seed,
            "requests": len(self.outcomes),
            "results": dict(Counter(each.result.name.lower() for each in self.outcomes)),
            "explained": dict(self._explained()),
            "disturbances": dict(self.disturbances),
            "trends": [
                {name: value for name, value in asdict(each).items() if name != "bound"} | {"good": each.is_good}
                for each in self.trends
            ],
            "amiss": self.amiss,
            "samples": [asdict(each) for each in self.samples],
        }

    def _rows(self) -> Iterable[str]:
        kinds: dict[str, list[Outcome]] = {}
        for each in self.outcomes:
            kinds.setdefault(each.kind, []).append(each)
        for kind, those in sorted(kinds.items()):
            good = sum(each.result in GOOD for each in those)
            lost = sum(explanation(each, self.windows) is None for each in those)
            slowest = max(each.ended - each.began for each in those)
            yield f"{kind:34} {len(those):7} {good:7} {len(those) - good - lost:9} {lost:11} {slowest:7.1f} s"

    def _explained(self) -> Counter[str]:
        return Counter(name for each in self.outcomes if (name := explanation(each, self.windows)))

    def _amiss(self) -> list[str]:
        amiss = self.amiss
        if not amiss:
            return ["Nothing is amiss."]
        more = [f"and {len(amiss) - SHOWN} more"] if len(amiss) > SHOWN else []
        return [f"{len(amiss)} amiss:", *(f"  {line[:900]}" for line in amiss[:SHOWN]), *more]


def problems_in_log(text: str, secrets: Iterable[str]) -> list[str]:
    """What must not be in the log: a traceback, an error that nobody has caused, a prompt, a key."""
    found = []
    if "Traceback" in text:
        found.append(f"a traceback in the log: {text[text.index('Traceback') :][:1500]}")
    errors = [line for line in text.splitlines() if _ERROR.match(line) and not _EXPECTED.search(line)]
    found += [f"an error in the log: {line}" for line in errors[:SHOWN]]
    if MARKER.search(text.encode()):
        found.append("words of a prompt in the log")
    if any(secret in text for secret in secrets):
        found.append("a key in the log")
    return found


def unslowed(outcomes: Iterable[Outcome]) -> list[str]:
    """Whoever tries many wrong keys has to be told to wait."""
    statuses = Counter(each.status for each in outcomes if each.kind.endswith(WRONG_KEY))
    return (
        ["many wrong keys of one address, and no 429"] if sum(statuses.values()) >= _MANY and not statuses[429] else []
    )


def lost_results(outcomes: Iterable[Outcome]) -> list[str]:
    """A soak in which whole kinds of requests never went well has shown nothing."""
    known = tuple(outcomes)
    kinds = Counter(each.kind for each in known)
    good = {each.kind for each in known if each.result in GOOD}
    return [
        f"no request “{kind}” has gone well" for kind in sorted(kinds) if kinds[kind] >= _ENOUGH and kind not in good
    ]
