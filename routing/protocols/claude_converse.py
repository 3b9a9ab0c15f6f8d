"""The protocol of Bedrock's Converse API, for Claude and Nova."""

from dialects import bedrock_converse
from dialects.capabilities.models import ModelProfile, Vendor
from proxy_helpers import Converters, Detector
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_PATHS = {True: "/converse-stream", False: "/converse"}


class ClaudeConverseProtocol(ProtocolHandler):
    """Posts to `/converse`; preferred for Claude 3.7 and later, and the only path for Nova."""

    name = "claude-converse"
    dialect = bedrock_converse.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the deployment implies it
        """Return the URL for streams or whole answers; the deployment implies the model."""
        return base_url.rstrip("/") + _PATHS[stream]

    def headers(self, stream: bool) -> dict[str, str]:
        """Return the headers that ask for AWS's binary events; its text events have Python literals, not JSON."""
        return {"Accept": "application/vnd.amazon.eventstream"} if stream else super().headers(stream)

    def get_request_converter(self) -> RequestConverter:
        """Return the converter from OpenAI chat to Converse."""
        return Converters.convert_openai_to_claude37

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter from Converse to OpenAI chat."""
        return Converters.convert_claude37_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model is Nova, or Claude 3.7 or later."""
        return profile.vendor is Vendor.NOVA or (
            profile.vendor is Vendor.CLAUDE and Detector.is_claude_37_or_4(profile.name)
        )
