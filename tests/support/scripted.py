"""Backends that say what a test wrote down, byte for byte, on a clock of the test's own."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dialects.core.conversation import JSON, Usage
from dialects.core.faults import Fault, FaultError
from dialects.framing.json_text import dumps
from dialects.interface import Envelope
from dialects.registry import CLIENTS
from dialects.translator import ClientRequest
from gateway.observability.metrics import ExchangeRecord
from gateway.requests.exchange import Exchange, IncomingRequest, SharedResources
from gateway.requests.lifetime import Interest, Lifetime
from gateway.requests.request_media import backend_dialects
from gateway.requests.streaming import StreamedAnswer
from gateway.upstream import steps as upstream
from gateway.upstream.steps import Pause, StillPending, unless_silent
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, Policy, Timeouts
from routing.request_router import RequestRouter
from tests.routing.scenes import SleepingClock

HANG = object()
"""A step of a script: nothing comes any more."""


@dataclass(frozen=True)
class After:
    """A step of a script: the next one comes after so many seconds."""

    seconds: float


Steps = Sequence[Any]
"""Bytes to say, a fault to raise, `HANG`, `After`, or something to do; a fault at the very beginning is a refusal."""


class ScriptedReader:
    """Plays one script and notes what was done to it; waiting moves the clock.

    Whoever takes only what has `arrived` moves the clock itself: the next step `comes_at` a time.
    """

    def __init__(self, steps: Steps, lifetime: Lifetime, silence: float, clock: SleepingClock) -> None:
        self.content_type = "text/event-stream"
        self.closed = 0
        self.finished = 0
        self._steps = list(steps)
        self._lifetime = lifetime
        self._silence = silence
        self._clock = clock
        self._headed = False
        self._since = clock.now

    def head(self, seconds: float) -> None:
        while not self._headed and self._steps and (callable(self._steps[0]) or isinstance(self._steps[0], After)):
            self._play(seconds)
        if not self._headed and self._steps and isinstance(self._steps[0], Fault):
            raise FaultError(self._steps.pop(0))
        self._headed = True

    def take(self, seconds: float) -> bytes | None:
        until = self._clock.now + seconds
        while self._steps:
            said = self._play(until - self._clock.now)
            if said is not None:
                return said
        return None

    @property
    def body(self) -> "ScriptedReader":
        return self

    def arrived(self) -> bytes | None:
        while self._steps:
            if self.comes_at > self._clock.now:
                return b""
            said = self._perform(self._steps[0])
            if said is not None:
                return said
        return None

    @property
    def comes_at(self) -> float:
        """When there is more; an end is something as well."""
        match self._steps[:1]:
            case [After(seconds)]:
                return self._since + seconds
            case [step] if step is HANG:
                return math.inf
            case _:
                return self._clock.now

    @property
    def interest(self) -> Interest | None:
        return Interest(self) if self.comes_at > self._clock.now else None

    @property
    def due(self) -> float:
        """No script has a limit of its own."""
        return math.inf

    def fileno(self) -> int:
        """No descriptor: a script is waited for on the clock."""
        return -1

    def whole(self, began: Callable[[], None]) -> upstream.Steps[bytes]:
        return unless_silent(self._whole(began), self._silence, self._clock)

    def _whole(self, began: Callable[[], None]) -> upstream.Steps[bytes]:
        self._lifetime.check()
        read = b""
        while (chunk := self.arrived()) is not None:
            if chunk and not read:
                began()
            read += chunk
            if not chunk:
                yield Pause((Interest(self),))
        return read

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1

    def _play(self, seconds: float) -> bytes | None:
        """Take one step, within so many seconds."""
        self._lifetime.check()
        step = self._steps[0]
        if step is HANG:
            self._pass(seconds)
            raise StillPending
        if isinstance(step, After):
            left = max(0.0, self.comes_at - self._clock.now)
            if left > seconds:
                self._pass(seconds)
                raise StillPending
            self._pass(left)
        return self._perform(step)

    def _perform(self, step: Any) -> bytes | None:
        """Do what the first step says."""
        self._steps.pop(0)
        self._since = self._clock.now
        if isinstance(step, Fault):
            raise FaultError(step)
        if callable(step):
            step()
        return step if isinstance(step, bytes) else None

    def _pass(self, seconds: float) -> None:
        """Let time pass, unless the request is over before."""
        left = self._lifetime.left()
        self._clock.now += min(seconds, left)
        if seconds >= left:
            self._lifetime.check()


class ScriptedLifetime(Lifetime):
    """A lifetime that waits for scripts on their clock, and for anything else as it is."""

    def __init__(self, seconds: float, clock: SleepingClock, **ends: Any) -> None:
        super().__init__(seconds, clock=clock, **ends)
        self._scripts_clock = clock

    def wait(self, interests: Sequence[Interest], seconds: float) -> tuple[Interest, ...]:
        """Let the time pass until something comes; to wait for nothing looks whether the request is over."""
        readers = [(each, each.on) for each in interests if isinstance(each.on, ScriptedReader)]
        if interests and not readers:
            return super().wait(interests, seconds)
        super().wait((), 0.0)
        clock = self._scripts_clock
        comes_at = min((reader.comes_at for _, reader in readers), default=math.inf)
        clock.now = max(clock.now, min(comes_at, clock.now + seconds, self.deadline))
        super().wait((), 0.0)
        return tuple(each for each, reader in readers if reader.comes_at <= clock.now)


class Backends:
    """A client whose backends play scripts, by endpoint."""

    def __init__(self, scripts: Mapping[Endpoint, Steps], clock: SleepingClock) -> None:
        self.scripts = scripts
        self.opened: list[tuple[Endpoint, ScriptedReader]] = []
        self.bodies: list[bytes] = []
        self._clock = clock

    def begin(
        self,
        attempt: Attempt,
        body: JSON,
        *,
        stream: bool,
        timeouts: Timeouts,
        lifetime: Lifetime,
        headers: Mapping[str, str],
    ) -> ScriptedReader:
        self.bodies.append(dumps(body).encode())
        reader = ScriptedReader(self.scripts[attempt.endpoint], lifetime, timeouts.answer, self._clock)
        self.opened.append((attempt.endpoint, reader))
        return reader


class RecordKeeper:
    """An observer that keeps what it is told."""

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
        clock: SleepingClock | None = None,
        shared: SharedResources | None = None,
    ) -> None:
        policy = Policy(timeouts=timeouts or Timeouts(), breaker=BreakerPolicy(failure_threshold=threshold))
        pools: dict[str, list[Endpoint]] = {}
        for endpoint in scripts:
            pools.setdefault(endpoint.model, []).append(endpoint)
        self.clock = clock or SleepingClock(1000.0)
        self.balancer = LoadBalancer(pools, policy=policy, clock=self.clock)
        self.router = RequestRouter(self.balancer, clock=self.clock, sleep=self.clock.sleep)
        self.backends = Backends(scripts, self.clock)
        self.notes = RecordKeeper()
        self.timeouts = policy.timeouts
        self.shared = shared or SharedResources()

    def exchange(self, dialect: str, body: dict[str, Any], **ends: Any) -> Exchange:
        """Begin an exchange; *ends* are the client and the drain of its lifetime."""
        lifetime = ScriptedLifetime(self.timeouts.total, clock=self.clock, **ends)
        conversation = CLIENTS[dialect].parse_request(body)
        envelope = Envelope("token", conversation.model, 1_700_000_000, conversation)
        attempts = self.router.attempts(conversation.model, client=dialect)
        asked = ClientRequest(dialect, body, envelope)
        dialects = partial(backend_dialects, self.router, conversation.model, attempts.resolution, dialect, False)
        incoming = IncomingRequest("id", "caller", asked, self.timeouts, self.clock(), dialects=dialects)
        return Exchange(incoming, attempts, self.backends, self.notes, lifetime, self.shared)

    @property
    def in_flight(self) -> int:
        return sum(state.in_flight for state in self.balancer.snapshot())


def usage_of(notes: RecordKeeper) -> Usage:
    [record] = notes.records
    return record.usage


def flowing(stream: StreamedAnswer) -> Iterator[bytes]:
    """All that a stream gives to a loop: `flow` when there is more and `check` when that is due, on the script's clock.

    Until a model answers, the stream is iterated. A client that leaves and a drain that ends are noticed at once.
    """
    while not stream.is_flowing and (piece := next(stream, b"")):
        yield piece
    lifetime = stream._exchange.lifetime
    while not stream.is_over:
        if is_ended(lifetime):
            yield stream.check()
            continue
        yield stream.flow()
        source, clock = stream.upstream, stream._clock
        if isinstance(source, ScriptedReader):
            assert isinstance(clock, SleepingClock)
            clock.now = max(clock.now, min(source.comes_at, stream.due))
            if source.comes_at > clock.now:
                yield stream.check()
    yield stream.flow()


def is_ended(lifetime: Lifetime) -> bool:
    try:
        lifetime.check()
    except FaultError:
        return True
    return False
