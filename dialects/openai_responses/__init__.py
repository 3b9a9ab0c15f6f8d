"""OpenAI Responses, on both sides of the gateway."""

from dialects.openai_common.response import render_fault
from dialects.openai_responses.passthrough import (
    forward_fault,
    forward_frame,
    forward_kept,
    forward_request,
    forward_response,
)
from dialects.openai_responses.request_parser import parse_request
from dialects.openai_responses.request_renderer import render_request
from dialects.openai_responses.response import parse_response, render_response
from dialects.openai_responses.stream import reader, writer

__all__ = [
    "forward_fault",
    "forward_frame",
    "forward_kept",
    "forward_request",
    "forward_response",
    "parse_request",
    "parse_response",
    "reader",
    "render_fault",
    "render_request",
    "render_response",
    "writer",
]
