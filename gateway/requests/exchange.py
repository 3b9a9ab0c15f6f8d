"""The exchange: one request and its answer, with attempts, failover and the record for observers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import NamedTuple, Protocol

from dialects import orchestration
from dialects.adapt.signatures import Verify
from dialects.capabilities.models import profile_for
from dialects.core.context_overflow import with_limit
from dialects.core.conversation import JSON, ToolMode, Usage
from dialects.core.faults import NONSENSE, Fault, FaultError, FaultKind, http_status
from dialects.framing.json_text import loads
from dialects.interface import AS_MADE, Origin
from dialects.orchestration.modules import Modules, with_modules
from dialects.registry import request_id_headers, traits
from dialects.translator import ClientRequest, ClientResponse, Translator, translator_for
from gateway.media.inline import Fetch, inline
from gateway.observability.metrics import ExchangeRecord, Observer
from gateway.observability.request_spans import RequestSpans
from gateway.requests.attempt_reader import AttemptReader
from gateway.requests.lifetime import Lifetime
from gateway.requests.rejected_fields import RejectedFields
from gateway.requests.request_media import RequestMedia
from gateway.requests.sticky_endpoints import StickyEndpoints
from gateway.requests.translation_faults import unreadable_as_fault, unwritable_as_unasked
from gateway.requests.unstreamed_models import UnstreamedModels
from gateway.upstream.steps import run
from gateway.upstream.stream_reader import StreamReader
from routing.attempts import Attempt, Attempts
from routing.availability import NoEndpointError
from routing.endpoint import Endpoint
from routing.model_names import How
from routing.policy import Timeouts

_LONGEST = 1000
"""The maximum length of the value of a header that is sent, in characters."""
DEFECT = Fault(FaultKind.DEFECT, "The proxy failed because of a defect in it; the log of the proxy has the details.")


class UpstreamClient(Protocol):
    """The client that sends a rendered request to the endpoint of an attempt."""

    def begin(
        self,
        attempt: Attempt,
        body: JSON,
        *,
        stream: bool,
        timeouts: Timeouts,
        lifetime: Lifetime,
        headers: Mapping[str, str],
    ) -> StreamReader:
        """Prepare the request, without waiting. Failures are raised when the answer is read."""
        ...


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """The data of a request before its first attempt."""

    id: str
    caller: str
    request: ClientRequest
    timeouts: Timeouts
    began: float
    """The time at which its body had been read, by the clock of its lifetime."""
    origin: Callable[[Endpoint], Origin] = lambda _: AS_MADE
    """Returns how ids and signatures of an endpoint are signed for this caller."""
    verify_at: Callable[[Endpoint], Verify] | None = None
    """Returns how the signatures in the request are verified for an endpoint; None if it has none."""
    context_length: Callable[[], int | None] = lambda: None
    """Returns the context length of the model in tokens; None if it is unknown."""
    dialects: Callable[[], Collection[str]] = tuple
    """Returns the dialects of the endpoints that may serve the request."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers that every attempt sends upstream: the id of the request and of its trace."""
    trace: str = ""
    """The id of the trace that the request belongs to."""
    spans: RequestSpans | None = None
    """The spans of the request in that trace, if it is traced."""


@dataclass(frozen=True, slots=True)
class SharedResources:
    """The objects that all exchanges share: their memory, and the fetcher of media."""

    rejected_fields: RejectedFields = field(default_factory=RejectedFields)
    items: StickyEndpoints = field(default_factory=StickyEndpoints)
    """The endpoints of the items in the output of responses, by the id of the item."""
    fetch: Fetch | None = None
    modules_for: Callable[[str], Modules] = lambda _: Modules()
    """Returns the orchestration modules for a model."""
    unstreamed: UnstreamedModels = field(default_factory=UnstreamedModels)
    """The models that orchestration does not stream."""


class Stage(Enum):
    """The stages of an exchange."""

    ASKING = "asking"
    """No model has answered yet, so the request may still fail over."""
    ANSWERING = "answering"
    """An attempt has begun to answer; a failure is sent to the client from now on."""
    OVER = "over"
    """The record has been sent, and all resources are released."""


class Exchange:
    """One request and its answer.

    =========  ==========  =========================  ======
    stage      answered    an attempt fails           finish
    =========  ==========  =========================  ======
    asking     answering   the next attempt, if any   over
    answering  nothing     over                       over
    over       nothing     nothing                    nothing
    =========  ==========  =========================  ======

    Only one thread at a time may use it, within *lifetime*. It must end with `finish`, which sends the record to the
    observer once.
    """

    def __init__(
        self,
        incoming: IncomingRequest,
        attempts: Attempts,
        client: UpstreamClient,
        observer: Observer,
        lifetime: Lifetime,
        shared: SharedResources | None = None,
    ) -> None:
        self.incoming = incoming
        self.attempts = attempts
        self.lifetime = lifetime
        self.stage = Stage.ASKING
        self.waited = 0.0
        """The seconds for which the proxy waited for the upstream or for the client."""
        self._client = client
        self._observer = observer
        self._shared = shared or SharedResources()
        self._dropped: set[str] = set()
        self._first_content: float | None = None
        self._last: Attempt | None = None
        self._sequences = [attempts]
        """All attempts. If the request is split into parts, each part has its own `Attempts`."""
        self._media = RequestMedia(incoming.request, incoming.dialects)
        self._final_course: _Course | None = None

    def next_attempt(self, sequence: Attempts | None = None) -> Attempt:
        """Return the next attempt; raises `FaultError` with the last fault if there is none.

        *sequence* are the attempts at one part, if the request has parts. Media that the endpoint needs are fetched
        while no lease is held.
        """
        if sequence is not None:
            return self._leased(sequence)
        self._media.prepare(self._inlined, first=self._last is None)
        attempt = self._leased(self.attempts)
        if self._media.lacks(attempt.protocol.dialect):
            self._start_over()
            self._media.try_to_fetch(self._inlined)
            attempt = self._leased(self.attempts)
        return attempt

    def _start_over(self) -> None:
        """Give back the lease of the first attempt, which was not used, and forget this attempt."""
        given_back = self.attempts
        given_back.close()
        self.attempts = given_back.again(self.lifetime)
        self.attempts.paused = given_back.paused
        self._sequences = [self.attempts]
        self._last = None

    def _leased(self, attempts: Attempts) -> Attempt:
        """Return the next one of *attempts*, which has a lease; raises `FaultError` if there is none."""
        try:
            attempt = next(attempts, None)
        except NoEndpointError as error:
            raise FaultError(error.fault) from error
        if attempt is None:
            fault = attempts.final_fault or Fault(FaultKind.UNAVAILABLE, "No endpoint could be tried.")
            if fault.kind is FaultKind.CONTEXT_LENGTH_EXCEEDED:
                fault = with_limit(fault, self.incoming.context_length())
            raise FaultError(fault)
        self._last = attempt
        return attempt

    def streams(self, attempt: Attempt) -> bool:
        """Return whether the endpoint can stream, as far as is known. Orchestration does not stream all models."""
        return not _is_orchestrated(attempt) or attempt.endpoint not in self._shared.unstreamed

    def refused_to_stream(self, attempt: Attempt, fault: Fault) -> bool:
        """Return whether *fault* means that orchestration does not stream the model, and remember that."""
        return _is_orchestrated(attempt) and self._shared.unstreamed.learn(attempt.endpoint, fault)

    def prepare(self, attempt: Attempt, *, unfolding: bool = False) -> tuple[Translator, JSON]:
        """Render the request for the endpoint of an attempt; raises `FaultError` if its dialect cannot express it.

        *unfolding* requests a whole answer, from which a stream for the client is made.
        """
        dialect = attempt.protocol.dialect
        request = self.request_for(attempt)
        profile = profile_for(attempt.endpoint.backend)
        with unwritable_as_unasked():
            translator = translator_for(request, dialect, profile, unfolding=unfolding)
            rendered = translator.render_request(profile)
            self.drop(rendered.dropped)
            if _is_orchestrated(attempt):
                rendered = with_modules(rendered.body, self.modules_at(attempt.endpoint))
                self.drop(rendered.dropped)
            return translator, rendered.body

    def modules_at(self, endpoint: Endpoint) -> Modules:
        """Return the orchestration modules for the model of an endpoint."""
        return self._shared.modules_for(endpoint.model)

    def request_for(self, attempt: Attempt) -> ClientRequest:
        """Return the request for an attempt's endpoint, with media inlined, and signatures verified.

        Raises `FaultError`.
        """
        request = self._media.request_for(attempt.protocol.dialect, self._inlined)
        request = request.answered_by(self.incoming.origin(attempt.endpoint))
        verify_at = self.incoming.verify_at
        return request if verify_at is None else request.verified(verify_at(attempt.endpoint))

    def drop(self, fields: Iterable[str]) -> None:
        """Record which *fields* of the request are not sent to the endpoint."""
        self._dropped.update(fields)

    def open(self, attempt: Attempt, body: JSON, *, stream: bool) -> AttemptReader:
        """Return a reader that sends *body* to the endpoint, without the fields that its model is known to reject."""
        headers, ended, spans = self.incoming.headers, None, self.incoming.spans
        if spans is not None:
            headers, ended = {**headers, **spans.begin_call(attempt)}, partial(spans.end_call, attempt)

        def begin(body: JSON) -> StreamReader:
            return self._client.begin(
                attempt,
                body,
                stream=stream,
                timeouts=self.incoming.timeouts,
                lifetime=self.lifetime,
                headers=headers,
            )

        choice = self.incoming.request.envelope.conversation.tool_choice
        insists = choice is not None and choice.mode in (ToolMode.NAMED, ToolMode.REQUIRED)
        rejected = self._shared.rejected_fields
        return AttemptReader(begin, attempt.endpoint.model, body, rejected, self.drop, insists=insists, ended=ended)

    def whole(self) -> JSON:
        """Return the body of a whole answer, with failover; raises `FaultError` if no endpoint answered."""
        try:
            reply = self.answer()
        except FaultError as error:
            self.finish(fault=error.fault)
            raise
        except BaseException:
            # A defect of the proxy: no endpoint has failed, and every lease must be closed.
            self.finish(fault=DEFECT)
            raise
        self.finish(reply.completion.usage, stop=reply.completion.stop.reason.value)
        return reply.body

    def answered(self, attempt: Attempt, *, whole: bool = False) -> None:
        """Report that *attempt* has begun to stream an answer, or has given a *whole* one."""
        attempt.answered(whole=whole)
        self.begin_answer()

    def begin_answer(self) -> None:
        """Enter the stage ANSWERING, in which a fault is sent to the client."""
        self.stage = Stage.ANSWERING
        self._first_content = self._age()

    def made(self, attempt: Attempt, items: Iterable[str]) -> None:
        """Remember the ids of the *items* in the output of *attempt*, which the caller may refer to later."""
        if traits(attempt.protocol.dialect).keeps_responses:
            for item in items:
                self._shared.items.remember(self.incoming.caller, item, attempt.endpoint)

    def finish(self, usage: Usage | None = None, *, fault: Fault | None = None, stop: str = "") -> None:
        """End the exchange and send its record to the observer. A second call does nothing."""
        if self.stage is Stage.OVER:
            return
        self.stage = Stage.OVER
        for each in self._sequences:
            each.close()
        self._final_course = self._course()
        record = self._record(self._final_course, usage or Usage(), fault, stop)
        self._observer.over(record)
        if self.incoming.spans is not None:
            self.incoming.spans.over(record, self._last)

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer that describe how it was routed."""
        told = request_id_headers(self.incoming.request.client, self.incoming.id)
        course = self._final_course or self._course()
        if self._last is not None:
            endpoint = self._last.endpoint
            told["x-proxy-deployment"] = f"{endpoint.subaccount}/{endpoint.deployment}"
            told["x-proxy-reason"] = self._last.lease.reason
            told["x-proxy-attempts"] = str(len(course.reasons))
            told["x-proxy-model"] = endpoint.model
        told["x-proxy-trail"] = course.trail
        told["x-proxy-fallback"] = self._fallback()
        told["x-proxy-dropped"] = ", ".join(sorted(self._dropped))
        return {name: _one_line(value) for name, value in told.items() if value}

    def answer(self) -> ClientResponse:
        """Make attempts until one has given a whole answer; raises `FaultError` if none does."""
        while True:
            attempt = self.next_attempt()
            try:
                reply = self.ask(attempt)
            except FaultError as error:
                attempt.failed(error.fault)
                continue
            self.answered(attempt, whole=True)
            self.made(attempt, item_ids(reply.body))
            attempt.lease.close()
            return reply

    def ask(self, attempt: Attempt) -> ClientResponse:
        """Send the request to the endpoint of an attempt once and return the response; raises `FaultError`."""
        translator, body = self.prepare(attempt)
        with self.lifetime.memory.freed_after_fault():
            loaded = self.read(attempt, body)
            with unreadable_as_fault():
                return translator.render_response(loaded)

    def read(self, attempt: Attempt, body: JSON) -> JSON:
        """Send *body* to the endpoint of an attempt and return the parsed answer; raises `FaultError`."""
        with self.waiting(), closing(self.open(attempt, body, stream=False)) as reader:
            raw = run(reader.whole(attempt.lease.first_byte), self.lifetime)
        self.lifetime.memory.take_values(raw, NONSENSE, of_answer=True)
        with unreadable_as_fault():
            loaded: JSON = loads(raw)
            return loaded

    def waiting(self) -> "_Waiting":
        """Return a context manager whose duration counts as waiting and not as work of the proxy."""
        return _Waiting(self)

    def _inlined(self, request: ClientRequest) -> ClientRequest:
        with self.waiting():
            return inline(request, self._shared.fetch, self.lifetime)

    def _age(self) -> float:
        """Return the seconds since the body of the request was read."""
        return self.lifetime.clock() - self.incoming.began

    def _course(self) -> "_Course":
        """Return a summary of all attempts so far."""
        trails: dict[str, int] = {}
        reasons: list[str] = []
        for each in self._sequences:
            if each_reasons := each.reasons:
                trail = each.trail
                trails[trail] = trails.get(trail, 0) + 1
                reasons += each_reasons
        whole_trail = ", ".join([each if count == 1 else f"{each} x{count}" for each, count in trails.items()])
        return _Course(whole_trail, tuple(reasons), max(1, sum(trails.values())))

    def _fallback(self) -> str:
        resolution = self.attempts.resolution
        return f"{resolution.requested} -> {resolution.model}" if resolution.how is How.FALLBACK else ""

    def _record(self, course: "_Course", usage: Usage, fault: Fault | None, stop: str) -> ExchangeRecord:
        endpoint = self._last.endpoint if self._last else None
        conversation = self.incoming.request.envelope.conversation
        duration = self._age()
        return ExchangeRecord(
            id=self.incoming.id,
            caller=self.incoming.caller,
            client=self.incoming.request.client,
            requested=conversation.model,
            model=endpoint.model if endpoint else "",
            stream=conversation.stream,
            trail=course.trail,
            subaccount=endpoint.subaccount if endpoint else "",
            deployment=endpoint.deployment if endpoint else "",
            attempts=len(course.reasons),
            parts=course.parts,
            reasons=course.reasons,
            unaffordable=any(each.unaffordable for each in self._sequences),
            status=http_status(fault) if fault else 200,
            outcome=fault.kind.value if fault else "ok",
            stop=stop,
            first_content=self._first_content,
            duration=duration,
            overhead=max(0.0, duration - self.waited - self.attempts.paused),
            usage=usage,
            dropped=tuple(sorted(self._dropped)),
            trace=self.incoming.trace,
        )


class _Course(NamedTuple):
    """A summary of the attempts at a request. Equal trails of several parts are written once, with their number."""

    trail: str
    reasons: tuple[str, ...]
    """The reason for which the endpoint of each attempt was selected."""
    parts: int


class _Waiting:
    """A context manager that adds its duration to the waiting time of an exchange."""

    __slots__ = ("_exchange", "_since")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._since = exchange.lifetime.clock()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._exchange.waited += self._exchange.lifetime.clock() - self._since


def _is_orchestrated(attempt: Attempt) -> bool:
    """Return whether an attempt uses orchestration."""
    return attempt.protocol.dialect == orchestration.DIALECT


def item_ids(response: JSON) -> tuple[str, ...]:
    """Return the ids of the items in the output of a response; empty if there are none."""
    output = response.get("output")
    items = output if isinstance(output, list) else []
    return tuple(item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str))


def _one_line(value: str) -> str:
    """Return *value* as a valid header: one line of ASCII of limited length. It may contain text of the caller."""
    if value.isascii() and value.isprintable():
        return value[:_LONGEST]
    plain = value.replace("→", "->").encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in plain[:_LONGEST])
