"""The id of a request, and the id of the trace that it belongs to."""

import re
from collections.abc import Mapping
from typing import Final

REQUEST_ID: Final = "x-request-id"
TRACEPARENT: Final = "traceparent"
_ID: Final = re.compile(r"[!-~]{1,128}")
"""Printable ASCII without blanks, which is safe in log lines and headers."""
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LATER: Final = re.compile(r"(?!00)[0-9a-f]{2}-.{52}-.{0,200}")
"""A `traceparent` of a later version, which may have further fields after those of version 00."""


def request_id(headers: Mapping[str, str], new_id: str) -> str:
    """Return the id in the *headers* of a request, or *new_id* if it has none or an invalid one."""
    given = headers.get(REQUEST_ID, "")
    return given if _ID.fullmatch(given) else new_id


def trace_id(headers: Mapping[str, str]) -> str:
    """Return the trace id of W3C's `traceparent`; empty if there is no valid one."""
    given = headers.get(TRACEPARENT, "")
    later = _LATER.fullmatch(given)
    found = _TRACEPARENT.fullmatch(given[:55] if later else given)
    return found[1] if found else ""


def passed_on(headers: Mapping[str, str], id: str, trace: str) -> dict[str, str]:
    """Return the headers that pass the ids of a request upstream; *trace* is the result of `trace_id`."""
    return {REQUEST_ID: id, **({TRACEPARENT: headers[TRACEPARENT]} if trace else {})}
