"""JSON as text, read and written the same way everywhere."""

import json
import re
from typing import Any

import orjson

from dialects.core.conversation import JSON
from dialects.core.faults import invalid


def object_from(arguments: str) -> JSON | None:
    """Read a call's arguments as the object they should be, an empty one if they say nothing; None if they are none."""
    try:
        loaded = loads(_as_bytes(arguments or "{}"))
    except ValueError:
        return None
    return {} if loaded is None else loaded if isinstance(loaded, dict) else None


def object_around(arguments: str) -> JSON:
    """Put arguments that are no object under one key: as the JSON they are, or else as text."""
    try:
        return {"arguments": loads(_as_bytes(arguments))}
    except ValueError:
        return {"arguments": without_lone_surrogates(arguments)}


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_AS_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(128)) + b" " * 128
_DEEP = 500
"""How many brackets may be within each other without being too many."""
_LONG = b"0" * 19
"""As many digits as an integer of more than 64 bits has, at the least."""
_INTEGER = re.compile(rb"(?:\A|(?<=[-\[,:\s]))[0-9]+(?=[,\]}\s]|\Z)")
"""Digits that may be an integer: those of a string stand between other characters, as a rule."""


def loads(text: bytes) -> Any:
    """Read JSON, with integers of any length as themselves; raises `ValueError`.

    It is read strictly, but for what other writers let through: half of a surrogate pair, as JavaScript leaves it
    where it cuts an emoji in two, is read as U+FFFD, a control character in a string as itself, and a byte order mark
    in front not at all.
    """
    try:
        loaded = orjson.loads(text)
    except ValueError:
        text = _mended(text)
        loaded = orjson.loads(text)
    if not _may_hold_long_integers(text):
        return loaded
    try:
        # What has more than 64 bits comes as a float above, which has lost its last digits.
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _mended(text: bytes) -> bytes:
    """Write JSON anew without what only lenient readers take; raises `ValueError`."""
    try:
        said = json.loads(text.decode("utf-8-sig", "surrogatepass"), strict=False)
        return without_lone_surrogates(json.dumps(said, ensure_ascii=False)).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def without_lone_surrogates(text: str) -> str:
    """Put U+FFFD in the place of each half of a surrogate pair, which no UTF-8 can hold."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def glance(text: str) -> Any:
    """Read JSON fast: floats for integers beyond 64 bits, None for text that orjson refuses."""
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def loads_like_stdlib(text: str, glanced: Any) -> Any:
    """Read JSON as the standard library does, with NaN and lone surrogates, given what `glance` made of *text*.

    It raises `RecursionError` for what is nested a thousand deep.
    """
    if glanced is None or text.count("[") + text.count("{") > _DEEP or _may_hold_long_integers(text.encode()):
        return json.loads(text)
    return glanced


def _may_hold_long_integers(text: bytes) -> bool:
    digits = text.translate(_AS_DIGITS)
    place = digits.find(_LONG)
    while place >= 0:
        if _INTEGER.match(text, place):
            return True
        place = digits.find(_LONG, place + len(_LONG))
    return False


def dumps_or_nothing(value: Any) -> bytes:
    """Write JSON as `dumps_bytes` does; empty for what orjson refuses, such as lone surrogates."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b""


def unquote(quoted: bytes) -> str:
    """Read what stands between the quotes of a JSON string."""
    text: str = orjson.loads(b'"%b"' % quoted)
    return text


def dumps(value: Any) -> str:
    """Write JSON on one line, with text as itself; raises `FaultError` for what is nested a thousand deep."""
    return dumps_bytes(value).decode()


def dumps_bytes(value: Any) -> bytes:
    """Write the same as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half of a surrogate pair and numbers beyond 64 bits are legal JSON, which orjson refuses.
        try:
            return json.dumps(value, separators=(",", ":")).encode()
        except RecursionError as error:
            raise invalid("the request contains JSON that is nested too deeply") from error
