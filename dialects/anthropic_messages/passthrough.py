"""Anthropic messages between two ends: bodies and frames pass, but for what must change."""

import json
import re

from dialects.anthropic_messages.limits import fit_request
from dialects.anthropic_messages.response import render_fault
from dialects.anthropic_messages.stream import METRICS, frame
from dialects.anthropic_messages.vocabulary import render_usage
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, NO_USAGE, Usage
from dialects.core.faults import Fault
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, encoded
from dialects.interface import Envelope, Rendered

_BEDROCKS = "amazon-bedrock-"
_TYPE = re.compile(r'\s*\{\s*"type"\s*:\s*"(\w+)"')


def passthrough_request(body: JSON, profile: ModelProfile) -> Rendered:
    """Change of a client's own body only what Bedrock or the model refuses."""
    return fit_request(body, profile)


def passthrough_response(body: JSON, envelope: Envelope) -> JSON:
    """Name the model as the client does, and keep Bedrock's own numbers from it."""
    return {name: value for name, value in body.items() if not name.startswith(_BEDROCKS)} | {"model": envelope.model}


def passthrough_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:
    """Render one frame for the client: SAP AI Core leaves out the line that names the event.

    The last usage is made to repeat the input tokens, which Bedrock reports in the first one only.
    """
    data = frame.data
    if '"message_' in data or METRICS in data:
        data = _changed(data, envelope, usage)
    kind = _kind(data)
    return encoded(data, kind) if kind else b""


def passthrough_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:
    """Render a failure in a stream that was passed through; here it needs no id."""
    del id, envelope
    return frame(render_fault(fault))


def _changed(data: str, envelope: Envelope, usage: Usage) -> str:
    """Rewrite a frame, unless what was looked for only stands in the model's text."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return data
    match message:
        case {"type": "message_start", "message": {**said}}:
            return dumps(message | {"message": said | {"model": envelope.model}})
        case {"type": "message_delta", "usage": {**reported}} if "input_tokens" not in reported and usage.prompt:
            input_usage = {name: count for name, count in render_usage(usage).items() if "input" in name}
            return dumps(message | {"usage": input_usage | reported})
        case {"type": "message_stop"} if METRICS in message:
            return dumps({name: value for name, value in message.items() if name != METRICS})
        case _:
            return data


def _kind(data: str) -> str:
    """Find a frame's type: it stands first, unless somebody sorted the keys."""
    if found := _TYPE.match(data):
        return found[1]
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    return str(message.get("type") or "") if isinstance(message, dict) else ""
