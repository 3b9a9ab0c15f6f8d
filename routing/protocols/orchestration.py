"""The protocol of SAP AI Core's orchestration, where one deployment serves many models."""

from dialects import orchestration
from dialects.capabilities.models import ModelProfile
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter


class OrchestrationProtocol(ProtocolHandler):
    """Posts to `/v2/completion`; the body names the model."""

    name = "orchestration"
    dialect = orchestration.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body has both
        """Return the URL, which is the same for all models, streams and whole answers."""
        return base_url.rstrip("/") + "/v2/completion"

    def get_request_converter(self) -> RequestConverter:
        """Return the converter from OpenAI chat to orchestration."""
        return Converters.convert_openai_to_orchestration

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter from orchestration to OpenAI chat."""
        return Converters.convert_orchestration_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model is no embedding model. The catalogue of the service says which models it has."""
        return not profile.embeds
