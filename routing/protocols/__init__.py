"""Protocols: how each dialect is posted to SAP AI Core, and which protocol a model gets."""

from collections.abc import Sequence

from dialects.capabilities.models import profile_for
from dialects.core.faults import invalid
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter
from routing.protocols.claude_converse import ClaudeConverseProtocol
from routing.protocols.claude_invoke import ClaudeInvokeProtocol
from routing.protocols.embeddings import EmbeddingsProtocol, OrchestrationEmbeddingsProtocol
from routing.protocols.gemini_generate import GeminiGenerateProtocol
from routing.protocols.openai_chat import OpenAIChatProtocol
from routing.protocols.openai_responses import OpenAIResponsesProtocol
from routing.protocols.orchestration import OrchestrationProtocol

__all__ = ["ORCHESTRATION", "PROTOCOLS", "ClaudeConverseProtocol", "ClaudeInvokeProtocol", "EmbeddingsProtocol"]
__all__ += ["GeminiGenerateProtocol", "OpenAIChatProtocol", "OpenAIResponsesProtocol"]
__all__ += ["OrchestrationEmbeddingsProtocol", "OrchestrationProtocol", "ProtocolHandler"]
__all__ += ["RequestConverter", "ResponseConverter", "protocol_for"]

PROTOCOLS: tuple[ProtocolHandler, ...] = (
    ClaudeConverseProtocol(),
    ClaudeInvokeProtocol(),
    GeminiGenerateProtocol(),
    OpenAIChatProtocol(),
    OpenAIResponsesProtocol(),
    EmbeddingsProtocol(),
)
"""The protocols for deployments of one model. If several fit, the first one is used."""
ORCHESTRATION: tuple[ProtocolHandler, ...] = (OrchestrationProtocol(), OrchestrationEmbeddingsProtocol())
"""The protocols for orchestration deployments."""


def protocol_for(
    model: str,
    client: str,
    *,
    tools_with_reasoning: bool = False,
    protocols: Sequence[ProtocolHandler] = PROTOCOLS,
) -> ProtocolHandler:
    """Return the protocol for *model*: the one with the dialect *client* if it supports the model, as a passthrough.

    A request that has tools and asks for reasoning uses Responses if the chat API of the model refuses both together.
    Raises `FaultError` if no protocol supports the model.
    """
    profile = profile_for(model)
    if profile.embeds is not (client == EmbeddingsProtocol.dialect):
        what = (
            "is an embedding model and has no conversations"
            if profile.embeds
            else "is a chat model and makes no embeddings"
        )
        raise invalid(f"{model!r} {what}", param="model")
    able = [protocol for protocol in protocols if protocol.speaks(profile)]
    if not able:
        raise invalid(f"{model!r} is not supported by any protocol of the proxy", param="model")
    wanted = OpenAIResponsesProtocol.dialect if tools_with_reasoning and profile.responses_for_tools else client
    return next((protocol for protocol in able if protocol.dialect == wanted), able[0])
