"""The protocols of embeddings, which differ by the vendor of the model."""

from functools import partial
from typing import ClassVar

from dialects.capabilities.azure_versions import with_version_for
from dialects.capabilities.models import ModelProfile, Vendor, profile_for
from dialects.core.conversation import JSON
from dialects.embeddings.openai import EmbeddingRequest, parse_request, render_response
from dialects.embeddings.registry import dialect_for, parts_of
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter


class EmbeddingsProtocol(ProtocolHandler):
    """Posts to `/embeddings`, `/invoke`, `:embedContent` or `:predict`, depending on the vendor of the model."""

    name = "embeddings"
    dialect = "openai-embeddings"
    orchestration: ClassVar[bool] = False

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - vectors come whole
        """Return the URL for the vendor of the model."""
        return base_url.rstrip("/") + _path(profile_for(model))

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:
        """Return the URL, with a newer `api-version` than the model's own if a field of the body needs it."""
        return with_version_for(self.build_endpoint(base_url, model, stream), body)

    def get_request_converter(self) -> RequestConverter:
        """Return the converter to a body; if the request takes several calls, it makes the body of the first."""
        return partial(_first_body, self.orchestration)

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter from the answer of one call to OpenAI embeddings."""
        return partial(_one_answer, self.orchestration)

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model is an embedding model."""
        return profile.embeds


class OrchestrationEmbeddingsProtocol(EmbeddingsProtocol):
    """Posts to `/v2/embeddings` of an orchestration deployment, for the models of all vendors."""

    name = "orchestration-embeddings"
    orchestration = True

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:  # noqa: ARG002 - the body names the model
        """Return the URL, which is the same for all models."""
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
