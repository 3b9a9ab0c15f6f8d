"""The protocol of Bedrock's Invoke API, with Anthropic messages."""

from dialects import anthropic_messages
from dialects.capabilities.models import ModelProfile, Vendor
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_PATHS = {True: "/invoke-with-response-stream", False: "/invoke"}
_VENDORS = frozenset({Vendor.CLAUDE, Vendor.TITAN})


class ClaudeInvokeProtocol(ProtocolHandler):
    """Posts to `/invoke`; a passthrough for Anthropic clients, and the only path for old models on Bedrock."""

    name = "claude-invoke"
    dialect = anthropic_messages.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the deployment implies it
        """Return the URL for streams or whole answers; the deployment implies the model."""
        return base_url.rstrip("/") + _PATHS[stream]

    def get_request_converter(self) -> RequestConverter:
        """Return the converter from OpenAI chat to Anthropic messages for Bedrock."""
        return Converters.convert_openai_to_claude

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter from an Anthropic message to OpenAI chat."""
        return Converters.convert_claude_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model is Claude, or Titan, which has no other path."""
        return profile.vendor in _VENDORS
