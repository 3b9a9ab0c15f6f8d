"""OpenAI's Responses, which some deployments speak too, and a few speak only."""

import re

from dialects import openai_responses
from dialects.capabilities.models import ModelProfile, Vendor, canonical
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_MODELS = re.compile(r"gpt-[5-9](?!\d)")
"""The models whose deployments on SAP AI Core take Responses, as their canonical names begin."""


class OpenAIResponsesProtocol(ProtocolHandler):
    """Posts to `/responses`, which needs no `api-version`."""

    name = "openai-responses"
    dialect = openai_responses.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body says both
        """Give the one path there is; the body says the rest."""
        return base_url.rstrip("/") + "/responses"

    def get_request_converter(self) -> RequestConverter:
        """Render the request as Responses wants it."""
        return Converters.convert_openai_to_responses

    def get_response_converter(self) -> ResponseConverter:
        """Understand a Responses object."""
        return Converters.convert_responses_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Take what knows nothing else, and the GPT-5 family; SAP AI Core lets no other have the path."""
        if profile.responses_only:
            return True
        return profile.vendor is Vendor.OPENAI and bool(_MODELS.match(canonical(profile.name)))


class CompactionProtocol(OpenAIResponsesProtocol):
    """Posts to `/responses/compact`, which makes a conversation shorter."""

    name = "openai-responses-compaction"

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Give the path behind that of Responses."""
        return super().build_endpoint(base_url, model, stream) + "/compact"
