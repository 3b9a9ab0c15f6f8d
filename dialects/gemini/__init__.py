"""Gemini's ``generateContent``, for clients and for backends.

Clients send it as https://ai.google.dev/api/generate-content describes. SAP AI Core's deployments take it as
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference describes.
"""

from dialects.gemini.passthrough import (
    passthrough_fault,
    passthrough_frame,
    passthrough_request,
    passthrough_response,
    verify_signatures,
)
from dialects.gemini.request_parser import parse_request
from dialects.gemini.request_renderer import render_request
from dialects.gemini.response import (
    parse_outcome,
    parse_response,
    render_fault,
    render_model,
    render_models,
    render_response,
)
from dialects.gemini.stream import Reader, Writer, reader, writer
from dialects.gemini.vocabulary import DIALECT, HOSTED, MEDIA_ROLES

__all__ = [
    "DIALECT",
    "HOSTED",
    "MEDIA_ROLES",
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
    "verify_signatures",
    "writer",
]
