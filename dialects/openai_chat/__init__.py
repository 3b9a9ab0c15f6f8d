"""OpenAI chat completions, for clients and for backends."""

from dialects.openai_chat.client_variants import has_blocks, is_responses, with_nested_tools
from dialects.openai_chat.passthrough import (
    passthrough_fault,
    passthrough_frame,
    passthrough_request,
    passthrough_response,
    verify_signatures,
)
from dialects.openai_chat.request_parser import parse_request
from dialects.openai_chat.request_renderer import render_request
from dialects.openai_chat.response import parse_outcome, parse_response, render_response
from dialects.openai_chat.stream import reader, writer
from dialects.openai_chat.vocabulary import DIALECT
from dialects.openai_common.response import render_fault, render_model, render_models

__all__ = [
    "DIALECT",
    "has_blocks",
    "is_responses",
    "parse_outcome",
    "parse_request",
    "parse_response",
    "passthrough_fault",
    "passthrough_frame",
    "passthrough_request",
    "passthrough_response",
    "reader",
    "render_fault",
    "render_model",
    "render_models",
    "render_request",
    "render_response",
    "verify_signatures",
    "with_nested_tools",
    "writer",
]
