"""Code that the models of other balancers share: hosts, and a client that retries with another host."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from dialects.core.faults import Fault
from simulation.clock import VirtualClock
from simulation.contender import NOBODY, Call, Calls, Deadline

_CALLS = 3
"""The number of calls that a request may make, which is the proxy's default."""
_BACKOFF = 0.025
"""The longest first pause in seconds. It doubles for each further pause."""
_BACKOFF_CAP = 0.25


class Host:
    """One endpoint, and what is known about it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.active = 0
        """The number of its active calls."""

    def succeeded(self, seconds: float, now: float) -> None:
        """Record that it began to answer after some *seconds*."""

    def failed(self, fault: Fault, now: float) -> None:
        """Record that it failed before the first word."""


_Host = TypeVar("_Host", bound=Host)


class Budget(ABC):
    """Limits the retries of all requests together."""

    @abstractmethod
    def begin(self) -> None:
        """Count the start of a request."""

    @abstractmethod
    def spend(self) -> bool:
        """Take one retry; return whether one was left."""

    @abstractmethod
    def end(self, retries: int) -> None:
        """Count the end of a request with this number of *retries*."""


class _Call:
    """One call to one host."""

    def __init__(self, host: Host, clock: Callable[[], float], note: Callable[[Fault], None]) -> None:
        self._host = host
        self._clock = clock
        self._note = note
        self._began = clock()
        self._answered = False
        host.active += 1

    @property
    def place(self) -> str:
        return self._host.name

    def answered(self) -> None:
        self._answered = True
        self._host.succeeded(self._clock() - self._began, self._clock())

    def failed(self, fault: Fault) -> None:
        self._host.active -= 1
        self._note(fault)
        if not self._answered:  # both balancers see no failures after the head of a response
            self._host.failed(fault, self._clock())

    def completed(self) -> None:
        self._host.active -= 1


class _Calls(Generic[_Host]):
    """The calls of one request."""

    def __init__(self, peer: "Peer[_Host]", deadline: Deadline) -> None:
        self._peer = peer
        self._deadline = deadline
        self._tried: list[_Host] = []
        self._fault = NOBODY
        peer.budget.begin()

    def next(self) -> Call | Fault:
        if self._tried and not self._may_retry():
            return self._fault
        host = self._peer.choose(self._tried)
        self._tried.append(host)
        return _Call(host, self._peer.clock, self._note)

    def close(self) -> None:
        self._peer.budget.end(max(0, len(self._tried) - 1))

    def _note(self, fault: Fault) -> None:
        self._fault = fault

    def _may_retry(self) -> bool:
        """Take a retry from the budget and pause; return whether the request may still retry."""
        if len(self._tried) >= _CALLS or not self._peer.budget.spend():
            return False
        longest = min(_BACKOFF * 2.0 ** (len(self._tried) - 1), _BACKOFF_CAP)
        self._deadline.sleep(longest * self._peer.rng.random())
        return self._deadline.left() > 0


class Peer(ABC, Generic[_Host]):
    """A model of another balancer."""

    def __init__(self, hosts: Sequence[_Host], budget: Budget, clock: VirtualClock, rng: random.Random) -> None:
        self.budget = budget
        self.clock = clock
        self.rng = rng
        self.hosts = tuple(hosts)

    def begin(self, key: str, deadline: Deadline) -> Calls:
        """Begin a request. Neither of the balancers considers conversations."""
        del key
        return _Calls(self, deadline)

    def check(self, is_alive: Callable[[str], bool]) -> None:
        """Do nothing, because neither of the balancers checks hosts by default."""

    def has_ejected(self, place: str) -> bool:
        """Return whether the host is considered broken at present."""
        return not any(self.is_available(host) for host in self.hosts if host.name == place)

    @abstractmethod
    def choose(self, tried: Sequence[_Host]) -> _Host:
        """Choose a host. *tried* are those that the request has already called."""

    @abstractmethod
    def is_available(self, host: _Host) -> bool:
        """Return whether *host* is considered healthy at present."""
