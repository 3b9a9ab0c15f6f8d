"""SAP AI Core's orchestration: one deployment that asks many models."""

from dialects import orchestration
from dialects.capabilities.models import ModelProfile
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter


class OrchestrationProtocol(ProtocolHandler):
    """Posts to `/v2/completion`, whatever the model: the body names it."""

    name = "orchestration"
    dialect = orchestration.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body says both
        """Give the one path there is; the body says the rest."""
        return base_url.rstrip("/") + "/v2/completion"

    def get_request_converter(self) -> RequestConverter:
        """Render the request as orchestration wants it."""
        return Converters.convert_openai_to_orchestration

    def get_response_converter(self) -> ResponseConverter:
        """Understand orchestration's answer."""
        return Converters.convert_orchestration_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Take every model that talks; whether the service has it, its catalogue says."""
        return not profile.embeds
