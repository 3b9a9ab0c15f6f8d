"""The streamed answer, which is held back until a model produces content, so that failover stays possible."""

import math
from collections.abc import Callable
from typing import Final, Self

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.relay import Observation, Relay
from dialects.framing.sse import BLANK_LINES
from dialects.registry import traits
from dialects.translator import Translator
from gateway.requests.attempt_reader import ArrivingBody, AttemptReader
from gateway.requests.exchange import DEFECT, Exchange, Stage
from gateway.requests.lifetime import Descriptor
from gateway.requests.memory_budget import MemoryShare
from gateway.upstream.steps import StillPending
from gateway.upstream.transport_faults import TOO_MUCH
from routing.attempts import Attempt

_MOST_HELD = 256 * 1024
_MOST_EVENTS_HELD = 64
"""The maximum number of bytes and events before the first content that are held back."""

_FREE: Final = 256 * 1024
"""The bytes of memory that a stream may hold without a reservation, and by which the reservation grows."""
_PER_BYTE_HELD: Final = 6
"""How often a byte of an incomplete frame is in memory when the frame is complete."""
_PER_LETTER: Final = 4
"""How often a letter of the answer is in memory, if all of the answer is sent once more at its end."""

_TOO_SLOW: Final = Fault(FaultKind.TIMEOUT, "The model's endpoint sent nothing for too long.", unanswered=True)
_CLIENT_LEFT: Final = Fault(FaultKind.CALLER_LEFT, "The caller hung up.")

RenderFault = Callable[[Fault], bytes]
"""Renders a fault in the client's dialect, for a stream that has sent nothing else."""


class _Flow:
    """The stream of one attempt.

    *due* is the time at which the next bytes must have arrived. It comes from the limit of the first event until
    anything arrives, and from *idle* seconds of silence after that. *whole* means that the upstream sends a whole
    answer, from which a stream is made at its end. *memory* is that of the request; what is held of the stream is
    reserved in it.
    """

    def __init__(
        self,
        attempt: Attempt,
        translator: Translator,
        reader: AttemptReader,
        due: float,
        idle: float,
        memory: MemoryShare,
        *,
        whole: bool = False,
    ) -> None:
        self.attempt = attempt
        self.reader = reader
        self.due = due
        self.idle = idle
        self.whole = whole
        self.held = b""
        self.seen = Observation()
        self.relay: Relay
        """Translates the bytes of the upstream for the client; set when the head of the answer has arrived."""
        self.body: ArrivingBody
        """The body of the upstream's answer; set when its head has arrived."""
        self._translator = translator
        self._has_head = False
        self._memory = memory
        self._reserved = _FREE
        self._unread = 0
        """The bytes for which the relay has returned nothing yet."""
        self._is_answered = False
        """Whether the relay returned something for the last bytes."""

    def take(self, seconds: float) -> bytes | None:
        """Return what has arrived, None at the end; raises `FaultError`, or `StillPending` after so many *seconds*."""
        if self._has_head:
            return self.reader.take(seconds)
        self.reader.head(seconds)
        self._has_head = True
        self.body = self.reader.body
        self.relay = self._translator.relay(self.reader.content_type)
        self.seen = self.relay.seen
        return self.reader.take(0.0)

    def translated(self, chunk: bytes | None) -> bytes:
        """Return the bytes for the client; the *chunk* None is the end of the upstream.

        Raises `FaultError` if more is held of the stream than the request or the process has memory for.
        """
        if chunk is None:
            return self.relay.finish()
        self._unread = len(chunk) if self._is_answered else self._unread + len(chunk)
        needed = _PER_BYTE_HELD * self._unread + _PER_LETTER * self.seen.size
        if needed > self._reserved:
            more = max(_FREE, needed - self._reserved)
            self._memory.take(more, TOO_MUCH, held=self._reserved)
            self._reserved += more
        elif self._is_answered and self._reserved > needed + _FREE:
            self._memory.give_back(self._reserved - needed - _FREE)
            self._reserved = needed + _FREE
        out = self.relay.feed(chunk)
        self._is_answered = bool(out)
        return out

    def forget(self) -> None:
        """Free the memory that was reserved, because the next attempt begins."""
        self._memory.give_back(self._reserved - _FREE)
        self._reserved = _FREE


class StreamedAnswer:
    """The bytes of a streamed answer, as an iterator that owns its lease and its connection.

    It is an object with `close` and not a generator. If a server closes a generator that was never started, its
    ``finally`` blocks do not run, and the lease would leak.

    ==========================  ================================  =========================
    stage of the exchange       on a fault                        after some silence
    ==========================  ================================  =========================
    asking, in `begin`          the next attempt, if there is one nothing (headers unsent)
    asking, after it            the next attempt, if there is one a keep-alive message
    answering                   an error in the client's dialect  a keep-alive message
    over                        nothing                           nothing
    ==========================  ================================  =========================

    Iterating waits for the model. Once `is_flowing` is true, an event loop can take over: it calls `flow` when
    `upstream` is readable, and `check` at the time `due`. Neither of them waits.
    """

    def __init__(self, exchange: Exchange, render_fault: RenderFault) -> None:
        self._exchange = exchange
        self._timeouts = exchange.incoming.timeouts
        self._clock = exchange.lifetime.clock
        self._render_fault = render_fault
        self._flow: _Flow | None = None
        client = traits(exchange.incoming.request.client)
        self._sign_of_life = client.keep_alive
        self._told_in_stream = client.failures_in_stream
        # Since when the client has had to read.
        self._handed = self._clock()
        # When the client last got bytes; until the first ones, which carry the headers, when it sent its request.
        self._spoke = self._clock()
        self._ready = b""

    def begin(self) -> None:
        """Wait until a model produces content, or the first keep-alive message is due.

        Raises `FaultError` if every attempt fails. A fault that clients of this dialect expect within a stream is
        rendered into the stream and not raised.
        """
        until = self._spoke + self._timeouts.keep_alive
        try:
            while self._exchange.stage is Stage.ASKING and (wait := until - self._clock()) > 0:
                self._ready += self._advance(wait)
        except FaultError as error:
            self._end(error.fault)
            if error.fault.kind not in self._told_in_stream:
                raise
            self._ready = self._render_fault(error.fault)
        except BaseException:
            self._end(DEFECT)
            raise
        self._handed = self._clock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        self._exchange.waited += self._clock() - self._handed
        out, self._ready = self._ready, b""
        while not (out or self.is_over):
            wait = self._spoke + self._timeouts.keep_alive - self._clock()
            out = self._step(wait) if wait > 0 else self._sign_of_life
        if not out:
            raise StopIteration
        self._spoke = self._handed = self._clock()
        return out

    def close(self) -> None:
        """End the stream at any point and release its resources."""
        self._ready = b""
        if not self.is_over:
            self._exchange.waited += self._clock() - self._handed
            self._end(_CLIENT_LEFT)

    @property
    def is_flowing(self) -> bool:
        """Whether a model is answering, so that its bytes only need to be passed on."""
        return self._exchange.stage is Stage.ANSWERING

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended. Bytes that it returned before may not be written yet."""
        return self._exchange.stage is Stage.OVER

    @property
    def upstream(self) -> Descriptor | None:
        """The descriptor to wait for before `flow`; None if there are bytes already, or the body has ended."""
        interest = self._flow.body.interest if self._flow is not None else None
        return interest.on if interest is not None else None

    @property
    def due(self) -> float:
        """The time at which `check` must be called: for a keep-alive message, or the end of a time limit."""
        flow_due = self._flow.due if self._flow is not None else math.inf
        return min(self._spoke + self._timeouts.keep_alive, flow_due, self._exchange.lifetime.deadline)

    def flow(self) -> bytes:
        """Return the new bytes for the client, or none. If `upstream` is None, call it again at once."""
        out, self._ready = self._ready, b""
        return out + self._driven(self._pass_arrived)

    def check(self) -> bytes:
        """Return what is due without new bytes: a keep-alive message, or the error that ends the stream."""
        return self._driven(self._pass_due)

    def _driven(self, step: Callable[[_Flow], bytes]) -> bytes:
        """Run a step on the stream in progress, if there is one. An exception is a defect and ends the stream."""
        flow = self._flow
        if flow is None:
            return b""
        self._exchange.waited += self._clock() - self._handed
        try:
            out = step(flow)
        except BaseException:
            self._end(DEFECT)
            raise
        self._handed = self._clock()
        if out:
            self._spoke = self._handed
        return out

    def _pass_arrived(self, flow: _Flow) -> bytes:
        try:
            chunk = flow.body.arrived()
        except FaultError as error:
            return self._fail(flow, error.fault)
        if chunk == b"":
            return b""
        flow.due = self._clock() + flow.idle
        return self._pass(flow, chunk)

    def _pass_due(self, flow: _Flow) -> bytes:
        try:
            self._exchange.lifetime.check()
        except FaultError as error:
            return self._fail(flow, error.fault)
        now = self._clock()
        if now >= flow.due:
            return self._fail(flow, _TOO_SLOW)
        return self._sign_of_life if now >= self._spoke + self._timeouts.keep_alive else b""

    def _step(self, wait: float) -> bytes:
        """Run one step. If every attempt has failed, return the fault rendered for the stream."""
        try:
            return self._advance(wait)
        except FaultError as error:
            self._end(error.fault)
            return self._render_fault(error.fault)
        except BaseException:
            self._end(DEFECT)
            raise

    def _advance(self, wait: float) -> bytes:
        """Run one step of at most *wait* seconds; raises `FaultError` if no attempt is left."""
        flow = self._flow or self._start()
        try:
            with self._exchange.waiting():
                chunk = flow.take(max(0.0, min(wait, flow.due - self._clock())))
        except StillPending:
            return self._fail(flow, _TOO_SLOW) if self._clock() >= flow.due else b""
        except FaultError as error:
            return self._fail(flow, error.fault)
        flow.due = self._clock() + flow.idle
        return self._pass(flow, chunk)

    def _start(self) -> _Flow:
        while True:
            attempt = self._exchange.next_attempt()
            if (flow := self._ask(attempt, whole=not self._exchange.streams(attempt))) is not None:
                return flow

    def _ask(self, attempt: Attempt, *, whole: bool) -> _Flow | None:
        """Begin to send an attempt. If its endpoint's dialect cannot express the request, fail it; return None."""
        try:
            translator, body = self._exchange.prepare(attempt, unfolding=whole)
        except FaultError as error:
            attempt.failed(error.fault)
            return None
        reader = self._exchange.open(attempt, body, stream=not whole)
        times = self._timeouts
        first, idle = (times.answer, times.answer) if whole else (times.first_event, times.idle)
        memory = self._exchange.lifetime.memory
        self._flow = _Flow(attempt, translator, reader, self._clock() + first, idle, memory, whole=whole)
        return self._flow

    def _pass(self, flow: _Flow, chunk: bytes | None) -> bytes:
        """Return the bytes for the client, or hold them back; the *chunk* None is the end of the upstream."""
        if flow.whole:
            flow.attempt.lease.first_byte()
        try:
            out = flow.translated(chunk)
        except FaultError as error:
            return self._fail(flow, error.fault)
        seen = flow.seen
        if self._exchange.stage is Stage.ASKING:
            if seen.fault:
                return self._fail(flow, seen.fault)
            flow.held += out
            if not seen.committed and (not out or _may_be_held(flow.held)):
                return b""
            self._exchange.answered(flow.attempt, whole=flow.whole)
            out = flow.held
        if seen.over or chunk is None:
            self._end(seen.fault)
        return out

    def _fail(self, flow: _Flow, fault: Fault) -> bytes:
        """Return an error for the client if an answer has begun, else fail the attempt so that the next one begins.

        An endpoint that refuses to stream has not failed: it is asked again at once for a whole answer.
        """
        if self._exchange.stage is Stage.ANSWERING:
            tail = flow.relay.abort(fault)
            self._end(fault)
            return tail
        self._flow = None
        flow.forget()
        if not flow.whole and self._exchange.refused_to_stream(flow.attempt, fault):
            flow.reader.close()
            self._ask(flow.attempt, whole=True)
            return b""
        flow.attempt.failed(fault)
        flow.reader.close()
        return b""

    def _end(self, fault: Fault | None) -> None:
        """End the attempt, which fails if *fault* is given, and end the exchange."""
        flow, self._flow = self._flow, None
        if flow is None:
            self._exchange.finish(fault=fault)
            return
        if self._exchange.stage is Stage.ANSWERING:
            self._exchange.made(flow.attempt, flow.seen.items)
        if fault is None:
            flow.reader.finish()
        else:
            flow.reader.close()
        if fault is None or fault is DEFECT:
            # A defect of the proxy is no failure of the endpoint.
            flow.attempt.lease.close()
        else:
            flow.attempt.failed(fault)
        stop = flow.seen.stop.reason.value if flow.seen.stop else ""
        self._exchange.finish(flow.seen.usage, fault=fault, stop=stop)


def _may_be_held(prelude: bytes) -> bool:
    return len(prelude) < _MOST_HELD and prelude.count(BLANK_LINES) < _MOST_EVENTS_HELD
