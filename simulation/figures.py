"""The figures that summarise one run."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dialects.core.faults import FaultKind
from simulation.records import CallRecord, Records, RequestRecord
from simulation.scenarios import Scenario

_SETTLED = 15.0
"""The seconds after which an endpoint's usual share of calls is measured."""
_BACK = 0.7
"""The part of its usual share at which an endpoint counts as readmitted."""
_FOR = 5.0
"""The seconds for which it must keep that share."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one run. Requests and calls count from the start of the trouble."""

    requests: int
    errors: int
    """Requests whose clients got an error before the first word."""
    cut: int
    """Requests whose clients got an error after the first word."""
    wasted: int
    """Failed calls at the endpoint with the most of them, without those in flight when the trouble began."""
    amplification: float
    """Calls for each request that arrived during the trouble."""
    detected: float | None
    """The seconds until all endpoints in trouble had been ejected; None if one never was."""
    readmitted: float | None
    """The seconds from the end of the trouble until all its endpoints had 70 % of their usual share for 5 s, or None.
    """
    spread: float
    """Calls of the busiest endpoint before the trouble, divided by an equal share."""
    share: float
    """The part of the calls during the trouble that went to the endpoints in trouble."""
    p95: float | None
    """The 95th percentile of the seconds to the first word, for requests that arrived during the trouble; None if none.
    """
    errors_end: float
    """The seconds from the end of the trouble to the last error before a first word; 0 if there was none."""
    carried: float
    """Answers per minute."""
    refused: float
    """Calls per minute that were refused because of a quota."""

    @property
    def error_share(self) -> float:
        """The part of the requests whose clients got an error before the first word."""
        return self.errors / max(1, self.requests)


def measure(scenario: Scenario, records: Records, pool: Sequence[str]) -> Figures:
    """Compute the figures of a run."""
    start, end = scenario.start, scenario.end
    requests = [each for each in records.requests if each.arrived >= start]
    calls = [each for each in records.calls if each.began >= start]
    during = [each for each in requests if each.arrived < end]
    calls_during = [each for each in calls if each.began < end]
    errors = [each for each in requests if each.first_word is None]
    minutes = (scenario.until - start) / 60
    return Figures(
        requests=len(requests),
        errors=len(errors),
        cut=sum(each.first_word is not None and each.fault is not None for each in requests),
        wasted=max(Counter(each.place for each in calls if each.fault).values(), default=0),
        amplification=len(calls_during) / max(1, len(during)),
        detected=_worst([records.ejected.get(name) for name in scenario.troubled], start),
        readmitted=_worst([_back(scenario, records.calls, name) for name in scenario.troubled], end),
        spread=_spread(records.calls, pool, start),
        share=sum(each.place in scenario.troubled for each in calls_during) / max(1, len(calls_during)),
        p95=_p95(during),
        errors_end=max([0.0, *(each.ended - end for each in errors)]),
        carried=sum(each.first_word is not None for each in requests) / minutes,
        refused=sum(each.fault is not None and each.fault.kind is FaultKind.RATE_LIMITED for each in calls) / minutes,
    )


def _worst(moments: Sequence[float | None], since: float) -> float | None:
    """Return the seconds from *since* to the last of *moments*; None if one is missing or there are none."""
    known = [moment - since for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _share(calls: Sequence[CallRecord], name: str, since: float, until: float) -> float:
    within = [each.place for each in calls if since <= each.began < until]
    return within.count(name) / max(1, len(within))


def _back(scenario: Scenario, calls: Sequence[CallRecord], name: str) -> float | None:
    """Return when the endpoint had its usual share again; None if it never had."""
    usual = _share(calls, name, _SETTLED, scenario.start)
    if not usual:
        return None
    moment = scenario.end
    while moment + _FOR <= scenario.until:
        if _share(calls, name, moment, moment + _FOR) >= _BACK * usual:
            return moment + _FOR
        moment += 1.0
    return None


def _spread(calls: Sequence[CallRecord], pool: Sequence[str], until: float) -> float:
    counts = Counter(each.place for each in calls if _SETTLED <= each.began < until)
    total = counts.total()
    return max(counts.values()) * len(pool) / total if total else math.nan


def _p95(requests: Sequence[RequestRecord]) -> float | None:
    waits = sorted(each.first_word - each.arrived for each in requests if each.first_word is not None)
    return waits[math.ceil(0.95 * len(waits)) - 1] if waits else None
