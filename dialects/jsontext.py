"""JSON as text, written the same way everywhere."""

import json
from typing import Any

import orjson

from dialects.faults import invalid


def dumps(value: Any) -> str:
    """Write JSON on one line, with text as itself; raises `FaultError` for what is nested a thousand deep."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Half of a surrogate pair and numbers beyond 64 bits are legal JSON, which orjson refuses.
        try:
            return json.dumps(value, separators=(",", ":"))
        except RecursionError as error:
            raise invalid("the request holds JSON that is nested too deeply") from error
