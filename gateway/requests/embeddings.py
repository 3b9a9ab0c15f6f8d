"""Embeddings: the exchange that has no conversation in it, and is asked in parts if it is too large for one call."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Completion, Stop, StopReason, Usage
from dialects.core.faults import Fault
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse, joined, render_response
from dialects.embeddings.orchestration import with_masking
from dialects.embeddings.registry import EmbeddingDialect, dialect_for, parts_of
from dialects.framing.json_text import loads
from dialects.translator import ClientResponse
from gateway.requests.exchange import Exchange, unreadable_as_fault
from gateway.requests.parts import Part, Parts, Work, read_whole
from routing.attempts import Attempt

Parse = Callable[[JSON], EmbeddingResponse]


class EmbeddingExchange(Exchange):
    """One request for embeddings; its conversation only names the model.

    *parts* are the request, divided into what the model takes in one call. Several are asked at the same time, each
    fails over by itself, and all of the same model: vectors of two cannot be compared.
    """

    def __init__(self, request: EmbeddingRequest, parts: Sequence[EmbeddingRequest], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request
        self._parts = parts
        self._used = 0
        """The tokens of the parts that have been answered."""

    def answer(self) -> ClientResponse:
        """Ask all parts until each has been answered; raises `FaultError` when one can be asked nowhere."""
        if len(self._parts) == 1:
            return super().answer()
        parts = Parts[EmbeddingResponse](self.lifetime, self.waiting)

        def part(request: EmbeddingRequest) -> Part[EmbeddingResponse]:
            sequence = self.attempts.again(parts)
            self._sequences.append(sequence)
            return parts.part(partial(self.next_attempt, sequence), partial(self._work, request))

        responses = parts.answers(map(part, self._parts))
        self.begin_answer()
        return self._rendered(joined(responses))

    def ask(self, attempt: Attempt) -> ClientResponse:
        """Ask the attempt's endpoint, in as many calls as its model needs; raises `FaultError`."""
        calls = list(self._calls(self._request, attempt))
        return self._rendered(joined([parse(self.read(attempt, body)) for body, parse in calls]))

    def finish(self, usage: Usage | None = None, *, fault: Fault | None = None, stop: str = "") -> None:
        """Tell the observer how it ended; what was answered before a part failed has been used all the same."""
        super().finish(usage or Usage(fresh_input=self._used), fault=fault, stop=stop)

    def _work(self, request: EmbeddingRequest, attempt: Attempt) -> Work[EmbeddingResponse]:
        """Ask the attempt's endpoint for a part; raises `FaultError`."""
        clock, silence = self.lifetime.clock, self.incoming.timeouts.answer
        responses = []
        for body, parse in self._calls(request, attempt):
            reader = self.open(attempt, body, stream=False)
            raw = yield from read_whole(reader, silence, clock, attempt.lease.first_byte)
            with unreadable_as_fault():
                loaded = loads(raw)
            responses.append(parse(loaded))
        response = joined(responses)
        self._used += response.prompt_tokens
        return response

    def _calls(self, request: EmbeddingRequest, attempt: Attempt) -> Iterator[tuple[JSON, Parse]]:
        """Write the body of each call that *request* takes at the attempt's endpoint, with what reads the answer."""
        profile = profile_for(attempt.endpoint.backend)
        dialect = dialect_for(profile, orchestration=attempt.endpoint.orchestration)
        for part in parts_of(request, profile):
            rendered = dialect.render_request(part, profile)
            self.drop(rendered.dropped)
            body = rendered.body
            if attempt.endpoint.orchestration:
                body = with_masking(body, self.modules_at(attempt.endpoint).masking)
            yield body, partial(_parsed, dialect, len(part.inputs))

    def _rendered(self, response: EmbeddingResponse) -> ClientResponse:
        with unreadable_as_fault():
            usage = Usage(fresh_input=response.prompt_tokens)
            completion = Completion(model=response.model, stop=Stop(StopReason.END), usage=usage)
            return ClientResponse(render_response(response, self._request), completion)


def _parsed(dialect: EmbeddingDialect, count: int, body: JSON) -> EmbeddingResponse:
    """Parse the response to one call for so many inputs; raises `FaultError` for one that makes no sense."""
    with unreadable_as_fault():
        response = dialect.parse_response(body)
        if len(response.vectors) != count:
            raise ValueError("more vectors than inputs, or fewer")
        return response
