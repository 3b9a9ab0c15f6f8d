"""The interface of what is compared: how to choose an endpoint, detect a broken one, and retry."""

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
        """Record that the model has begun to answer."""
        ...

    def failed(self, fault: Fault) -> None:
        """Record a failure before or after the first word. It ends the call."""
        ...

    def completed(self) -> None:
        """Record that the answer is complete. It ends the call."""
        ...


class Calls(Protocol):
    """The calls of one request: one after another until one is answered or no further call is worthwhile."""

    def next(self) -> Call | Fault:
        """Make the next call, after a pause if necessary; return the client's error if there is no further call."""
        ...

    def close(self) -> None:
        """Make no more calls."""
        ...


class Contender(Protocol):
    """Balances the requests for one model over a pool of endpoints."""

    def begin(self, key: str, deadline: "Deadline") -> Calls:
        """Begin a request of the conversation named *key*."""
        ...

    def check(self, is_alive: Callable[[str], bool]) -> None:
        """Do the active checks that are due.

        It is called every second; *is_alive* returns whether a place answers a check.
        """
        ...

    def has_ejected(self, place: str) -> bool:
        """Return whether requests avoid the endpoint at present, because of its failures or its quota."""
        ...


Entry = Callable[[Sequence[Place], VirtualClock, random.Random], Contender]
"""Creates a contender for a pool."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time limit of one request, which all its calls and pauses share."""

    clock: VirtualClock
    at: float

    def left(self) -> float:
        """Return the remaining seconds."""
        return self.at - self.clock()

    def sleep(self, seconds: float) -> None:
        """Wait between two calls."""
        self.clock.sleep(seconds)
