"""Signatures of one family's model, packed for a client of another.

A client hands thinking blocks back as it got them, but has room for one
vendor's signature only. One of another vendor is wrapped: the result is base64, like
the native ones (Gemini's clients decode and encode it again), and says whose
it is, so that it comes home and goes nowhere else.

Before that it is *sealed*: who made it is written into it. What comes back is
*opened* for the endpoint that is asked, which may not be the one that can read it.
"""

import base64
from collections.abc import Callable
from dataclasses import replace

from dialects.core.conversation import Completion, Conversation, Family, Message, Part, Thinking

Seal = Callable[[str], str]
"""Writes into a signature who made it."""
Open = Callable[[Family, str], str | None]
"""Gives a signature as an endpoint may be sent it, None where it may not; the family is that of the models it is of."""

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


def reopened(text: str, native: Family, open: Open) -> str:
    """Open what stands where a client has the signatures of *native*; one that may not be sent is of another family."""
    family, signature = unpack(text, native)
    if family is not native:
        return text
    opened = open(native, signature)
    if opened is None:
        return pack("", next(other for other in Family if other is not native), native)
    return text if opened == signature else opened


def opened(conversation: Conversation, open: Open) -> Conversation:
    """Open all signatures in a conversation; thinking whose signature may not be sent is of no family."""

    def opened_part(part: Part) -> Part:
        match part:
            case Thinking(_, signature, redacted, Family() as family) if signature or redacted:
                proofs = [open(family, proof) if proof else "" for proof in (signature, redacted)]
                if None in proofs:
                    return replace(part, family=None)
                return replace(part, signature=proofs[0] or "", redacted=proofs[1] or "")
            case _:
                return part

    messages = tuple(
        Message(message.role, tuple(opened_part(part) for part in message.parts)) for message in conversation.messages
    )
    return replace(conversation, messages=messages)


def sealed(completion: Completion, seal: Seal) -> Completion:
    """Seal all signatures in an answer."""

    def sealed_part(part: Part) -> Part:
        match part:
            case Thinking(_, signature, redacted) if signature or redacted:
                return replace(part, signature=signature and seal(signature), redacted=redacted and seal(redacted))
            case _:
                return part

    return replace(completion, parts=tuple(map(sealed_part, completion.parts)))
