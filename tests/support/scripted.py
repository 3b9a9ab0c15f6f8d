"""Backends that say what a test wrote down, byte for byte."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dialects.conversation import JSON, Usage
from dialects.crossing import Inquiry
from dialects.dialect import Envelope
from dialects.faults import Fault, FaultError, FaultKind
from dialects.jsontext import dumps
from dialects.tables import CLIENTS
from gateway.observability.observe import ExchangeRecord
from gateway.requests.exchange import Asked, Exchange
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, Policy, Timeouts
from routing.request_router import Attempt, RequestRouter
from routing.strategy import Endpoint

HANG = object()
"""A step of a script: nothing comes until somebody shuts the connection."""

Steps = Sequence[Any]
"""Bytes to say, a fault to raise, `HANG`, an event to wait for, or something to do; done on opening if it is first."""


class ScriptedUpstream:
    """Plays one script and notes what was done to it."""

    def __init__(self, steps: Steps, content_type: str = "text/event-stream") -> None:
        self.content_type = content_type
        self.closed = 0
        self.shut = threading.Event()
        self._steps = steps

    def __iter__(self) -> Iterator[bytes]:
        for step in self._steps:
            if isinstance(step, Fault):
                raise FaultError(step)
            if isinstance(step, threading.Event):
                step.wait(10)
                continue
            if callable(step):
                step()
                continue
            if step is HANG:
                self.shut.wait(10)
                return
            yield step

    def read(self, *, late: Callable[[], bool] = lambda: False) -> bytes:
        read = b""
        for chunk in self:
            read += chunk
            if late():
                raise FaultError(Fault(FaultKind.TIMEOUT, "late"))
        return read

    def shutdown(self) -> None:
        self.shut.set()

    def close(self) -> None:
        self.closed += 1


class Backends:
    """Opens scripts by endpoint; a script that begins with a fault is refused."""

    def __init__(self, scripts: Mapping[Endpoint, Steps]) -> None:
        self.scripts = scripts
        self.opened: list[tuple[Endpoint, ScriptedUpstream]] = []
        self.bodies: list[bytes] = []

    def __call__(
        self, attempt: Attempt, body: JSON, *, stream: bool, timeouts: Timeouts, left: Callable[[], float]
    ) -> ScriptedUpstream:
        steps = self.scripts[attempt.endpoint]
        self.bodies.append(dumps(body).encode())
        if steps and callable(steps[0]):
            steps[0]()
            steps = steps[1:]
        if steps and isinstance(steps[0], Fault):
            raise FaultError(steps[0])
        upstream = ScriptedUpstream(steps)
        self.opened.append((attempt.endpoint, upstream))
        return upstream


class Notes:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.records: list[ExchangeRecord] = []

    def over(self, record: ExchangeRecord) -> None:
        self.records.append(record)


class Bench:
    """A router over scripted backends, and everything a test may want to look at."""

    def __init__(
        self,
        scripts: Mapping[Endpoint, Steps],
        *,
        timeouts: Timeouts | None = None,
        threshold: int = 5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = lambda _: None,
    ) -> None:
        policy = Policy(timeouts=timeouts or Timeouts(), breaker=BreakerPolicy(failure_threshold=threshold))
        pools: dict[str, list[Endpoint]] = {}
        for endpoint in scripts:
            pools.setdefault(endpoint.model, []).append(endpoint)
        self.clock = clock
        self.balancer = LoadBalancer(pools, policy=policy, clock=clock)
        self.router = RequestRouter(self.balancer, policy=policy, clock=clock, sleep=sleep)
        self.backends = Backends(scripts)
        self.notes = Notes()
        self.timeouts = policy.timeouts

    def exchange(self, client: str, body: dict[str, Any]) -> Exchange:
        conversation = CLIENTS[client].parse_request(body)
        envelope = Envelope("token", conversation.model, 1_700_000_000, conversation)
        attempts = self.router.attempts(conversation.model, client=client)
        asked = Asked("id", "caller", Inquiry(client, body, envelope), self.timeouts)
        return Exchange(asked, attempts, self.backends, self.notes, clock=self.clock)

    @property
    def in_flight(self) -> int:
        return sum(self.balancer.in_flight().values())


def usage_of(notes: Notes) -> Usage:
    [record] = notes.records
    return record.usage
