"""Embeddings: one request of a client, posted in as many vendors' ways as there are."""

from dialects.capabilities.azure_versions import with_version_for
from dialects.capabilities.models import ModelProfile, Vendor, profile_for
from dialects.core.conversation import JSON
from dialects.embeddings.openai import EmbeddingRequest, parse_request, render_response
from dialects.embeddings.registry import EMBEDDING_DIALECTS
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter


class EmbeddingsProtocol(ProtocolHandler):
    """Posts to `/embeddings`, `/invoke` or `:predict`, as the model's vendor wants it."""

    name = "embeddings"
    dialect = "openai-embeddings"

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - vectors come whole
        """Choose the path by the model's vendor."""
        return base_url.rstrip("/") + _path(profile_for(model))

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:
        """Take a newer `api-version` than the model's own where the body says what that does not know."""
        return with_version_for(self.build_endpoint(base_url, model, stream), body)

    def get_request_converter(self) -> RequestConverter:
        """Write the body of the first call; Google and Amazon take one text a call."""
        return _first_body

    def get_response_converter(self) -> ResponseConverter:
        """Say the vectors of one call as OpenAI does."""
        return _one_answer

    def speaks(self, profile: ModelProfile) -> bool:
        """Take the models that embed, and no other."""
        return profile.embeds


def _path(profile: ModelProfile) -> str:
    match profile.vendor:
        case Vendor.TITAN:
            return "/invoke"
        case Vendor.GEMINI:
            return f"/models/{profile.name}:{'embedContent' if profile.embed_content else 'predict'}"
        case Vendor.OPENAI:
            return f"/embeddings?api-version={profile.api_version}"
        case _:
            return "/embeddings"


def _first_body(payload: JSON) -> JSON:
    request = parse_request(payload)
    profile = profile_for(request.model)
    return EMBEDDING_DIALECTS[profile.vendor].render_request(request, profile)[0].body


def _one_answer(body: JSON, model: str) -> JSON:
    response = EMBEDDING_DIALECTS[profile_for(model).vendor].parse_response([body])
    return render_response(response, EmbeddingRequest(model, inputs=()))
