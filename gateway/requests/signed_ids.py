"""Response ids and seals with the name of their maker, signed for the caller that receives them.

A seal is data that only models can read: the signature of a thought, redacted thinking, encrypted reasoning. Every
process that has the key finds the maker in the id or seal that a client sends back, so no table is needed, and nobody
without the key can forge one::

    response id     "resp_" head id       id as the backend wrote it
    seal            head seal             seal as the backend wrote it, empty for what it only keeps

The head is 24 bytes, encoded as 32 characters of base64. A head followed by base64 is valid base64, because Gemini
clients decode signatures and encode them again, in either alphabet, with or without padding. Ids use the alphabet for
URLs::

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
"""The length of an encoded head, in characters."""
_SIGNATURE = slice(3, 18)
_MAKER = slice(18, 24)
_LONGEST_ID = 512
"""The maximum length of a signed id, in characters."""
_ID, _SEAL, _URL = b"i", b"s", b"u"
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Signed:
    """A parsed id or seal, whose signature is not verified yet; *text* is what the backend wrote."""

    text: str
    maker: bytes
    _signature: bytes
    _covered: bytes

    def is_signed(self, key: bytes, caller: str) -> bool:
        """Return whether the signature was made with *key* for *caller*."""
        return hmac.compare_digest(_signature(key, self._covered, caller), self._signature)


def maker_of(key: bytes, url: str) -> bytes:
    """Return the name of the deployment at *url*, from which only an owner of the key can find the deployment."""
    return hmac.digest(key, _URL + url.encode(), "sha256")[: _MAKER.stop - _MAKER.start]


def sign_id(key: bytes, maker: bytes, caller: str, id: str) -> str:
    """Return the response *id* signed for *caller*."""
    return _PREFIX + base64.urlsafe_b64encode(_head(key, _ID, maker, id, caller)).decode() + id


def sign_seal(key: bytes, maker: bytes, caller: str, seal: str) -> str:
    """Return *seal* signed for *caller*."""
    return base64.b64encode(_head(key, _SEAL, maker, seal, caller)).decode() + seal


def read_id(id: str) -> Signed | None:
    """Parse a signed response id; None if it has another form."""
    return _read(_ID, id.removeprefix(_PREFIX)) if id.startswith(_PREFIX) and len(id) <= _LONGEST_ID else None


def read_seal(seal: str) -> Signed | None:
    """Parse a signed seal; None if it has another form."""
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
    """Return the bytes that are signed together with the caller; equal for a seal in either base64 alphabet."""
    if kind == _SEAL:
        text = text.translate(_STANDARD).rstrip("=")
    return kind + maker + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _signature(key: bytes, covered: bytes, caller: str) -> bytes:
    signed = covered + caller.encode("utf-8", "surrogatepass")
    return hmac.digest(key, signed, "sha256")[: _SIGNATURE.stop - _SIGNATURE.start]
