"""Signatures of thinking blocks: packing for clients of another vendor, and signing for the caller.

A client returns thinking blocks unchanged in later requests, but its dialect has a field for one vendor's signatures
only. The signature of another vendor is packed: the result is base64, like native signatures (Gemini's clients decode
and encode them), and contains the vendor, so that only that vendor's models receive it again.

Before that, a signature is *signed*: the deployment that made it is added, and a MAC. In a later request it is
*verified* for the endpoint that will be asked: what was added is removed, unless that endpoint must not receive it.
"""

import base64
from collections.abc import Callable
from dataclasses import replace

from dialects.core.conversation import Completion, Conversation, Family, Message, Part, Thinking

Sign = Callable[[str], str]
"""A function that adds to a signature which deployment made it, and a MAC."""
Verify = Callable[[Family, str], str | None]
"""A function that returns a signature as it is sent to an endpoint, or None if it must not be sent.

Its arguments are the family of the models that made the signature, and the signed signature.
"""

REDACTED = "redacted:"
"""The prefix of a packed signature for redacted thinking. Other signatures are base64, and contain no colon."""

_MAGIC = b"foreign-signature:"
# Its length is a multiple of three bytes, so that the base64 text always begins in the same way.
_HEAD = base64.b64encode(_MAGIC).decode()


def pack(signature: str, family: Family | None, native: Family) -> str:
    """Return a signature as it is sent to a client of the family *native*. Native signatures stay unchanged."""
    if family in (None, native) and not signature.startswith(_HEAD):
        return signature
    owner = (family or native).value
    return base64.b64encode(_MAGIC + f"{owner}:{signature}".encode("utf-8", "surrogatepass")).decode()


def unpack(text: str, native: Family) -> tuple[Family, str]:
    """Undo `pack`. A text that was not packed is assumed to be a native signature."""
    if not text.startswith(_HEAD):
        return native, text
    standard = text[len(_HEAD) :].rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        packed = base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("utf-8", "surrogatepass")
        owner, _, signature = packed.partition(":")
        return Family(owner), signature
    except ValueError:
        return native, text


def verified_text(text: str, native: Family, verify: Verify) -> str:
    """Verify a signature in the field where a client has those of *native*.

    A signature that must not be sent becomes an empty one of another family, which renderers leave out.
    """
    family, signature = unpack(text, native)
    if family is not native:
        return text
    found = verify(native, signature)
    if found is None:
        return pack("", next(other for other in Family if other is not native), native)
    return text if found == signature else found


def verified(conversation: Conversation, verify: Verify) -> Conversation:
    """Verify all signatures in a conversation. A thinking block with one that must not be sent loses its family."""

    def verified_part(part: Part) -> Part:
        match part:
            case Thinking(_, signature, redacted, Family() as family) if signature or redacted:
                proofs = [verify(family, proof) if proof else "" for proof in (signature, redacted)]
                if None in proofs:
                    return replace(part, family=None)
                return replace(part, signature=proofs[0] or "", redacted=proofs[1] or "")
            case _:
                return part

    messages = tuple(
        Message(message.role, tuple(verified_part(part) for part in message.parts)) for message in conversation.messages
    )
    return replace(conversation, messages=messages)


def signed(completion: Completion, sign: Sign) -> Completion:
    """Sign all signatures in a response."""

    def signed_part(part: Part) -> Part:
        match part:
            case Thinking(_, signature, redacted) if signature or redacted:
                return replace(part, signature=signature and sign(signature), redacted=redacted and sign(redacted))
            case _:
                return part

    return replace(completion, parts=tuple(map(signed_part, completion.parts)))
