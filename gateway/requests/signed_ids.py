"""Response ids and signatures of thoughts with the name of their maker, signed for the caller that receives them.

A signature of a thought is data that only models can read, such as redacted thinking and encrypted reasoning. Every
process that has the key finds the maker in the id or signature that a client sends back, so no table is needed, and
nobody without the key can forge one::

    response id     "resp_" head id       id as the backend wrote it
    signature       head signature        signature as the backend wrote it, empty for what it only keeps

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
_MAC = slice(3, 18)
_MAKER = slice(18, 24)
_LONGEST_ID = 512
"""The maximum length of a signed id, in characters."""
_ID, _THOUGHT, _URL = b"i", b"s", b"u"
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Signed:
    """A parsed id or signature, whose MAC is not verified yet; *text* is what the backend wrote."""

    text: str
    maker: bytes
    _mac: bytes
    _covered: bytes

    def is_signed(self, key: bytes, caller: str) -> bool:
        """Return whether the MAC was made with *key* for *caller*."""
        return hmac.compare_digest(_mac(key, self._covered, caller), self._mac)


def maker_of(key: bytes, url: str) -> bytes:
    """Return the name of the deployment at *url*, from which only an owner of the key can find the deployment."""
    return hmac.digest(key, _URL + url.encode(), "sha256")[: _MAKER.stop - _MAKER.start]


def sign_id(key: bytes, maker: bytes, caller: str, id: str) -> str:
    """Return the response *id* signed for *caller*."""
    return _PREFIX + base64.urlsafe_b64encode(_head(key, _ID, maker, id, caller)).decode() + id


def sign_thought(key: bytes, maker: bytes, caller: str, signature: str) -> str:
    """Return the *signature* of a thought signed for *caller*."""
    return base64.b64encode(_head(key, _THOUGHT, maker, signature, caller)).decode() + signature


def read_id(id: str) -> Signed | None:
    """Parse a signed response id; None if it has another form."""
    return _read(_ID, id.removeprefix(_PREFIX)) if id.startswith(_PREFIX) and len(id) <= _LONGEST_ID else None


def read_thought(signed: str) -> Signed | None:
    """Parse the signed signature of a thought; None if it has another form."""
    return _read(_THOUGHT, signed)


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
    return Signed(text, maker, head[_MAC], _covered(kind, maker, text))


def _head(key: bytes, kind: bytes, maker: bytes, text: str, caller: str) -> bytes:
    return base64.b64decode(_VERSION) + _mac(key, _covered(kind, maker, text), caller) + maker


def _covered(kind: bytes, maker: bytes, text: str) -> bytes:
    """Return the bytes that are signed together with the caller; equal for a signature in either base64 alphabet."""
    if kind == _THOUGHT:
        text = text.translate(_STANDARD).rstrip("=")
    return kind + maker + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _mac(key: bytes, covered: bytes, caller: str) -> bytes:
    signed = covered + caller.encode("utf-8", "surrogatepass")
    return hmac.digest(key, signed, "sha256")[: _MAC.stop - _MAC.start]
