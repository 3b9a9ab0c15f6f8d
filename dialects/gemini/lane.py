"""From a Gemini client to a Gemini model: bodies and frames pass, but for what must change.

What must: ids of calls, which SAP AI Core refuses; fields that Vertex AI does
not know; a turn without a role; a system instruction that is a bare string;
signatures of other vendors' models; levels of thinking where the model counts
in tokens; and the model's name in the answer.
"""

import json
from typing import Any

from dialects.conversation import JSON, NO_USAGE, Family, Usage
from dialects.dialect import Envelope, Rendered
from dialects.faults import Fault
from dialects.foreign import unknown
from dialects.gemini.answering import say_fault
from dialects.gemini.rendering import sign_foreign_calls
from dialects.gemini.wire import (
    BESIDE,
    BUDGETS,
    EFFORTS,
    FIELDS,
    FIELDS_IN_PART,
    PART_FIELDS,
    PARTS,
    TURN_FIELDS,
    TURNS,
    camel,
    camelled,
)
from dialects.jsontext import dumps
from dialects.models import ModelProfile, ThinkingStyle
from dialects.signatures import unpack
from dialects.sse import Frame

_PATH_ONLY = ("model", "stream")
_SYSTEM = ("systemInstruction", "system_instruction")
_SIGNATURES = ("thoughtSignature", "thought_signature")
_CONFIGS = ("generationConfig", "generation_config")
_THINKING = ("thinkingConfig", "thinking_config")
_LEVELS = ("thinkingLevel", "thinking_level")


def forward_request(body: JSON, profile: ModelProfile) -> Rendered:
    """Change of a client's own body only what the backend refuses."""
    changed = {name: value for name, value in body.items() if camel(name) in FIELDS}
    dropped = body.keys() - changed.keys() - set(_PATH_ONLY)
    for name in _SYSTEM:
        if isinstance(changed.get(name), str):
            changed[name] = {"parts": [{"text": changed[name]}]}
    for name in _CONFIGS:
        if isinstance(config := changed.get(name), dict) and profile.thinking is not ThinkingStyle.LEVEL:
            changed[name] = {key: _thinking(key, value, profile, dropped) for key, value in config.items()}
    contents = changed.get("contents")
    contents = [contents] if isinstance(contents, dict) else contents
    if isinstance(contents, list):
        turns = [_content(turn, f"contents[{index}]", profile, dropped) for index, turn in enumerate(contents)]
        if "thinking signature" in dropped and profile.thinking is ThinkingStyle.LEVEL:
            sign_foreign_calls(
                [turn for turn in turns if isinstance(turn, dict) and isinstance(turn.get("parts"), list)]
            )
        changed["contents"] = turns
    return Rendered(changed, tuple(sorted(dropped)))


def forward_response(body: JSON, envelope: Envelope) -> JSON:
    """Change of a backend's own body only the name of the model."""
    return {**body, "modelVersion": envelope.model} if "modelVersion" in body else body


def forward_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:  # noqa: ARG001 - told already
    """Render one frame for the client: byte for byte, unless it names the model."""
    if '"modelVersion"' not in frame.data:
        return frame.encode()
    loaded = json.loads(frame.data)
    if not isinstance(loaded, dict) or loaded.get("modelVersion", envelope.model) == envelope.model:
        return frame.encode()
    return Frame(dumps(forward_response(loaded, envelope)), frame.event).encode()


def forward_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:  # noqa: ARG001 - Google's errors name neither
    """Say a failure in a stream that was passed through."""
    return say_fault(fault)


def _thinking(name: str, value: Any, profile: ModelProfile, dropped: set[str]) -> Any:
    """Say in tokens how hard to think, to a model that knows no levels."""
    if name not in _THINKING or not isinstance(value, dict) or not any(level in value for level in _LEVELS):
        return value
    rest = {key: item for key, item in value.items() if key not in _LEVELS}
    word = next(value[level] for level in _LEVELS if level in value)
    effort = EFFORTS.get(word.upper()) if isinstance(word, str) else None
    if effort is None or profile.thinking is ThinkingStyle.NONE:
        dropped.add("thinkingLevel")
        return rest
    least, most = profile.thinking_budget
    return {"thinkingBudget": min(max(BUDGETS[effort], least), most), **rest}


def _content(content: Any, where: str, profile: ModelProfile, dropped: set[str]) -> Any:
    if not isinstance(content, dict):
        return content
    turn = _only(content, TURN_FIELDS, TURNS, dropped)
    parts = turn.get("parts")
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        return turn
    role = turn.get("role") or "user"
    said = []
    for index, part in enumerate(parts):
        changed = _part(part, dropped)
        if changed or not part:
            said.append(changed)
        elif role != "model" and (odd := sorted(camelled(part).keys() - PART_FIELDS - BESIDE)):
            raise unknown(odd[0], f"{where}.parts[{index}]", profile.name)
    return {**turn, "role": role, "parts": said}


def _part(part: Any, dropped: set[str]) -> Any:
    if not isinstance(part, dict):
        return part
    changed = _only(part, PART_FIELDS, PARTS, dropped)
    for name, inner in changed.items():
        if isinstance(inner, dict) and (known := FIELDS_IN_PART.get(camel(name))):
            changed[name] = _only(inner, known, f"{PARTS}.{camel(name)}", dropped)
            changed[name].pop("id", None)
    for name in _SIGNATURES:
        signature = changed.get(name)
        if isinstance(signature, str) and unpack(signature, Family.GEMINI)[0] is not Family.GEMINI:
            dropped.add("thinking signature")
            del changed[name]
            # Nothing but the signature may have been said.
            changed = {} if changed == {"text": ""} else changed
    return changed


def _only(value: JSON, names: frozenset[str], place: str, dropped: set[str]) -> JSON:
    """Leave out the fields that Vertex AI does not know, and name those that say something."""
    unknown = {name for name in value if camel(name) not in names}
    dropped |= {f"{place}.{camel(name)}" for name in unknown if value[name]}
    return {name: inner for name, inner in value.items() if name not in unknown}
