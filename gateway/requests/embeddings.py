"""The exchange for embeddings, which is split into parts if it is too large for one call."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from dialects.capabilities.models import profile_for
from dialects.core.conversation import Completion, Stop, StopReason, Usage
from dialects.core.faults import Fault, FaultError
from dialects.embeddings.batches import is_too_large
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse, joined, render_response
from dialects.embeddings.orchestration import with_masking
from dialects.embeddings.registry import dialect_for, halves_of, parts_of
from dialects.framing.json_text import loads
from dialects.translator import ClientResponse
from gateway.requests.exchange import Exchange
from gateway.requests.memory_budget import COPIES
from gateway.requests.parts import Part, Parts
from gateway.requests.translation_faults import unreadable_as_fault, unwritable_as_unasked
from gateway.upstream.steps import Steps
from gateway.upstream.transport_faults import TOO_MUCH
from routing.attempts import Attempt


class EmbeddingExchange(Exchange):
    """One request for embeddings. Its conversation contains only the name of the model.

    *parts* are the request, split by what the model accepts in one call. Several parts are asked at the same time, and
    each has its own failover. All use the same model, because vectors of different models cannot be compared.
    """

    def __init__(self, request: EmbeddingRequest, parts: Sequence[EmbeddingRequest], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request
        self._parts = parts
        self._used = 0
        """The input tokens of the answered parts."""

    def answer(self) -> ClientResponse:
        """Send all parts and return the joined response; raises `FaultError` if no endpoint answers one of them."""
        parts = Parts[EmbeddingResponse](self.lifetime, self.waiting)

        def part(request: EmbeddingRequest) -> Part[EmbeddingResponse]:
            attempts = self.attempts
            if len(self._parts) > 1:
                attempts = attempts.again(parts)
                self._sequences.append(attempts)
            return parts.part(partial(self.next_attempt, attempts), partial(self._work, request))

        response = joined(parts.answers(map(part, self._parts)))
        self.begin_answer()
        with unreadable_as_fault():
            usage = Usage(fresh_input=response.prompt_tokens)
            completion = Completion(model=response.model, stop=Stop(StopReason.END), usage=usage)
            return ClientResponse(render_response(response, self._request), completion)

    def finish(self, usage: Usage | None = None, *, fault: Fault | None = None, stop: str = "") -> None:
        """End the exchange and report it. The usage includes the parts that were answered before another one failed."""
        super().finish(usage or Usage(fresh_input=self._used), fault=fault, stop=stop)

    def _work(self, request: EmbeddingRequest, attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Get a part from the endpoint of an attempt, in as many calls as the model needs; raises `FaultError`."""
        calls = parts_of(request, profile_for(attempt.endpoint.backend))
        response = yield from self._in_turn(calls, attempt)
        self._used += response.prompt_tokens
        return response

    def _in_turn(self, requests: Sequence[EmbeddingRequest], attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Send the requests one after another and return the joined response; raises `FaultError`."""
        responses: list[EmbeddingResponse] = []
        for each in requests:
            responses.append((yield from self._called(each, attempt)))  # noqa: PERF401 - a comprehension cannot yield
        return joined(responses)

    def _called(self, request: EmbeddingRequest, attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Send the request in one call, or in two halves if it or its answer is too large; raises `FaultError`."""
        try:
            return (yield from self._call(request, attempt))
        except FaultError as error:
            halves = halves_of(request) if is_too_large(error.fault) or error.fault is TOO_MUCH else ()
            if not halves:
                raise
        return (yield from self._in_turn(halves, attempt))

    def _call(self, request: EmbeddingRequest, attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Send the request in one call; raises `FaultError`."""
        profile = profile_for(attempt.endpoint.backend)
        dialect = dialect_for(profile, orchestration=attempt.endpoint.orchestration)
        with unwritable_as_unasked():
            rendered = dialect.render_request(request, profile)
        self.drop(rendered.dropped)
        body = rendered.body
        if attempt.endpoint.orchestration:
            body = with_masking(body, self.modules_at(attempt.endpoint).masking)
        with closing(self.open(attempt, body, stream=False)) as reader:
            raw = yield from reader.whole(attempt.lease.first_byte)
        memory = self.lifetime.memory
        with memory.freed_after_fault(COPIES * len(raw)), unreadable_as_fault():
            memory.take_values(raw, TOO_MUCH, of_answer=True)
            response = dialect.parse_response(loads(raw))
            if len(response.vectors) != len(request.inputs):
                raise ValueError("more vectors than inputs, or fewer")
            return response
