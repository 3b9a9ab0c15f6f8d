"""Which vendors' embedding models can be asked, and how."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON
from dialects.embeddings import gemini as gemini_embeddings
from dialects.embeddings import openai as openai_embeddings
from dialects.embeddings import titan as titan_embeddings
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.interface import Rendered


class EmbeddingDialect(Protocol):
    """A language embedding models are asked in."""

    def render_request(self, request: EmbeddingRequest, profile: ModelProfile) -> list[Rendered]:
        """Render a request: one body for each call that it takes."""
        ...

    def parse_response(self, bodies: Sequence[JSON]) -> EmbeddingResponse:
        """Parse the responses to all calls, in their order."""
        ...


EMBEDDING_DIALECTS: Mapping[Vendor, EmbeddingDialect] = {
    Vendor.OPENAI: openai_embeddings,
    Vendor.NVIDIA: openai_embeddings,
    Vendor.GEMINI: gemini_embeddings,
    Vendor.TITAN: titan_embeddings,
}
