"""What a choice costs, in microseconds of CPU: for 1 to 1,000 endpoints, by each strategy, and by LiteLLM if there."""

import importlib
import os
import random
import time
from collections.abc import Callable

from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.policy import Policy
from routing.request_router import RequestRouter
from routing.strategy import STRATEGIES, SelectionContext

SIZES = (1, 10, 100, 1_000)
SUBACCOUNTS = 5
SECONDS = 0.2
KEYS = [SelectionContext(f"conversation {number}") for number in range(1_000)]


def cost(work: Callable[[], object]) -> float:
    """Microseconds per call: the best of five rounds."""
    rounds = []
    for _ in range(5):
        calls, start = 0, time.process_time()
        while time.process_time() < start + SECONDS / 5:
            for _ in range(10):
                work()
            calls += 10
        rounds.append((time.process_time() - start) / calls)
    return min(rounds) * 1e6


def balancer(size: int, strategy: str) -> LoadBalancer:
    """One model with *size* deployments."""
    pool = [Endpoint(f"s{n % SUBACCOUNTS}", f"https://ai/v2/inference/deployments/d{n}", "m") for n in range(size)]
    return LoadBalancer({"m": pool}, policy=Policy(strategy=strategy), rng=random.Random(1))  # noqa: S311 - a benchmark


def choose(size: int, strategy: str) -> float:
    """What it costs to name an endpoint."""
    subject, keys = balancer(size, strategy), iter(KEYS * 10_000)
    return cost(lambda: subject.select("m", context=next(keys)))


def lease(size: int, strategy: str) -> float:
    """What it costs to lease one, to say that it answered, and to give it back."""
    subject, keys = balancer(size, strategy), iter(KEYS * 10_000)

    def work() -> None:
        with subject.acquire("m", context=next(keys)) as taken:
            taken.answered()

    return cost(work)


def decide(size: int, strategy: str) -> float:
    """What a whole decision costs: from the name of a model to an attempt that answered and whose lease is back."""
    router, keys = RequestRouter(balancer(size, strategy)), iter(KEYS * 10_000)

    def work() -> None:
        with router.attempts("m", context=next(keys)) as attempts:
            next(attempts).answered()

    return cost(work)


def litellm(size: int) -> float | None:
    """What LiteLLM's router needs to name a deployment; None if it is not installed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for prices
    try:
        router = importlib.import_module("litellm").Router
    except ImportError:
        return None
    parameters = {"model": "openai/m", "api_key": "none", "api_base": "http://localhost"}
    subject = router(model_list=[{"model_name": "m", "litellm_params": parameters} for _ in range(size)])
    return cost(lambda: subject.get_available_deployment(model="m", messages=[]))


def row(name: str, cells: list[float | None]) -> str:
    """One line of the table."""
    return f"{name:<28}" + "".join("        --" if cell is None else f"{cell:10.1f}" for cell in cells)


def main() -> None:
    """Print the table."""
    print(f"{'microseconds per':<28}" + "".join(f"{size:>10}" for size in SIZES))
    for name in STRATEGIES:
        print(row(f"choice, {name}", [choose(size, name) for size in SIZES]))
    for name in STRATEGIES:
        print(row(f"lease, {name}", [lease(size, name) for size in SIZES]))
    for name in STRATEGIES:
        print(row(f"decision, {name}", [decide(size, name) for size in SIZES]))
    print(row("choice, LiteLLM", [litellm(size) for size in SIZES]))


if __name__ == "__main__":
    main()
