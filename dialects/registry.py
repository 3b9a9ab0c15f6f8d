"""Which dialects there are, and on which side they are spoken.

The type checker holds each row against its protocol: a dialect that cannot
parse a request is refused among the clients.
"""

from collections.abc import Mapping

from dialects import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses
from dialects.framing.sse import BLANK_LINES, comment
from dialects.interface import BackendDialect, ClientDialect, LaneDialect

CLIENTS: Mapping[str, ClientDialect] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
}
SIGNS_OF_LIFE: Mapping[str, bytes] = {
    "openai-chat": comment("ping"),
    "openai-responses": comment("ping"),
    "anthropic-messages": comment("ping"),
    "gemini": BLANK_LINES,
}
"""What keeps a stream alive while there is nothing to say: Google's SDK for Python takes a comment for JSON."""
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
