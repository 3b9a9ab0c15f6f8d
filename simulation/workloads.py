"""Workloads: kinds of requests, and how long models take for them."""

from dataclasses import dataclass

from simulation.router import TIMEOUTS
from simulation.upstream import Latency


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request."""

    name: str
    latency: Latency
    patience: float
    """The seconds that a call may be silent."""


CHAT = Workload("chat", Latency(first=0.8, rest=4.0), TIMEOUTS.first_event)
"""Streams with an early first word, and a last word some seconds later."""
REASONING = Workload("reasoning", Latency(first=45.0, sigma=0.2), TIMEOUTS.silence)
"""Answers in one piece, from a model that thinks in silence."""
EMBEDDINGS = Workload("embeddings", Latency(first=0.1), TIMEOUTS.answer)
"""Short answers in one piece."""
