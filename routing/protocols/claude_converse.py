"""Bedrock's Converse: one language for Claude and Nova."""

from dialects import bedrock_converse
from dialects.capabilities.models import ModelProfile, Vendor
from proxy_helpers import Converters, Detector
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_PATHS = {True: "/converse-stream", False: "/converse"}


class ClaudeConverseProtocol(ProtocolHandler):
    """Posts to `/converse`; preferred for Claude from 3.7 on, and the only path for Nova."""

    name = "claude-converse"
    dialect = bedrock_converse.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the deployment implies it
        """Choose by *stream* alone: the deployment implies the model."""
        return base_url.rstrip("/") + _PATHS[stream]

    def headers(self, stream: bool) -> dict[str, str]:
        """Ask for AWS's binary events, because the text events hold Python literals, not JSON."""
        return {"Accept": "application/vnd.amazon.eventstream"} if stream else super().headers(stream)

    def get_request_converter(self) -> RequestConverter:
        """Render the request as Converse wants it."""
        return Converters.convert_openai_to_claude37

    def get_response_converter(self) -> ResponseConverter:
        """Understand Converse's answer."""
        return Converters.convert_claude37_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Take Nova, and every Claude that is not older than 3.7."""
        return profile.vendor is Vendor.NOVA or (
            profile.vendor is Vendor.CLAUDE and Detector.is_claude_37_or_4(profile.name)
        )
