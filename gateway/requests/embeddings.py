"""Embeddings: the exchange that has no conversation in it."""

from typing import Any

from dialects.capabilities.models import profile_for
from dialects.core.conversation import Completion, Stop, StopReason, Usage
from dialects.embeddings.openai import EmbeddingRequest, joined, render_response
from dialects.embeddings.registry import dialect_for, parts_of
from dialects.translator import ClientResponse
from gateway.requests.exchange import Exchange, unreadable_as_fault
from routing.attempts import Attempt


class EmbeddingExchange(Exchange):
    """One request for embeddings; its conversation only names the model."""

    def __init__(self, request: EmbeddingRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def ask(self, attempt: Attempt) -> ClientResponse:
        """Ask the attempt's endpoint, in as many calls as its model needs; raises `FaultError`."""
        profile = profile_for(attempt.endpoint.backend)
        dialect = dialect_for(profile, orchestration=attempt.endpoint.orchestration)
        rendered = [dialect.render_request(part, profile) for part in parts_of(self._request, profile)]
        self.drop(name for each in rendered for name in each.dropped)
        answers = [self.read(attempt, each.body) for each in rendered]
        with unreadable_as_fault():
            response = joined([dialect.parse_response(answer) for answer in answers])
            usage = Usage(fresh_input=response.prompt_tokens)
            completion = Completion(model=response.model, stop=Stop(StopReason.END), usage=usage)
            return ClientResponse(render_response(response, self._request), completion)
