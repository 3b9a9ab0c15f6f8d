"""Embeddings: one request of a client, posted in as many vendors' ways as there are."""

from functools import partial
from typing import ClassVar

from dialects.capabilities.azure_versions import with_version_for
from dialects.capabilities.models import ModelProfile, Vendor, profile_for
from dialects.core.conversation import JSON
from dialects.embeddings.openai import EmbeddingRequest, parse_request, render_response
from dialects.embeddings.registry import dialect_for, parts_of
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter


class EmbeddingsProtocol(ProtocolHandler):
    """Posts to `/embeddings`, `/invoke` or `:predict`, as the model's vendor wants it."""

    name = "embeddings"
    dialect = "openai-embeddings"
    orchestration: ClassVar[bool] = False

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - vectors come whole
        """Choose the path by the model's vendor."""
        return base_url.rstrip("/") + _path(profile_for(model))

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:
        """Take a newer `api-version` than the model's own where the body says what that does not know."""
        return with_version_for(self.build_endpoint(base_url, model, stream), body)

    def get_request_converter(self) -> RequestConverter:
        """Write the body of the first call, if it takes several."""
        return partial(_first_body, self.orchestration)

    def get_response_converter(self) -> ResponseConverter:
        """Say the vectors of one call as OpenAI does."""
        return partial(_one_answer, self.orchestration)

    def speaks(self, profile: ModelProfile) -> bool:
        """Take the models that embed, and no other."""
        return profile.embeds


class OrchestrationEmbeddingsProtocol(EmbeddingsProtocol):
    """Posts to `/v2/embeddings` of an orchestration deployment, whoever the model's vendor is."""

    name = "orchestration-embeddings"
    orchestration = True

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body names the model
        """Add the path, which is the same for all models."""
        return base_url.rstrip("/") + "/v2/embeddings"


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


def _first_body(orchestration: bool, payload: JSON) -> JSON:
    request = parse_request(payload)
    profile = profile_for(request.model)
    part = parts_of(request, profile)[0]
    return dialect_for(profile, orchestration=orchestration).render_request(part, profile).body


def _one_answer(orchestration: bool, body: JSON, model: str) -> JSON:
    response = dialect_for(profile_for(model), orchestration=orchestration).parse_response(body)
    return render_response(response, EmbeddingRequest(model, inputs=()))
