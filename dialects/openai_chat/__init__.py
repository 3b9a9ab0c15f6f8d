"""OpenAI chat completions, on both sides of the gateway."""

from dialects.openai_chat.client_variants import has_blocks, is_responses, with_nested_tools
from dialects.openai_chat.passthrough import forward_fault, forward_frame, forward_request, forward_response
from dialects.openai_chat.request_parser import parse_request
from dialects.openai_chat.request_renderer import render_request
from dialects.openai_chat.response import parse_response, render_response
from dialects.openai_chat.stream import reader, writer
from dialects.openai_common.response import render_fault

__all__ = [
    "forward_fault",
    "forward_frame",
    "forward_request",
    "forward_response",
    "has_blocks",
    "is_responses",
    "parse_request",
    "parse_response",
    "reader",
    "render_fault",
    "render_request",
    "render_response",
    "with_nested_tools",
    "writer",
]
