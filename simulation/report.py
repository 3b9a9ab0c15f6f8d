"""Tables of the figures in Markdown."""

from collections.abc import Callable, Mapping

from simulation.figures import Figures
from simulation.scenarios import Scenario

INTRODUCTION = """\
# Simulation

*Written by `make simulate ARGS=--write`.*

The simulation compares the router of this project, with each of its strategies and its default settings, with models of
other load balancers. It runs on a virtual clock. Requests arrive at random times from a fixed seed, which are the same
for every contender, and wait for simulated endpoints. The text of each scenario says how the endpoints fail. The
trouble begins after at least 45 s without failures. The router's active checks run every 30 s, as they do by default:
they detect an endpoint that is down or hangs, but not one that only fails requests. The other balancers have no active
checks by default. `a1` is the first endpoint of subaccount `a`.

*Outlier ejection* is a model of Envoy: five failures in a row, ejection for at least 30 s, a panic threshold of 50 %,
least request of two, three calls for a request. *Failure accrual* is a model of Finagle and Linkerd: two choices by
peak EWMA, five failures in a row or 80 % of successes, one probe, three calls for a request.
Neither considers tiers or conversations, and neither waits for a quota.

An endpoint is *back* after the rest of its circuit's open time, the answer to a probe, and two thirds of its slow start
of 30 s. After three failed openings a circuit stays open for 32 to 48 s, which is the longest rest when the trouble
ends; an active check shortens it to at most 30 s. Where answers take 45 s, the probe alone takes longer than the whole
return of a chat: until the model has sent something, a healthy endpoint cannot be distinguished from one that accepts
requests and never answers (see *Hang*). An earlier slow start would send a quarter of the traffic to an endpoint with a
request that has no answer yet. The 50 s and more there consist of 45 s for the probe, up to 21 s of slow start, and the
rest of the open time.

`-` means that something never happened.

| column | meaning |
|---|---|
| errors | requests whose clients got an error instead of the first word |
| cut | requests whose clients got an error after it, including those in flight when an endpoint went down |
| wasted | failed calls at the endpoint with the most of them, without those in flight when the trouble began |
| calls | calls for each request during the trouble |
| detected | seconds until every endpoint in trouble was ejected, or in cooldown because of its quota |
| back | seconds from the end of the trouble until each had 70 % of its usual share for 5 s |
| spread | calls of the busiest endpoint before the trouble, divided by an equal share |
| share | the part of the calls during the trouble that went to endpoints in trouble |
| p95 | seconds within which 95 % of the clients got the first word during the trouble |
| errors end | seconds from the end of the trouble to the last error |
| carried, refused | answers per minute, and calls per minute that were refused because of a quota |
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
