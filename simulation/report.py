"""Tables of the figures in Markdown."""

from collections.abc import Callable, Mapping

from simulation.figures import Figures
from simulation.scenarios import Scenario

INTRODUCTION = """\
# Simulation

*Written by `make simulate ARGS=--write`.*

The router of this project, with each of its strategies and its default settings, beside models of what others do.
It runs on a virtual clock: requests come by chance from a fixed seed, the same ones for every contender, and wait
for simulated endpoints that fail as the heading says. Trouble begins when all has been well for 45 s or more.
The router's active checks run as they do by default, every 30 s: they find an endpoint that is down or hangs dead, and
one that only fails requests alive. The others check nothing by default. `a1` is the first endpoint of subaccount `a`.

*Outlier ejection* is a model of Envoy: five failures in a row, ejection for 30 s and more, a panic threshold of 50 %,
least request of two, three calls for a request. *Failure accrual* is a model of Finagle and Linkerd: two choices by
peak EWMA, five failures in a row or 80 % of successes, one probe, three calls for a request.
Neither knows tiers or conversations, and neither waits for a quota.

An endpoint is *back* after what is left of its circuit's open time, the answer to a probe, and two thirds of its slow
start of 30 s. After three failed openings a circuit stays open for 32 to 48 s, so that much could be left when trouble
ends; an active check makes it 30 s at most. Where answers take 45 s, the probe alone
takes longer than a chat's whole return: until the model has said something, an endpoint that is well cannot be told
from one that takes requests and never answers (see *Hang*), and to start its slow start before that would send a
quarter of the traffic to where one request is known to be silent. The 50 s and more there are 45 s for the proof, up to
21 s of slow start, and what was left of the open time.

`-` stands where something never happened.

| column | what it is |
|---|---|
| errors | requests whose clients got an error instead of the first word |
| cut | requests whose clients got an error after it, among them those in flight when an endpoint went down |
| wasted | calls that failed at the endpoint where most did, without those in flight when the trouble began |
| calls | calls for each request, while the trouble lasts |
| detected | seconds until every endpoint in trouble was ejected, or left alone for its quota |
| back | seconds from the end of the trouble until each had 70 % of its usual share for 5 s |
| spread | calls of the busiest endpoint before the trouble, over an even share |
| share | the part of the calls that went to endpoints in trouble, while it lasts |
| p95 | seconds within which 95 % got the first word, while the trouble lasts |
| errors end | seconds after the trouble at which the last client got an error |
| carried, refused | answers, and calls refused for want of quota, a minute |
"""


def _count(value: int) -> str:
    return f"{value}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


_COMMON: dict[str, Callable[[Figures], str]] = {
    "errors": lambda f: f"{f.errors} ({f.error_share:.1%})" if f.errors else "0",
    "cut": lambda f: _count(f.cut),
    "wasted": lambda f: _count(f.wasted),
    "calls": lambda f: f"{f.amplification:.2f}",
    "spread": lambda f: f"{f.spread:.2f}",
    "p95": lambda f: _seconds(f.p95),
}
_TROUBLE: dict[str, Callable[[Figures], str]] = {
    "detected": lambda f: _seconds(f.detected),
    "back": lambda f: _seconds(f.readmitted),
    "share": lambda f: f"{f.share:.0%}",
    "errors end": lambda f: _seconds(f.errors_end) if f.errors else "-",
}
_QUOTA: dict[str, Callable[[Figures], str]] = {
    "carried": lambda f: f"{f.carried:.0f}",
    "refused": lambda f: f"{f.refused:.0f}",
}


def section(scenario: Scenario, figures: Mapping[str, Figures]) -> str:
    """Render the results of all contenders in one scenario."""
    columns = dict(_COMMON)
    if scenario.troubles:
        columns |= _TROUBLE
    if scenario.quotas:
        columns |= _QUOTA
    requests = next(iter(figures.values())).requests
    facts = f"`{scenario.layout}`, {scenario.workload.name}, {scenario.rate:.3g} requests/s, {requests} in all"
    rows = [
        ["", *columns],
        ["---", *("--:" for _ in columns)],
        *([name, *(write(each) for write in columns.values())] for name, each in figures.items()),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## {scenario.name.capitalize()}\n\n{scenario.about}\n({facts}.)\n\n{table}\n"
