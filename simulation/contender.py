"""What is compared: ways to choose an endpoint, to notice that one is broken, and to try again."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dialects.core.faults import Fault, FaultKind
from simulation.clock import VirtualClock
from simulation.upstream import Place

NOBODY = Fault(FaultKind.UNAVAILABLE, "No endpoint can take the request.", 503)


class Call(Protocol):
    """One request to one endpoint."""

    @property
    def place(self) -> str:
        """The name of the endpoint's place."""
        ...

    def answered(self) -> None:
        """Note that the model has begun to answer."""
        ...

    def failed(self, fault: Fault) -> None:
        """Note what went wrong, before the first word or after it; the call is over."""
        ...

    def completed(self) -> None:
        """Note that the answer has ended well; the call is over."""
        ...


class Calls(Protocol):
    """The calls of one request: one after another until one is answered or none is worth making."""

    def next(self) -> Call | Fault:
        """Make the next call, waiting first if need be, or say what the client is told because there is none."""
        ...

    def close(self) -> None:
        """Make no more calls."""
        ...


class Contender(Protocol):
    """Balances the requests for one model over a pool."""

    def begin(self, key: str, deadline: "Deadline") -> Calls:
        """Begin a request of the conversation named *key*."""
        ...

    def check(self, is_alive: Callable[[str], bool]) -> None:
        """Do the active checks that are due now; *is_alive* says whether a place answers one. Called every second."""
        ...

    def has_ejected(self, place: str) -> bool:
        """Whether requests pass the endpoint over now, for its failures or for its quota."""
        ...


Entry = Callable[[Sequence[Place], VirtualClock, random.Random], Contender]
"""Makes a contender of a pool."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long one request may take: the same for all of its calls and pauses."""

    clock: VirtualClock
    at: float

    def left(self) -> float:
        """The seconds that remain."""
        return self.at - self.clock()

    def sleep(self, seconds: float) -> None:
        """Let a pause between two calls pass."""
        self.clock.sleep(seconds)
