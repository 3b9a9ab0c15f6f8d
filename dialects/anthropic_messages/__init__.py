"""Anthropic's Messages API: what Claude Code and Anthropic's SDKs speak, and Claude on Bedrock understands."""

from dialects.anthropic_messages.passthrough import forward_fault, forward_frame, forward_request, forward_response
from dialects.anthropic_messages.request_parser import parse_request
from dialects.anthropic_messages.request_renderer import render_request
from dialects.anthropic_messages.response import parse_response, render_fault, render_response, render_token_count
from dialects.anthropic_messages.stream import Reader, Writer, reader, writer

__all__ = [
    "Reader",
    "Writer",
    "forward_fault",
    "forward_frame",
    "forward_request",
    "forward_response",
    "parse_request",
    "parse_response",
    "reader",
    "render_fault",
    "render_request",
    "render_response",
    "render_token_count",
    "writer",
]
