"""The registry of embedding dialects: how each vendor's models are asked, and how requests are divided into calls."""

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
    """A dialect in which embedding models are asked."""

    def render_request(self, request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
        """Render a request that is small enough for one call. Raises `FaultError` if the model cannot take an input."""
        ...

    def parse_response(self, body: JSON) -> EmbeddingResponse:
        """Parse the response to one call."""
        ...


class VendorDialect(EmbeddingDialect, Protocol):
    """The dialect of a vendor, which has limits for one call."""

    def call_limit(self, profile: ModelProfile) -> CallLimit:
        """Return the limits of one call to the model."""
        ...


EMBEDDING_DIALECTS: Mapping[Vendor, VendorDialect] = {
    Vendor.OPENAI: openai_embeddings,
    Vendor.NVIDIA: openai_embeddings,
    Vendor.GEMINI: gemini_embeddings,
    Vendor.TITAN: titan_embeddings,
}


def dialect_for(profile: ModelProfile, *, orchestration: bool = False) -> EmbeddingDialect:
    """Return the dialect of a model's vendor, or that of *orchestration* if the model is asked through it."""
    return orchestration_embeddings if orchestration else _vendors(profile)


def parts_of(request: EmbeddingRequest, profile: ModelProfile) -> list[EmbeddingRequest]:
    """Divide a request into requests for one call each, in the order of its inputs.

    The limits are those of the model, even if it is asked through orchestration.
    """
    limit = _vendors(profile).call_limit(profile)
    return [replace(request, inputs=inputs) for inputs in limit.split(request.inputs)]


def halves_of(request: EmbeddingRequest) -> tuple[EmbeddingRequest, ...]:
    """Divide a request in two, in the order of its inputs. Return an empty tuple if it has only one input."""
    middle = len(request.inputs) // 2
    halves = (request.inputs[:middle], request.inputs[middle:]) if middle else ()
    return tuple(replace(request, inputs=inputs) for inputs in halves)


def _vendors(profile: ModelProfile) -> VendorDialect:
    """Return the dialect of the model's vendor. For an unknown vendor that is OpenAI's, which most vendors support."""
    return EMBEDDING_DIALECTS.get(profile.vendor, openai_embeddings)
