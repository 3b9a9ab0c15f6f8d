"""Embeddings: the exchange that has no conversation in it, and is asked in parts if it is too large for one call."""

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
from gateway.requests.parts import Part, Parts
from gateway.requests.translation_faults import unreadable_as_fault, unwritable_as_unasked
from gateway.upstream.steps import Steps
from routing.attempts import Attempt


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
        """Tell the observer how it ended; what was answered before a part failed has been used all the same."""
        super().finish(usage or Usage(fresh_input=self._used), fault=fault, stop=stop)

    def _work(self, request: EmbeddingRequest, attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Ask the attempt's endpoint for a part, in as many calls as its model needs; raises `FaultError`."""
        calls = parts_of(request, profile_for(attempt.endpoint.backend))
        response = yield from self._in_turn(calls, attempt)
        self._used += response.prompt_tokens
        return response

    def _in_turn(self, requests: Sequence[EmbeddingRequest], attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Ask for one request after the other, as if they were one; raises `FaultError`."""
        response = EmbeddingResponse(())
        for each in requests:
            response = joined((response, (yield from self._called(each, attempt))))
        return response

    def _called(self, request: EmbeddingRequest, attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Ask in one call, or for one half after the other where that proves too large; raises `FaultError`."""
        try:
            return (yield from self._call(request, attempt))
        except FaultError as error:
            halves = halves_of(request) if is_too_large(error.fault) else ()
            if not halves:
                raise
        return (yield from self._in_turn(halves, attempt))

    def _call(self, request: EmbeddingRequest, attempt: Attempt) -> Steps[EmbeddingResponse]:
        """Ask in one call; raises `FaultError`."""
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
        with unreadable_as_fault():
            response = dialect.parse_response(loads(raw))
            if len(response.vectors) != len(request.inputs):
                raise ValueError("more vectors than inputs, or fewer")
            return response
