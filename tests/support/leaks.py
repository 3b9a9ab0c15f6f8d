"""Markers that stand for secrets, and the search for them in whatever notation they leave."""

import base64
import html
import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

_PREFIX = b"base64 begins anywhere: "


def notations(secret: str) -> dict[str, bytes]:
    """Write a secret in each notation in which it may leave, by the name of the notation."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "percent": quote(secret, safe="").encode(),
        "percent with slashes": quote(secret).encode(),
        "form": quote_plus(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON twice": json.dumps(json.dumps(secret))[3:-3].encode(),
        "repr": repr(secret)[1:-1].encode(),
        "HTML": html.escape(secret).encode(),
        "hex": raw.hex().encode(),
        "Latin-1": secret.encode("latin-1", "replace"),
    }
    for shift in range(3):
        # The bytes before a text shift it in base64. Its first and its last letters depend on its neighbours.
        packed = base64.b64encode(_PREFIX[: 3 * 2 + shift] + raw)
        inside = packed[8 + 4 * (shift > 0) : len(packed) // 4 * 4 - 4]
        found[f"base64, {shift}"] = inside
        found[f"base64url, {shift}"] = inside.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def leaks_in(data: bytes, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name the secrets in *data*, each with the notation in which it stands there; case does not matter."""
    lower = data.lower()
    return [
        (name, notation)
        for name, secret in secrets.items()
        for notation, written in notations(secret).items()
        if written.lower() in lower
    ]
