"""A streamed answer: held back until a model has said something, owned until the last byte."""

from collections.abc import Callable
from functools import partial
from typing import Self

from dialects.crossing import Crossing
from dialects.faults import Fault, FaultError, FaultKind
from dialects.relay import Observation, Relay
from dialects.sse import BLANK_LINES
from dialects.tables import SIGNS_OF_LIFE
from gateway.requests.exchange import DEFECT, Exchange
from gateway.upstream.pump import Pump, Quiet
from routing.request_router import Attempt

_MOST_HELD = 256 * 1024
_MOST_EVENTS_HELD = 64
"""How many bytes, and how many events, of prelude are held back before they are let go, come what may."""

SayFault = Callable[[Fault], bytes]
"""Says a failure in the client's dialect, in a stream that has not begun otherwise."""


class _Flow:
    """One attempt's stream, from opening the connection to its last byte."""

    def __init__(self, attempt: Attempt, way: Crossing, pump: Pump) -> None:
        self.attempt = attempt
        self.pump = pump
        self.held = b""
        self.seen = Observation()
        self._way = way
        self._relay: Relay | None = None

    def relay(self, wait: float) -> Relay:
        """Wait for the answer's head; raises `Quiet` or `FaultError`."""
        if self._relay is None:
            self._relay = self._way.relay(self.pump.content_type(wait))
            self.seen = self._relay.seen
        return self._relay


class StreamedAnswer:
    """The bytes of a streamed answer, as an iterator that owns its lease and its connection.

    An object with `close`, not a generator: a server that closes a generator
    it never started runs none of its ``finally`` blocks, and the lease would leak.

    =========  ============================================  =======================
    state      a fault                                       quiet for a while
    =========  ============================================  =======================
    held       the next attempt, if there is one             nothing (headers unsent)
    waiting    the next attempt, if there is one             a sign of life
    committed  an error in the client's dialect, then over   a sign of life
    over       nothing                                       nothing
    =========  ============================================  =======================
    """

    def __init__(self, exchange: Exchange, say_fault: SayFault) -> None:
        self._exchange = exchange
        self._timeouts = exchange.asked.timeouts
        self._clock = exchange.clock
        self._say_fault = say_fault
        self._deadline = self._clock() + self._timeouts.total
        self._flow: _Flow | None = None
        self._due = 0.0
        self._sign_of_life = SIGNS_OF_LIFE[exchange.asked.inquiry.client]
        # Since when it is the caller's turn, where it is.
        self._handed = self._clock()
        # When the caller last heard something; headers leave with the first bytes, so until then: when it asked.
        self._spoke = self._clock()
        self._ready = b""
        self._committed = False
        self._over = False

    def begin(self) -> None:
        """Wait until a model has said something, or long enough; raises `FaultError` if none can."""
        until = self._spoke + self._timeouts.keep_alive
        try:
            while not (self._committed or self._over) and (wait := until - self._clock()) > 0:
                self._ready += self._advance(wait)
        except FaultError as error:
            self._end(error.fault)
            raise
        except BaseException:
            self._end(DEFECT)
            raise
        self._handed = self._clock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        self._exchange.waited += self._clock() - self._handed
        out, self._ready = self._ready, b""
        while not (out or self._over):
            wait = self._spoke + self._timeouts.keep_alive - self._clock()
            out = self._step(wait) if wait > 0 else self._sign_of_life
        if not out:
            raise StopIteration
        self._spoke = self._handed = self._clock()
        return out

    def close(self) -> None:
        """Let go of everything, however far the stream got."""
        self._ready = b""
        if not self._over:
            self._exchange.waited += self._clock() - self._handed
            self._end(Fault(FaultKind.CALLER_LEFT, "The caller hung up."))

    def _step(self, wait: float) -> bytes:
        """Take one step; a failure of all is said in the stream."""
        try:
            return self._advance(wait)
        except FaultError as error:
            self._end(error.fault)
            return self._say_fault(error.fault)
        except BaseException:
            self._end(DEFECT)
            raise

    def _advance(self, wait: float) -> bytes:
        """Take one step of at most *wait* seconds; raises `FaultError` when nobody is left to try."""
        flow = self._flow or self._start()
        now = self._clock()
        try:
            patience = max(0.0, min(wait, self._due - now))
            with self._exchange.waiting():
                relay = flow.relay(patience)
                chunk = flow.pump.take(patience)
        except Quiet:
            return self._broke(flow, _too_slow()) if self._clock() >= self._due else b""
        except FaultError as error:
            return self._broke(flow, error.fault)
        self._due = min(self._deadline, self._clock() + self._timeouts.idle) if self._committed else self._due
        return self._pass(flow, relay, chunk)

    def _start(self) -> _Flow:
        while True:
            attempt = self._exchange.next_attempt()
            try:
                way, body = self._exchange.prepare(attempt)
            except FaultError as error:
                attempt.failed(error.fault)
                continue
            pump = Pump(partial(self._exchange.open, attempt, body, stream=True))
            self._due = min(self._deadline, self._clock() + self._timeouts.first_event)
            self._flow = _Flow(attempt, way, pump)
            return self._flow

    def _pass(self, flow: _Flow, relay: Relay, chunk: bytes | None) -> bytes:
        out = relay.finish() if chunk is None else relay.feed(chunk)
        seen = relay.seen
        if not self._committed:
            if seen.fault:
                return self._broke(flow, seen.fault)
            flow.held += out
            if not seen.committed and _may_be_held(flow.held):
                return b""
            self._commit(flow)
            out = flow.held
        if seen.over or chunk is None:
            self._end(seen.fault)
        return out

    def _commit(self, flow: _Flow) -> None:
        self._committed = True
        self._exchange.answered(flow.attempt, flow.seen.id)
        self._due = min(self._deadline, self._clock() + self._timeouts.idle)

    def _broke(self, flow: _Flow, fault: Fault) -> bytes:
        if self._committed:
            tail = flow.relay(0).abort(fault)
            self._end(fault)
            return tail
        flow.attempt.failed(fault)
        flow.pump.close()
        self._flow = None
        return b""

    def _end(self, fault: Fault | None) -> None:
        self._over = True
        flow, self._flow = self._flow, None
        if flow is None:
            self._exchange.finish(fault=fault)
            return
        if self._committed:
            self._exchange.made(flow.attempt, flow.seen.items)
        if fault is None:
            flow.pump.release()
        else:
            flow.pump.close()
        if fault is None or fault is DEFECT:
            # A defect of ours is blamed on nobody.
            flow.attempt.lease.close()
        else:
            flow.attempt.failed(fault)
        stop = flow.seen.stop.reason.value if flow.seen.stop else ""
        self._exchange.finish(flow.seen.usage, fault=fault, stop=stop)


def _may_be_held(prelude: bytes) -> bool:
    return len(prelude) < _MOST_HELD and prelude.count(BLANK_LINES) < _MOST_EVENTS_HELD


def _too_slow() -> Fault:
    return Fault(FaultKind.TIMEOUT, "The model's endpoint said nothing for too long.")
