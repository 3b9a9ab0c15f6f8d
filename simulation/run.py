"""One run of a scenario with a contender and a seed."""

import random
from collections.abc import Iterator

from simulation.clock import VirtualClock
from simulation.contender import Entry
from simulation.exchange import World, exchange
from simulation.failure_accrual import failure_accrual
from simulation.figures import Figures, measure
from simulation.outlier_ejection import outlier_ejection
from simulation.records import Records
from simulation.router import ROUTERS
from simulation.scenarios import Scenario
from simulation.upstream import Upstream, places

CONVERSATIONS = 60
"""The number of conversations that the requests belong to."""

CONTENDERS: dict[str, Entry] = {**ROUTERS, "outlier ejection": outlier_ejection, "failure accrual": failure_accrual}
"""All contenders by name: the router with each strategy, and the models of other balancers."""


def run(scenario: Scenario, contender: str, seed: int) -> Figures:
    """Simulate one scenario. Equal arguments give equal figures."""
    clock = VirtualClock()
    records = Records()
    pool = {place.name: place for place in places(scenario.layout)}
    subject = CONTENDERS[contender](tuple(pool.values()), clock, random.Random(f"{seed} {contender}"))
    upstream = Upstream(scenario.workload.latency, scenario.troubles, scenario.quotas)

    def note(place: str) -> None:
        """Record the time if an endpoint in trouble has been ejected."""
        if clock() >= scenario.start and place not in records.ejected and subject.has_ejected(place):
            records.ejected[place] = clock()

    world = World(clock, subject, upstream, pool, scenario.workload.patience, records, note)
    clock.start(_checks(world, scenario))
    clock.start(_traffic(world, scenario, random.Random(f"{seed} {scenario.name}")))
    clock.run()
    return measure(scenario, records, tuple(pool))


def _checks(world: World, scenario: Scenario) -> Iterator[float]:
    """Run the contender's active checks every second."""
    while world.clock() < scenario.until:
        world.contender.check(lambda name: world.upstream.is_alive(world.pool[name], world.clock()))
        yield 1.0


def _traffic(world: World, scenario: Scenario, rng: random.Random) -> Iterator[float]:
    """Send the requests."""
    while world.clock() < scenario.until:
        key = f"conversation {rng.randrange(CONVERSATIONS)}"
        # Each request has its own random numbers, so that they are the same for every contender.
        world.clock.start(exchange(world, key, random.Random(rng.random())))
        yield 1 / scenario.rate if scenario.is_even else rng.expovariate(scenario.rate)
