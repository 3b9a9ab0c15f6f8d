"""SAP AI Core's orchestration, in which one deployment asks the models of all vendors, for backends."""

from dialects.orchestration.limits import profile_through
from dialects.orchestration.modules import Fallback, Modules, with_modules
from dialects.orchestration.request_renderer import render_request
from dialects.orchestration.response import parse_response
from dialects.orchestration.stream import reader
from dialects.orchestration.vocabulary import DIALECT

__all__ = [
    "DIALECT",
    "Fallback",
    "Modules",
    "parse_response",
    "profile_through",
    "reader",
    "render_request",
    "with_modules",
]
