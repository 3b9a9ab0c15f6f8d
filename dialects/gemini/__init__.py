"""Gemini's ``generateContent``, spoken on both sides.

https://ai.google.dev/api/generate-content as clients speak it, and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
as SAP AI Core's deployments do.
"""

from dialects.gemini.passthrough import forward_fault, forward_frame, forward_request, forward_response
from dialects.gemini.request_parser import parse_request
from dialects.gemini.request_renderer import render_request
from dialects.gemini.response import parse_response, render_fault, render_model, render_response
from dialects.gemini.stream import Reader, Writer, reader, writer

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
    "render_model",
    "render_request",
    "render_response",
    "writer",
]
