"""The cost of a choice in microseconds of CPU: for 1 to 1,000 endpoints, with each strategy, and with LiteLLM."""

import importlib
import itertools
import os
import random
import time
from collections.abc import Callable, Mapping

from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.policy import Policy
from routing.request_router import RequestRouter
from routing.strategy import STRATEGIES, SelectionContext

SIZES = (1, 10, 100, 1_000)
SUBACCOUNTS = 5
ROUNDS = 20
CALLS = 20
SECONDS = 1.0
"""The maximum seconds for measuring one work. A slow one has fewer rounds."""
KEYS = [SelectionContext(f"conversation {number}") for number in range(1_000)]
LITELLM = "choice, LiteLLM"

Work = Callable[[], object]


def costs(works: Mapping[str, Work]) -> dict[str, float]:
    """Return the microseconds per call, the best of several rounds.

    All works take turns, so that a busy machine slows all.
    """
    best = dict.fromkeys(works, float("inf"))
    until = time.process_time() + SECONDS * len(works)
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            for _ in range(CALLS):
                work()
            best[name] = min(best[name], (time.process_time() - start) / CALLS * 1e6)
        if time.process_time() > until:
            break
    return best


def balancer(size: int, strategy: str) -> LoadBalancer:
    """Create a balancer for one model with *size* deployments."""
    pool = [Endpoint(f"s{n % SUBACCOUNTS}", f"https://ai/v2/inference/deployments/d{n}", "m") for n in range(size)]
    return LoadBalancer({"m": pool}, policy=Policy(strategy=strategy), rng=random.Random(1))  # noqa: S311 - a benchmark


def choice(size: int, strategy: str) -> Work:
    """Return the work of selecting an endpoint."""
    subject, keys = balancer(size, strategy), itertools.cycle(KEYS)
    return lambda: subject.select("m", context=next(keys))


def lease(size: int, strategy: str) -> Work:
    """Return the work of acquiring an endpoint, reporting that it answered, and releasing it."""
    subject, keys = balancer(size, strategy), itertools.cycle(KEYS)

    def work() -> None:
        with subject.acquire("m", context=next(keys)) as taken:
            taken.answered()

    return work


def decision(size: int, strategy: str) -> Work:
    """Return the work of a whole decision: from the name of a model to an attempt whose lease is released."""
    router, keys = RequestRouter(balancer(size, strategy)), itertools.cycle(KEYS)

    def work() -> None:
        with router.attempts("m", context=next(keys)) as attempts:
            next(attempts)

    return work


def request(size: int, strategy: str) -> Work:
    """Return the work of a decision with a recorded answer: circuit breaker, cooldowns, latency and listeners."""
    router, keys = RequestRouter(balancer(size, strategy)), itertools.cycle(KEYS)

    def work() -> None:
        with router.attempts("m", context=next(keys)) as attempts:
            next(attempts).answered()

    return work


def litellm(size: int) -> Work | None:
    """Return the work of LiteLLM's router: selecting a deployment by its default strategy; None if it is not installed.

    The router first filters by health, cooldown and order. Unlike a lease, this does not record anything; LiteLLM
    records with the call itself.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise its import downloads prices
    try:
        router = importlib.import_module("litellm").Router
    except ImportError:
        return None
    parameters = {"model": "openai/m", "api_key": "none", "api_base": "http://localhost"}
    subject = router(model_list=[{"model_name": "m", "litellm_params": parameters} for _ in range(size)])
    return lambda: subject.get_available_deployment(model="m", messages=[])


def measured(size: int) -> dict[str, float]:
    """Return the cost of each work with *size* endpoints."""
    kinds = {"choice": choice, "lease": lease, "decision": decision, "request": request}
    works = {f"{kind}, {name}": build(size, name) for kind, build in kinds.items() for name in STRATEGIES}
    theirs = litellm(size)
    return costs(works if theirs is None else {**works, LITELLM: theirs})


def main() -> None:
    """Print the table."""
    columns = [measured(size) for size in SIZES]
    print(f"{'microseconds per':<28}" + "".join(f"{size:>10}" for size in SIZES))
    for name in columns[0]:
        print(f"{name:<28}" + "".join(f"{column[name]:10.1f}" for column in columns))
    if LITELLM in columns[0]:
        for name in STRATEGIES:
            parts = (column[f"decision, {name}"] / column[LITELLM] for column in columns)
            print(f"{f'decision / LiteLLM, {name}':<36}" + "".join(f"{part:10.2f}" for part in parts))


if __name__ == "__main__":
    main()
