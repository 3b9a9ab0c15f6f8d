"""Which dialects there are, and on which side they are spoken.

The type checker holds each row against its protocol: a dialect that cannot
parse a request is refused among the clients.
"""

from collections.abc import Mapping

from dialects import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses
from dialects.dialect import BackendDialect, ClientDialect, LaneDialect

CLIENTS: Mapping[str, ClientDialect] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
}
BACKENDS: Mapping[str, BackendDialect] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
    "bedrock-converse": bedrock_converse,
}
LANES: Mapping[str, LaneDialect] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
}
"""Dialects spoken on both sides: between two ends of one, bodies pass without being translated."""
