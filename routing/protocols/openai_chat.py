"""OpenAI's chat completions, which most vendors on SAP AI Core speak."""

from dialects import openai_chat
from dialects.capabilities.azure_versions import with_version_for
from dialects.capabilities.models import ModelProfile, Vendor, profile_for
from dialects.core.conversation import JSON
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_PATHS = {Vendor.COHERE: "/v2/chat"}
_VERSIONED = frozenset({Vendor.OPENAI})
"""Azure insists on an `api-version`; the other vendors know none."""
_OTHERWISE = frozenset({Vendor.CLAUDE, Vendor.NOVA, Vendor.TITAN, Vendor.GEMINI})
"""These are asked in their own languages."""


class OpenAIChatProtocol(ProtocolHandler):
    """Posts to `/chat/completions`."""

    name = "openai-chat"
    dialect = openai_chat.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body says it
        """Choose path and `api-version` by the model; the body says whether to stream."""
        profile = profile_for(model)
        path = _PATHS.get(profile.vendor, "/chat/completions")
        version = f"?api-version={profile.api_version}" if profile.vendor in _VERSIONED else ""
        return base_url.rstrip("/") + path + version

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:
        """Take a newer `api-version` than the model's own where the body says what that does not know."""
        return with_version_for(self.build_endpoint(base_url, model, stream), body)

    def get_request_converter(self) -> RequestConverter:
        """Change only what the model refuses."""
        return Converters.convert_openai_to_openai

    def get_response_converter(self) -> ResponseConverter:
        """Say the answer under the name that was asked for."""
        return Converters.convert_openai_response_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Take what has no language of its own, unless it knows only Responses."""
        return profile.vendor not in _OTHERWISE and not profile.responses_only
