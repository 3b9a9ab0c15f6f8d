"""Passthrough for clients and backends that both speak Anthropic messages: only what must change is changed."""

import re
from collections.abc import Callable
from typing import Any

from dialects.adapt.signatures import Verify, verified_text
from dialects.anthropic_messages.limits import fit_request
from dialects.anthropic_messages.response import render_fault
from dialects.anthropic_messages.stream import METRICS, frame
from dialects.anthropic_messages.vocabulary import render_usage
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, NO_USAGE, Conversation, Family, Usage
from dialects.core.faults import Fault
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, encoded
from dialects.interface import AS_MADE, Envelope, Rendered

_BEDROCKS = "amazon-bedrock-"
_TYPE = re.compile(r'\s*\{\s*"type"\s*:\s*"(\w+)"')
_PROOFS = {"thinking": "signature", "redacted_thinking": "data", "signature_delta": "signature"}
"""The fields in which blocks and deltas hold the signature that Claude put on its thinking."""


def verify_signatures(body: JSON, verify: Verify) -> JSON:
    """Verify the signatures in a client's body.

    Thinking with a signature that may not be sent is left out, and reported later.
    """
    if not isinstance(body.get("messages"), list):
        return body

    def change(proof: str) -> str:
        return verified_text(proof, Family.CLAUDE, verify)

    return {**body, "messages": [_with_proofs(message, change) for message in body["messages"]]}


def passthrough_request(
    body: JSON,
    profile: ModelProfile,
    conversation: Conversation | None = None,  # noqa: ARG001 - the body says it all
) -> Rendered:
    """Change only what Bedrock or the model refuses in a client's body."""
    return fit_request(body, profile)


def passthrough_response(body: JSON, envelope: Envelope) -> JSON:
    """Set the model to the name the client used, remove Bedrock's metrics, and sign Claude's signatures."""
    named = {name: value for name, value in body.items() if not name.startswith(_BEDROCKS)} | {"model": envelope.model}
    signed: JSON = _with_proofs(named, envelope.origin.signature)
    return signed


def passthrough_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:
    """Render one frame for the client, with the ``event:`` line that SAP AI Core leaves out.

    The last usage repeats the input tokens, which Bedrock reports only in the first one.
    """
    data = frame.data
    kind = _kind(frame)
    if kind in ("content_block_delta", "content_block_start"):
        if ('"signature' in data or '"redacted_thinking"' in data) and envelope.origin is not AS_MADE:
            data = _signed(frame, envelope.origin.signature)
    elif '"message_' in data or METRICS in data:
        data = _changed(frame, envelope, usage)
    return encoded(data, kind) if kind else b""


def passthrough_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:
    """Render a failure in a stream that was passed through. This dialect needs no id for it."""
    del id, envelope
    return frame(render_fault(fault))


def _changed(frame: Frame, envelope: Envelope, usage: Usage) -> str:
    """Rewrite a frame; return it unchanged if the strings searched for only occur in the model's text."""
    message = _loaded(frame)
    if message is None:
        return frame.data
    match message:
        case {"type": "message_start", "message": {**said}}:
            return dumps(message | {"message": said | {"model": envelope.model}})
        case {"type": "message_delta", "usage": {**reported}} if "input_tokens" not in reported and usage.prompt:
            input_usage = {name: count for name, count in render_usage(usage).items() if "input" in name}
            return dumps(message | {"usage": input_usage | reported})
        case {"type": "message_stop"} if METRICS in message:
            return dumps({name: value for name, value in message.items() if name != METRICS})
        case _:
            return frame.data


def _signed(frame: Frame, sign: Callable[[str], str]) -> str:
    """Sign the signature in a frame; return it unchanged if the strings searched for only occur in the model's text."""
    message = _loaded(frame)
    if message is None:
        return frame.data
    changed = {name: _with_proof(message[name], sign) for name in ("content_block", "delta") if name in message}
    return frame.data if changed.items() <= message.items() else dumps(message | changed)


def _with_proofs(holder: Any, change: Callable[[str], str]) -> Any:
    """Change the signatures of the thinking blocks in a content."""
    blocks = holder.get("content") if isinstance(holder, dict) else None
    return (
        {**holder, "content": [_with_proof(block, change) for block in blocks]} if isinstance(blocks, list) else holder
    )


def _with_proof(block: Any, change: Callable[[str], str]) -> Any:
    kind = block.get("type") if isinstance(block, dict) else None
    name = _PROOFS.get(kind, "") if isinstance(kind, str) else ""
    proof = block.get(name) if name else None
    return {**block, name: change(proof)} if isinstance(proof, str) and proof else block


def _kind(frame: Frame) -> str:
    """Return the type of a frame. It is usually the first key; if it is not, the whole frame is parsed."""
    if found := _TYPE.match(frame.data):
        return found[1]
    message = _loaded(frame)
    return str(message.get("type") or "") if message is not None else ""


def _loaded(frame: Frame) -> JSON | None:
    """Parse a frame; None if it is not a JSON object."""
    try:
        message = frame.loads()
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
