"""The protocol of OpenAI's Responses API, which some models support, and a few support alone."""

import re

from dialects import openai_responses
from dialects.capabilities.models import ModelProfile, Vendor, canonical
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_MODELS = re.compile(r"gpt-[5-9](?!\d)")
"""The beginning of the canonical names of the models whose deployments on SAP AI Core support Responses."""


class OpenAIResponsesProtocol(ProtocolHandler):
    """Posts to `/responses`, which needs no `api-version`."""

    name = "openai-responses"
    dialect = openai_responses.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body has both
        """Return the URL, which is the same for streams and whole answers."""
        return base_url.rstrip("/") + "/responses"

    def get_request_converter(self) -> RequestConverter:
        """Return the converter from OpenAI chat to Responses."""
        return Converters.convert_openai_to_responses

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter from a Responses object to OpenAI chat."""
        return Converters.convert_responses_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model supports only Responses, or is a GPT-5 or later; SAP AI Core refuses others."""
        if profile.responses_only:
            return True
        return profile.vendor is Vendor.OPENAI and bool(_MODELS.match(canonical(profile.name)))


class CompactionProtocol(OpenAIResponsesProtocol):
    """Posts to `/responses/compact`, which shortens a conversation."""

    name = "openai-responses-compaction"

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Return the URL of Responses with `/compact` at its end."""
        return super().build_endpoint(base_url, model, stream) + "/compact"
