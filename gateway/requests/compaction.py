"""Compactions: requests for a model to shorten a conversation, which the client then continues."""

from dialects import openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.faults import invalid
from dialects.translator import ClientResponse
from gateway.requests.exchange import Exchange
from gateway.requests.translation_faults import unreadable_as_fault, unwritable_as_unasked
from routing.attempts import Attempt
from routing.protocols.openai_responses import CompactionProtocol

_PROTOCOL = CompactionProtocol()


class CompactionExchange(Exchange):
    """One request to shorten a conversation. Only models that are asked in Responses support it."""

    def ask(self, attempt: Attempt) -> ClientResponse:
        """Send the request to the endpoint of the attempt once and return the response; raises `FaultError`."""
        with unwritable_as_unasked():
            if attempt.protocol.dialect != openai_responses.DIALECT:
                why = "cannot compact conversations: ask it for a summary as text"
                raise invalid(f"model {self.incoming.request.envelope.model} {why}", "model")
            attempt.protocol = _PROTOCOL
            request = self.request_for(attempt)
            rendered = openai_responses.compaction_request(request.body, profile_for(attempt.endpoint.backend))
        self.drop(rendered.dropped)
        with self.lifetime.memory.freed_after_fault(), unreadable_as_fault():
            body = self.read(attempt, rendered.body)
            completion = openai_responses.parse_compaction(body)
            return ClientResponse(openai_responses.passthrough_compaction(body, request.envelope.origin), completion)
