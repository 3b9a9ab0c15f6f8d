"""Anthropic's Messages API: the dialect of Claude Code, of Anthropic's SDKs, and of Claude on Bedrock."""

from dialects.anthropic_messages.model_list import render_model, render_models
from dialects.anthropic_messages.passthrough import (
    passthrough_fault,
    passthrough_frame,
    passthrough_request,
    passthrough_response,
    verify_signatures,
)
from dialects.anthropic_messages.request_parser import parse_request, require_max_tokens
from dialects.anthropic_messages.request_renderer import render_request
from dialects.anthropic_messages.response import (
    parse_outcome,
    parse_response,
    render_fault,
    render_response,
    render_token_count,
)
from dialects.anthropic_messages.stream import Reader, Writer, reader, writer
from dialects.anthropic_messages.vocabulary import DIALECT

__all__ = [
    "DIALECT",
    "Reader",
    "Writer",
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
    "render_token_count",
    "require_max_tokens",
    "verify_signatures",
    "writer",
]
