"""OpenAI Responses, for clients and for backends."""

from dialects.openai_common.response import render_fault, render_model, render_models
from dialects.openai_responses.codex_models import render_codex_models
from dialects.openai_responses.passthrough import (
    FormedFrames,
    compaction_request,
    passthrough_compaction,
    passthrough_fault,
    passthrough_frame,
    passthrough_request,
    passthrough_response,
    passthrough_stored,
    verify_signatures,
)
from dialects.openai_responses.request_parser import parse_request
from dialects.openai_responses.request_renderer import render_request
from dialects.openai_responses.response import parse_compaction, parse_outcome, parse_response, render_response
from dialects.openai_responses.stream import reader, writer
from dialects.openai_responses.vocabulary import DIALECT, MEDIA_ROLES

__all__ = [
    "DIALECT",
    "MEDIA_ROLES",
    "FormedFrames",
    "compaction_request",
    "parse_compaction",
    "parse_outcome",
    "parse_request",
    "parse_response",
    "passthrough_compaction",
    "passthrough_fault",
    "passthrough_frame",
    "passthrough_request",
    "passthrough_response",
    "passthrough_stored",
    "reader",
    "render_codex_models",
    "render_fault",
    "render_model",
    "render_models",
    "render_request",
    "render_response",
    "verify_signatures",
    "writer",
]
