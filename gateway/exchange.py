"""One request and its answer: the attempts, the failover between them, and the record of it all."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from dialects.conversation import JSON, Usage
from dialects.crossing import Crossing, Inquiry, Reply, crossing
from dialects.faults import Fault, FaultError, FaultKind, http_status
from dialects.models import profile_for
from gateway.lessons import Lessons
from gateway.media import FETCHES_NOTHING, Fetch, inline
from gateway.observe import ExchangeRecord, Observer
from gateway.pins import Pins
from gateway.pump import Upstream
from routing.load_balancer import NoEndpointError
from routing.names import How
from routing.policy import Timeouts
from routing.request_router import Attempt, Attempts

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
_LONGEST = 1000
"""How many characters of a header are sent."""
_KEPT = "openai-responses"
"""The dialect whose backends keep their answers, to be continued by id."""
_MOST_ITEMS = 100_000
"""How many items of such answers are known; an answer often has several."""

DEFECT = Fault(FaultKind.DEFECT, "The proxy itself failed.")

Clock = Callable[[], float]


class ReadableUpstream(Upstream, Protocol):
    """An open answer that can also be read in one piece."""

    def read(self, *, late: Callable[[], bool] = ...) -> bytes:
        """Give the whole body; raises `FaultError`, also as soon as something comes when it is too *late*."""
        ...


class Caller(Protocol):
    """Sends a rendered request to the endpoint of an attempt."""

    def __call__(
        self, attempt: Attempt, body: JSON, *, stream: bool, timeouts: Timeouts, left: Clock
    ) -> ReadableUpstream:
        """Open the answer, within the seconds that are *left*; raises `FaultError` for anything but success."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything known of a request before its first attempt."""

    id: str
    caller: str
    inquiry: Inquiry
    timeouts: Timeouts
    affinity: str = ""
    """Names the conversation."""
    began: float | None = None
    """When its body had been read, by the exchange's clock; None if that is now."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What exchanges remember for one another, and how they fetch what a request only points at."""

    lessons: Lessons = field(default_factory=Lessons)
    responses: Pins = field(default_factory=Pins)
    """By response id."""
    items: Pins = field(default_factory=lambda: Pins(_MOST_ITEMS))
    """By the id of an item of a response's output."""
    conversations: Pins = field(default_factory=Pins)
    """By affinity key."""
    fetch: Fetch | None = None

    def inlined(self, inquiry: Inquiry, dialect: str) -> Inquiry:
        """Put in what the request only points at, for a backend that does not fetch; raises `FaultError`."""
        return inline(inquiry, self.fetch) if dialect in FETCHES_NOTHING else inquiry


class Exchange:
    """One request on its way through the proxy.

    It is driven by one thread at a time. Whoever drives it ends it with
    `finish`, once; the observer hears of it then.
    """

    def __init__(
        self,
        asked: Asked,
        attempts: Attempts,
        call: Caller,
        observer: Observer,
        desk: "Desk | None" = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.asked = asked
        self.attempts = attempts
        self.desk = desk or Desk()
        self.dropped: set[str] = set()
        self.clock = clock
        self.waited = 0.0
        """For how many seconds it was somebody else's turn: the upstream's, or the caller's."""
        self._call = call
        self._observer = observer
        self._began = clock() if asked.began is None else asked.began
        self._first_content: float | None = None
        self._last: Attempt | None = None
        self._finished = False
        self._inquiries: dict[str, Inquiry] = {}

    def next_attempt(self) -> Attempt:
        """Choose where to try next; raises `FaultError` with what went wrong last when there is nowhere left."""
        try:
            attempt = next(self.attempts, None)
        except NoEndpointError as error:
            raise FaultError(error.fault) from error
        if attempt is None:
            raise FaultError(self.attempts.refusal or Fault(FaultKind.UNAVAILABLE, "No endpoint could be tried."))
        self._last = attempt
        return attempt

    def prepare(self, attempt: Attempt) -> tuple[Crossing, JSON]:
        """Render the request for the attempt's endpoint; raises `FaultError` if it cannot be asked this."""
        dialect = attempt.protocol.dialect
        inquiry = self._inquiry(dialect)
        profile = profile_for(attempt.endpoint.backend)
        way = crossing(inquiry, dialect, profile)
        rendered = way.ask(profile)
        self.dropped.update(rendered.dropped)
        return way, rendered.body

    def open(self, attempt: Attempt, body: JSON, *, stream: bool) -> ReadableUpstream:
        """Send the request to the attempt's endpoint; raises `FaultError`.

        What the endpoint has refused by name before is left out, and what it refuses now is left out once.
        """
        model = attempt.endpoint.model
        known = self.desk.lessons.without(model, body)
        try:
            return self._send(attempt, known, body, stream=stream)
        except FaultError as error:
            if not self.desk.lessons.learn(model, known, error.fault):
                raise
        return self._send(attempt, self.desk.lessons.without(model, body), body, stream=stream)

    def whole(self) -> JSON:
        """Answer in one piece, failing over as often as it may; raises `FaultError` when nobody could answer."""
        try:
            reply = self._until_answered()
        except FaultError as error:
            self.finish(fault=error.fault)
            raise
        except BaseException:
            # A defect of ours: nobody is blamed, and no lease may outlive it.
            self.finish(fault=DEFECT)
            raise
        self.finish(reply.completion.usage, stop=reply.completion.stop.reason.value)
        return reply.body

    def answered(self, attempt: Attempt, answer: str) -> None:
        """Note that *attempt* has begun to answer; *answer* is what its backend calls it."""
        attempt.answered()
        self._first_content = self.clock() - self._began
        if attempt.protocol.dialect == _KEPT:
            self.desk.responses.remember(self.asked.caller, answer, attempt.endpoint)
            self.desk.conversations.remember(self.asked.caller, self.asked.affinity, attempt.endpoint)

    def made(self, attempt: Attempt, items: Iterable[str]) -> None:
        """Note the ids of the *items* that *attempt* has put out: its caller may refer to them."""
        if attempt.protocol.dialect == _KEPT:
            for item in items:
                self.desk.items.remember(self.asked.caller, item, attempt.endpoint)

    def finish(self, usage: Usage | None = None, *, fault: Fault | None = None, stop: str = "") -> None:
        """Tell the observer how it ended; a second time says nothing."""
        if self._finished:
            return
        self._finished = True
        self.attempts.close()
        record = replace(
            self._record(),
            outcome=fault.kind.value if fault else "ok",
            status=http_status(fault) if fault else 200,
            stop=stop,
            usage=usage or Usage(),
        )
        self._observer.over(record)

    def headers(self) -> dict[str, str]:
        """What the answer's headers say about how it came to be."""
        record = self._record()
        told = {
            "x-request-id": record.id,
            "x-proxy-deployment": f"{record.subaccount}/{record.deployment}" if record.deployment else "",
            "x-proxy-reason": record.reasons[-1] if record.reasons else "",
            "x-proxy-attempts": str(record.attempts) if record.attempts else "",
            "x-proxy-trail": record.trail,
            "x-proxy-model": record.model,
            "x-proxy-fallback": self._fallback(),
            "x-proxy-dropped": ", ".join(record.dropped),
        }
        return {name: _one_line(value) for name, value in told.items() if value}

    def ask(self, attempt: Attempt) -> Reply:
        """Ask the attempt's endpoint once; raises `FaultError`."""
        way, body = self.prepare(attempt)
        loaded = self.read(attempt, body)
        with making_sense():
            return way.answer(loaded)

    def read(self, attempt: Attempt, body: JSON) -> JSON:
        """Send *body* to the attempt's endpoint and read the answer; raises `FaultError`."""
        with self.waiting():
            upstream = self.open(attempt, body, stream=False)
            try:
                raw = upstream.read(late=self._is_late)
            finally:
                upstream.close()
        with making_sense():
            loaded: JSON = json.loads(raw)
            return loaded

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within, it is somebody else's turn."""
        since = self.clock()
        try:
            yield
        finally:
            self.waited += self.clock() - since

    def _inquiry(self, dialect: str) -> Inquiry:
        """Give the request as backends of *dialect* want it; what it points at is fetched once for all of them."""
        if dialect not in self._inquiries:
            with self.waiting():
                self._inquiries[dialect] = self.desk.inlined(self.asked.inquiry, dialect)
        return self._inquiries[dialect]

    def _left(self) -> float:
        """How many seconds the request may still take."""
        return self._began + self.asked.timeouts.total - self.clock()

    def _is_late(self) -> bool:
        return self._left() <= 0

    def _until_answered(self) -> Reply:
        while True:
            attempt = self.next_attempt()
            try:
                reply = self.ask(attempt)
            except FaultError as error:
                attempt.failed(error.fault)
                continue
            self.answered(attempt, reply.completion.id)
            self.made(attempt, item_ids(reply.body))
            attempt.lease.close()
            return reply

    def _send(self, attempt: Attempt, body: JSON, asked: JSON, *, stream: bool) -> ReadableUpstream:
        self.dropped.update(asked.keys() - body.keys())
        return self._call(attempt, body, stream=stream, timeouts=self.asked.timeouts, left=self._left)

    def _fallback(self) -> str:
        resolution = self.attempts.resolution
        return f"{resolution.requested} -> {resolution.model}" if resolution.how is How.FALLBACK else ""

    def _record(self) -> ExchangeRecord:
        endpoint = self._last.endpoint if self._last else None
        conversation = self.asked.inquiry.envelope.conversation
        duration = self.clock() - self._began
        return ExchangeRecord(
            id=self.asked.id,
            caller=self.asked.caller,
            client=self.asked.inquiry.client,
            requested=conversation.model,
            model=endpoint.model if endpoint else "",
            stream=conversation.stream,
            trail=str(self.attempts.trail),
            subaccount=endpoint.subaccount if endpoint else "",
            deployment=endpoint.deployment if endpoint else "",
            attempts=self._last.number if self._last else 0,
            reasons=self.attempts.reasons,
            unaffordable=self.attempts.unaffordable,
            first_content=self._first_content,
            duration=duration,
            overhead=max(0.0, duration - self.waited - self.attempts.paused),
            dropped=tuple(sorted(self.dropped)),
        )


def item_ids(response: JSON) -> tuple[str, ...]:
    """List the ids of the items in the output of a response; none where it has no such items."""
    output = response.get("output")
    items = output if isinstance(output, list) else []
    return tuple(item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str))


@contextmanager
def making_sense() -> Iterator[None]:
    """Within, an answer is understood; one that makes no sense raises `FaultError`."""
    try:
        yield
    except _UNREADABLE as error:
        raise FaultError(Fault(FaultKind.STREAM_BROKEN, "The model's answer makes no sense.")) from error


def _one_line(value: str) -> str:
    """Make *value* fit for a header: one line of ASCII that is not too long; part of it may be a caller's words."""
    plain = value.replace("→", "->").encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in plain[:_LONGEST])
