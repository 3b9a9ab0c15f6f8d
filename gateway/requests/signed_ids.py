"""Response ids and seals that say who made them, signed for the caller they are given to.

A seal is what only models can read: a thought's signature, redacted thinking, encrypted reasoning. Every process that
has the key finds the maker in what the client sends again, so that no table is needed, and nobody else can write it::

    response id     "resp_" head id       id as the backend wrote it
    seal            head seal             seal as the backend wrote it, empty for what it only keeps

The head is 24 bytes, which are 32 letters of base64, in front of base64 that is base64 again: clients of Gemini decode
signatures, and encode them again in either alphabet, with or without padding. Ids have the alphabet for URLs::

    bytes   what
        3   the version: "sap1" as letters
       15   of HMAC-SHA256 over the kind, the maker, the SHA-256 of the text, and the caller's name
        6   the maker: of HMAC-SHA256 over the URL of its deployment
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

_VERSION = "sap1"
_PREFIX = "resp_"
_HEAD = 32
"""How many letters a head has."""
_SIGNATURE = slice(3, 18)
_MAKER = slice(18, 24)
_LONGEST_ID = 512
"""How many letters an id of ours may have."""
_ID, _SEAL, _URL = b"i", b"s", b"u"
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Signed:
    """An id or a seal that has our form, whoever signed it: *text* is what the backend wrote."""

    text: str
    maker: bytes
    _signature: bytes
    _covered: bytes

    def is_signed(self, key: bytes, caller: str) -> bool:
        """Whether *key* signed it, for *caller*."""
        return hmac.compare_digest(_signature(key, self._covered, caller), self._signature)


def maker_of(key: bytes, url: str) -> bytes:
    """Name the deployment at *url* so that only those who have the key know which it is."""
    return hmac.digest(key, _URL + url.encode(), "sha256")[: _MAKER.stop - _MAKER.start]


def sign_id(key: bytes, maker: bytes, caller: str, id: str) -> str:
    """Sign a response id for *caller*."""
    return _PREFIX + base64.urlsafe_b64encode(_head(key, _ID, maker, id, caller)).decode() + id


def sign_seal(key: bytes, maker: bytes, caller: str, seal: str) -> str:
    """Sign a seal for *caller*."""
    return base64.b64encode(_head(key, _SEAL, maker, seal, caller)).decode() + seal


def read_id(id: str) -> Signed | None:
    """Read a response id; None for one that is not of our form."""
    return _read(_ID, id.removeprefix(_PREFIX)) if id.startswith(_PREFIX) and len(id) <= _LONGEST_ID else None


def read_seal(seal: str) -> Signed | None:
    """Read a seal; None for one that is not of our form."""
    return _read(_SEAL, seal)


def _read(kind: bytes, signed: str) -> Signed | None:
    if not signed.startswith(_VERSION):
        return None
    try:
        head = base64.b64decode(signed[:_HEAD].translate(_STANDARD), validate=True)
    except ValueError:
        return None
    if len(head) != _MAKER.stop:
        return None
    text, maker = signed[_HEAD:], head[_MAKER]
    return Signed(text, maker, head[_SIGNATURE], _covered(kind, maker, text))


def _head(key: bytes, kind: bytes, maker: bytes, text: str, caller: str) -> bytes:
    return base64.b64decode(_VERSION) + _signature(key, _covered(kind, maker, text), caller) + maker


def _covered(kind: bytes, maker: bytes, text: str) -> bytes:
    """Say in few bytes what is signed, beside the caller: a seal in whatever alphabet it comes."""
    if kind == _SEAL:
        text = text.translate(_STANDARD).rstrip("=")
    return kind + maker + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _signature(key: bytes, covered: bytes, caller: str) -> bytes:
    signed = covered + caller.encode("utf-8", "surrogatepass")
    return hmac.digest(key, signed, "sha256")[: _SIGNATURE.stop - _SIGNATURE.start]
