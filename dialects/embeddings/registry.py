"""Which vendors' embedding models can be asked, how, and for how much at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON
from dialects.embeddings import gemini as gemini_embeddings
from dialects.embeddings import openai as openai_embeddings
from dialects.embeddings import orchestration as orchestration_embeddings
from dialects.embeddings import titan as titan_embeddings
from dialects.embeddings.batches import CallLimit
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.interface import Rendered


class EmbeddingDialect(Protocol):
    """A language embedding models are asked in, one call at a time."""

    def render_request(self, request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
        """Render a request that is not too large for one call."""
        ...

    def parse_response(self, body: JSON) -> EmbeddingResponse:
        """Parse the response to one call."""
        ...


class VendorDialect(EmbeddingDialect, Protocol):
    """The language of a vendor, who limits what one call may have."""

    def call_limit(self, profile: ModelProfile) -> CallLimit:
        """Say how much the model takes in one call."""
        ...


EMBEDDING_DIALECTS: Mapping[Vendor, VendorDialect] = {
    Vendor.OPENAI: openai_embeddings,
    Vendor.NVIDIA: openai_embeddings,
    Vendor.GEMINI: gemini_embeddings,
    Vendor.TITAN: titan_embeddings,
}


def dialect_for(profile: ModelProfile, *, orchestration: bool = False) -> EmbeddingDialect:
    """Choose the dialect of a model, or of *orchestration* where the model is asked through that."""
    return orchestration_embeddings if orchestration else _vendors(profile)


def parts_of(request: EmbeddingRequest, profile: ModelProfile) -> list[EmbeddingRequest]:
    """Divide a request into parts, in the order of its inputs, of which each takes one call to the model.

    The limits are the model's own, through orchestration too.
    """
    limit = _vendors(profile).call_limit(profile)
    return [replace(request, inputs=inputs) for inputs in limit.split(request.inputs)]


def halves_of(request: EmbeddingRequest) -> tuple[EmbeddingRequest, ...]:
    """Divide a request in two, in the order of its inputs; nothing where it has one alone."""
    middle = len(request.inputs) // 2
    halves = (request.inputs[:middle], request.inputs[middle:]) if middle else ()
    return tuple(replace(request, inputs=inputs) for inputs in halves)


def _vendors(profile: ModelProfile) -> VendorDialect:
    """The dialect of the model's vendor; one that is not known is taken to speak OpenAI's, as most do."""
    return EMBEDDING_DIALECTS.get(profile.vendor, openai_embeddings)
