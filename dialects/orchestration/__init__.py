"""The dialect of SAP AI Core's orchestration, through which one deployment serves the models of all vendors.

It is a dialect for backends only.
"""

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
