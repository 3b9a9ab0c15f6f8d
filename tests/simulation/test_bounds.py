"""What the router promises whatever the strategy, held in simulated trouble."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from routing import STRATEGIES
from simulation.figures import Figures
from simulation.run import run
from simulation.scenarios import SCENARIOS, Scenario
from tests.support.rows import Rows

pytestmark = pytest.mark.repeats

SEED = 1
BY_NAME = {each.name: each for each in SCENARIOS}


@dataclass(frozen=True)
class Bound:
    """One figure of a run, and what it must come to."""

    name: str
    figure: Callable[[Figures], float | None]
    most: float = float("inf")
    least: float = 0.0

    def miss(self, figures: Figures) -> str:
        """Say by how much it is missed; empty if it is held."""
        value = self.figure(figures)
        return "" if value is not None and self.least <= value <= self.most else f"{self.name}: {value}"


NO_ERROR = Bound("errors", lambda f: f.errors, most=0)
ERRORS_END = Bound("errors end", lambda f: f.errors_end, most=2.0)
WASTED = Bound("wasted", lambda f: f.wasted, most=12)
BACK = Bound("back", lambda f: f.readmitted, most=40.0)
CARRIED = Bound("carried", lambda f: f.carried, least=117.0)
REFUSED = Bound("refused", lambda f: f.refused, most=30.0)

BOUNDS: dict[str, tuple[Bound, ...]] = {
    "outage 60 s": (WASTED, BACK),
    "failures 60 s": (WASTED, BACK),
    "outage of all": (ERRORS_END,),
    "outage of all (reasoning)": (ERRORS_END,),
    "3 siblings": (WASTED,),
    "4 siblings": (WASTED,),
    "3 siblings (quiet)": (WASTED,),
    "4 siblings (quiet)": (WASTED,),
    "30 % everywhere": (
        Bound("errors", lambda f: f.error_share, most=0.04),
        Bound("calls", lambda f: f.amplification, most=1.6),
    ),
    "30 % everywhere (busy)": (Bound("calls", lambda f: f.amplification, most=1.35),),
    "hang": (),
    "cut streams": (Bound("cut", lambda f: f.cut, most=40),),
    "flapping": (),
    "standby that broke before": (WASTED,),
    "quota": (CARRIED, REFUSED),
    "quota without hints": (CARRIED, REFUSED),
    "rolling quota": (CARRIED, REFUSED),
    "rolling quota without hints": (REFUSED,),
    "slow": (),
}
"""What must hold in which scenario, beside this: nobody sees an error while one subaccount is well."""

SLOW_SHARE = Rows(
    __file__,
    "SLOW_SHARE",
    {
        "round-robin": 0.26,
        "weighted": 0.26,
        "least-connections": 0.06,
        "least-latency": 0.03,
        "cache-affinity": 0.14,
        "priority": 0.26,
    },
)
"""The part of the calls that an endpoint ten times slower than three others may get, by strategy."""


def bounds_of(scenario: Scenario, strategy: str) -> list[Bound]:
    """Everything that must hold in a scenario under a strategy."""
    bounds = [NO_ERROR] if scenario.spared else []
    if scenario.name == "slow":
        bounds.append(Bound("share", lambda f: f.share, most=SLOW_SHARE[strategy]))
    return [*bounds, *BOUNDS[scenario.name]]


AFTERWARDS = {"outage 60 s": 60.0, "failures 60 s": 60.0, "outage of all (reasoning)": 50.0, "hang": 75.0}
"""Seconds after the trouble that are waited for, where 10 do not show what is measured."""


def brief(name: str) -> Scenario:
    """The scenario of that *name*, as short as it may be."""
    scenario = BY_NAME[name]
    return replace(scenario, afterwards=min(scenario.afterwards, AFTERWARDS.get(name, 10.0)))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", BOUNDS)
def test_every_strategy_keeps_within_bounds(name, strategy) -> None:
    scenario = brief(name)
    figures = run(scenario, strategy, SEED)

    assert [bound.miss(figures) for bound in bounds_of(scenario, strategy) if bound.miss(figures)] == []
