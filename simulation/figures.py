"""What is said of one run, in figures."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dialects.core.faults import FaultKind
from simulation.records import CallRecord, Records, RequestRecord
from simulation.scenarios import Scenario

_SETTLED = 15.0
"""Seconds after which an endpoint's usual share is measured."""
_BACK = 0.7
"""Which part of its usual share makes an endpoint count as back."""
_FOR = 5.0
"""Seconds for which it must have had it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to. Requests and calls count from the beginning of the trouble on."""

    requests: int
    errors: int
    """Requests whose clients got an error instead of the first word."""
    cut: int
    """Requests whose clients got an error after it."""
    wasted: int
    """Calls that failed at the endpoint where most did; those in flight when the trouble began do not count."""
    amplification: float
    """Calls for each request that came while the trouble lasted."""
    detected: float | None
    """Seconds until all endpoints in trouble had been ejected; None if one never was."""
    readmitted: float | None
    """Seconds from the end of the trouble until all had 70 % of their usual share for 5 s; None if one never had."""
    spread: float
    """Calls of the busiest endpoint before the trouble, over an even share."""
    share: float
    """The part of the calls that went to the endpoints in trouble while it lasted."""
    p95: float | None
    """Seconds to the first word within which 95 % of those got it that came while the trouble lasted; None if none."""
    errors_end: float
    """Seconds after the trouble at which the last client got an error instead of the first word; 0 if none did."""
    carried: float
    """Answers a minute."""
    refused: float
    """Calls a minute that were refused for want of quota."""

    @property
    def error_share(self) -> float:
        """The part of the requests whose clients got an error instead of the first word."""
        return self.errors / max(1, self.requests)


def measure(scenario: Scenario, records: Records, pool: Sequence[str]) -> Figures:
    """Sum up what happened."""
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
    """The seconds from *since* to the last of *moments*; None if one of them never came, or there are none."""
    known = [moment - since for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _share(calls: Sequence[CallRecord], name: str, since: float, until: float) -> float:
    within = [each.place for each in calls if since <= each.began < until]
    return within.count(name) / max(1, len(within))


def _back(scenario: Scenario, calls: Sequence[CallRecord], name: str) -> float | None:
    """When the endpoint had its share again; None if it never had, or never had one."""
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
