"""Signatures of one family's model, packed for a client of another.

A client hands thinking blocks back as it got them, but has room for one
vendor's signature only. One of another vendor is wrapped: the result is base64, like
the native ones (Gemini's clients decode and encode it again), and says whose
it is, so that it comes home and goes nowhere else.
"""

import base64

from dialects.core.conversation import Family

REDACTED = "redacted:"
"""What begins a signature that stands for hidden thoughts, once wrapped; no other, being base64, holds a colon."""

_MAGIC = b"foreign-signature:"
# A multiple of three bytes, so that the base64 text begins the same way whatever follows.
_HEAD = base64.b64encode(_MAGIC).decode()


def pack(signature: str, family: Family | None, native: Family) -> str:
    """Write a signature for a client whose own family is *native*; its own stay verbatim."""
    if family in (None, native) and not signature.startswith(_HEAD):
        return signature
    owner = (family or native).value
    return base64.b64encode(_MAGIC + f"{owner}:{signature}".encode("utf-8", "surrogatepass")).decode()


def unpack(text: str, native: Family) -> tuple[Family, str]:
    """Undo `pack`; what was never packed is taken for the client's own."""
    if not text.startswith(_HEAD):
        return native, text
    standard = text[len(_HEAD) :].rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        packed = base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("utf-8", "surrogatepass")
        owner, _, signature = packed.partition(":")
        return Family(owner), signature
    except ValueError:
        return native, text
