"""Signatures with which a provider recognises what its models wrote."""

import base64
import binascii
import hashlib
import hmac

_KEY = b"an emulator keeps no secrets"
_HALF = 16
_SKIPS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


def sign(kind: str, text: str) -> str:
    """Sign a text. Equal texts have equal signatures."""
    body = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_HALF]
    return base64.b64encode(body + _mac(kind, body) * 2).decode()


def made(kind: str, signature: object) -> bool:
    """Return whether a signature was made by the emulator."""
    raw = _decode(signature)
    return len(raw) == _HALF * 3 and hmac.compare_digest(raw[_HALF:], _mac(kind, raw[:_HALF]) * 2)


def made_for(kind: str, text: str, signature: object) -> bool:
    """Return whether a signature was made by the emulator for this text."""
    return signature == sign(kind, text)


def skips(signature: object) -> bool:
    """Return whether this is one of Google's documented placeholders that skip the check, plain or in base64."""
    return isinstance(signature, str) and (
        signature in _SKIPS or _decode(signature).decode("utf-8", "replace") in _SKIPS
    )


def _mac(kind: str, body: bytes) -> bytes:
    """Return the authentication code of a body."""
    return hmac.new(_KEY, kind.encode() + body, hashlib.sha256).digest()[:_HALF]


def _decode(signature: object) -> bytes:
    """Decode base64 with either alphabet; return no bytes if it is invalid."""
    if not isinstance(signature, str):
        return b""
    try:
        return base64.b64decode(signature.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""
