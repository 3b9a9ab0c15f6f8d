"""JSON text: the functions with which the whole project reads and writes JSON."""

import json
import re
from typing import Any

import orjson

from dialects.core.conversation import JSON
from dialects.core.faults import invalid


def object_from(arguments: str) -> JSON | None:
    """Parse the arguments of a call: an empty object if they are empty or null, and None if they are not an object."""
    try:
        loaded = loads(_as_bytes(arguments or "{}"))
    except ValueError:
        return None
    return {} if loaded is None else loaded if isinstance(loaded, dict) else None


def object_around(arguments: str) -> JSON:
    """Wrap arguments that are not an object in one, under the key ``arguments``, as JSON if possible, else as text."""
    try:
        return {"arguments": loads(_as_bytes(arguments))}
    except ValueError:
        return {"arguments": without_lone_surrogates(arguments)}


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_AS_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(128)) + b" " * 128
_TOO_DEEP = "the request contains JSON that is nested too deeply"
_DEEP = 500
"""The number of brackets beyond which a text may be nested too deeply for the standard library."""
_LONG = b"0" * 19
"""The smallest number of digits of an integer beyond 64 bits."""
_INTEGER = re.compile(rb"(?:\A|(?<=[-\[,:\s]))[0-9]+(?=[,\]}\s]|\Z)")
"""Digits that may be an integer. Most digits in strings have other characters beside them."""


def loads(text: bytes) -> Any:
    """Parse JSON, with integers of any length. Raises `ValueError` if it is not valid.

    The parser accepts three errors that other programs make. Half of a surrogate pair, which JavaScript writes if it
    cuts an emoji in two, is read as U+FFFD. A control character in a string is read as it is. A byte order mark at the
    beginning is ignored.
    """
    try:
        loaded = orjson.loads(text)
    except ValueError:
        text = _mended(text)
        loaded = orjson.loads(text)
    if not _may_hold_long_integers(text):
        return loaded
    try:
        # orjson reads an integer of more than 64 bits as a float, which loses its last digits.
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _mended(text: bytes) -> bytes:
    """Rewrite JSON with the three accepted errors as valid JSON. Raises `ValueError` if it has others."""
    try:
        said = json.loads(text.decode("utf-8-sig", "surrogatepass"), strict=False)
        return without_lone_surrogates(json.dumps(said, ensure_ascii=False)).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def without_lone_surrogates(text: str) -> str:
    """Replace each half of a surrogate pair, which UTF-8 cannot encode, with U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def glance(text: str) -> Any:
    """Parse JSON fast, with floats for integers beyond 64 bits. Return None for text that orjson refuses."""
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def loads_like_stdlib(text: str, glanced: Any) -> Any:
    """Parse JSON as the standard library does, with NaN and lone surrogates.

    *glanced* is the result of `glance` for *text*, which is returned if the standard library would read the same.
    Raises `RecursionError` if the JSON is nested about 1,000 levels deep.
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
    """Write JSON as `dumps_bytes` does, but return empty bytes for values that orjson refuses."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b""


def sorted_text(value: Any) -> bytes:
    """Write JSON with sorted keys, so that equal values have equal texts. Raises `FaultError` as `dumps` does."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        try:
            return json.dumps(value, sort_keys=True).encode()
        except RecursionError as error:
            raise invalid(_TOO_DEEP) from error


def unquote(quoted: bytes) -> str:
    """Parse the inside of a JSON string, without its quotes."""
    text: str = orjson.loads(b'"%b"' % quoted)
    return text


def dumps(value: Any) -> str:
    """Write JSON on one line, without escaping letters. Raises `FaultError` if it is nested about 1,000 levels deep."""
    return dumps_bytes(value).decode()


def dumps_bytes(value: Any) -> bytes:
    """Write JSON as `dumps` does, encoded as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half of a surrogate pair and numbers beyond 64 bits are valid in JSON, but orjson refuses them.
        try:
            return json.dumps(value, separators=(",", ":")).encode()
        except RecursionError as error:
            raise invalid(_TOO_DEEP) from error
