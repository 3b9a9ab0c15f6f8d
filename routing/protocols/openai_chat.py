"""The protocol of OpenAI's chat completions, which most vendors on SAP AI Core support."""

from dialects import openai_chat
from dialects.capabilities.azure_versions import with_version_for
from dialects.capabilities.models import ModelProfile, Vendor, profile_for
from dialects.core.conversation import JSON
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_PATHS = {Vendor.COHERE: "/v2/chat"}
_VERSIONED = frozenset({Vendor.OPENAI})
"""The vendors whose URLs need an `api-version`, which Azure requires."""
_OTHERWISE = frozenset({Vendor.CLAUDE, Vendor.NOVA, Vendor.TITAN, Vendor.GEMINI})
"""The vendors whose models have dialects of their own."""


class OpenAIChatProtocol(ProtocolHandler):
    """Posts to `/chat/completions`."""

    name = "openai-chat"
    dialect = openai_chat.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body has it
        """Return the URL with path and `api-version` for the model; the body says whether to stream."""
        profile = profile_for(model)
        path = _PATHS.get(profile.vendor, "/chat/completions")
        version = f"?api-version={profile.api_version}" if profile.vendor in _VERSIONED else ""
        return base_url.rstrip("/") + path + version

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:
        """Return the URL, with a newer `api-version` than the model's own if a field of the body needs it."""
        return with_version_for(self.build_endpoint(base_url, model, stream), body)

    def get_request_converter(self) -> RequestConverter:
        """Return the converter that changes only the fields that the model refuses."""
        return Converters.convert_openai_to_openai

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter that puts the requested name of the model into the answer."""
        return Converters.convert_openai_response_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model has no dialect of its own and supports more than Responses."""
        return profile.vendor not in _OTHERWISE and not profile.responses_only
