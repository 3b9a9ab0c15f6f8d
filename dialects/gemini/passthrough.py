"""Passthrough for clients and backends that both speak Gemini: only what must change is changed.

These things change:
* ids of calls, which SAP AI Core refuses
* fields that Vertex AI does not know
* settings that the model does not accept
* functions that are declared twice
* turns without a role
* a system instruction that is a bare string
* signatures of other vendors' models
* media types under names that Google does not know
* the name of the model in the response
"""

from collections.abc import Callable
from typing import Any

from dialects.adapt.signatures import Verify, unpack, verified_text
from dialects.adapt.tool_names import named_once
from dialects.adapt.unsupported import unknown
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import JSON, NO_USAGE, Conversation, Family, Usage
from dialects.core.faults import Fault
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame
from dialects.gemini.limits import FIELDS, fit_generation_config, fit_thinking_config, keep_known_fields
from dialects.gemini.request_renderer import sign_calls_of_others
from dialects.gemini.stream import fault_frame
from dialects.gemini.vocabulary import BESIDE, camelled, known_type
from dialects.interface import AS_MADE, Envelope, Rendered

_PATH_ONLY = ("model", "stream")
_SYSTEM = ("systemInstruction", "system_instruction")
_CALLS = ("functionCall", "function_call", "functionResponse", "function_response")
_BLOBS = ("inlineData", "inline_data")
_TYPES = ("mimeType", "mime_type")
_SIGNATURES = ("thoughtSignature", "thought_signature")
_DECLARATIONS = ("functionDeclarations", "function_declarations")
_CONFIGS = ("generationConfig", "generation_config")


def verify_signatures(body: JSON, verify: Verify) -> JSON:
    """Verify the signatures in a client's body. One that may not be sent is left out, and reported later."""
    if "contents" not in body:
        return body

    def change(signature: str) -> str:
        return verified_text(signature, Family.GEMINI, verify)

    return {**body, "contents": _each(body["contents"], lambda content: _with_signatures(content, change))}


def passthrough_request(
    body: JSON,
    profile: ModelProfile,
    conversation: Conversation | None = None,  # noqa: ARG001 - the body says it all
) -> Rendered:
    """Change only what the backend refuses in a client's body."""
    dropped: set[str] = set()
    changed = keep_known_fields({name: value for name, value in body.items() if name not in _PATH_ONLY}, dropped)
    for name in _SYSTEM:
        if isinstance(changed.get(name), str):
            changed[name] = {"parts": [{"text": changed[name]}]}
    for name in _CONFIGS:
        if isinstance(config := changed.get(name), dict):
            changed[name] = _settings(config, profile, dropped)
    if isinstance(tools := _listed(changed.get("tools")), list):
        changed["tools"] = _declared_once(tools, dropped)
    if isinstance(turns := _listed(changed.get("contents")), list):
        asked = _listed(body["contents"])
        said = [_turn(turn, asked[index], index, profile, dropped) for index, turn in enumerate(turns)]
        if "thinking signature" in dropped and profile.thinking is ThinkingStyle.LEVEL:
            sign_calls_of_others(
                [turn for turn in said if isinstance(turn, dict) and isinstance(turn.get("parts"), list)]
            )
        changed["contents"] = said
    return Rendered(changed, tuple(sorted(dropped)))


def passthrough_response(body: JSON, envelope: Envelope) -> JSON:
    """Set the model to the name the client used, and sign Gemini's signatures."""
    named = _named(body, envelope)
    if envelope.origin is AS_MADE or not isinstance(candidates := named.get("candidates"), list):
        return named
    return {**named, "candidates": [_signed(candidate, envelope.origin.signature) for candidate in candidates]}


def passthrough_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:  # noqa: ARG001 - the stream has it
    """Render one frame for the client. It passes byte for byte unless it names the model or holds a signature."""
    is_signed = '"thoughtSignature"' in frame.data and envelope.origin is not AS_MADE
    if not is_signed and '"modelVersion"' not in frame.data:
        return frame.encode()
    loaded = frame.loads()
    if not isinstance(loaded, dict):
        return frame.encode()
    if not is_signed and loaded.get("modelVersion", envelope.model) == envelope.model:
        return frame.encode()
    changed = passthrough_response(loaded, envelope) if is_signed else _named(loaded, envelope)
    return Frame(dumps(changed), frame.event).encode()


def passthrough_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:  # noqa: ARG001 - Google's errors name neither
    """Render a failure in a stream that was passed through."""
    return fault_frame(fault)


def _settings(config: JSON, profile: ModelProfile, dropped: set[str]) -> JSON:
    """Fit the settings to the model. If none has to change, they keep their spelling."""
    spelled = camelled(config)
    fit, changed = fit_generation_config(spelled, profile)
    dropped |= {f"generationConfig.{name}" for name in changed}
    if isinstance(thinking := spelled.get("thinkingConfig"), dict):
        fit["thinkingConfig"], changed = fit_thinking_config(camelled(thinking), profile)
        dropped |= {f"generationConfig.thinkingConfig.{name}" for name in changed}
        if fit["thinkingConfig"] == camelled(thinking):
            fit["thinkingConfig"] = thinking
    return config if fit == spelled else fit


def _named(body: JSON, envelope: Envelope) -> JSON:
    return {**body, "modelVersion": envelope.model} if "modelVersion" in body else body


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Apply *change* to each item of a list, or to one object that stands for a list of one."""
    return [change(each) for each in value] if isinstance(value, list) else change(value)


def _signed(candidate: Any, sign: Callable[[str], str]) -> Any:
    if not isinstance(candidate, dict) or "content" not in candidate:
        return candidate
    return {**candidate, "content": _with_signatures(candidate["content"], sign)}


def _with_signatures(content: Any, change: Callable[[str], str]) -> Any:
    """Apply *change* to the signatures in the parts of a content."""

    def changed(part: Any) -> Any:
        held = [name for name in _SIGNATURES if isinstance(part, dict) and isinstance(part.get(name), str)]
        return {**part, **{name: change(part[name]) for name in held if part[name]}} if held else part

    if not isinstance(content, dict) or "parts" not in content:
        return content
    return {**content, "parts": _each(content["parts"], changed)}


def _declared_once(tools: list[Any], dropped: set[str]) -> list[Any]:
    """Declare each function only once, in whichever tools it is repeated."""
    every = [function for tool in tools for function in _functions(tool)[1]]
    once, differing = named_once(every)
    if len(once) == len(every):
        return tools
    dropped |= differing
    left = {function.get("name"): function for function in once}
    said = []
    for tool in tools:
        name, functions = _functions(tool)
        names = [function.get("name") for function in functions]
        declared = {name: [left.pop(each) for each in names if each in left]} if functions else {}
        changed = {**tool, **declared} if declared else tool
        if changed != {name: []}:
            said.append(changed)
    return said


def _functions(tool: Any) -> tuple[str, list[JSON]]:
    """Return the field in which a tool declares functions, and the functions; nothing if they are malformed."""
    for name in _DECLARATIONS:
        declared = tool.get(name) if isinstance(tool, dict) else None
        if isinstance(declared, list) and all(isinstance(each, dict) for each in declared):
            return name, declared
    return "", []


def _listed(value: Any) -> Any:
    """Return a list of one for an object, which may stand for it; return anything else unchanged."""
    return [value] if isinstance(value, dict) else value


def _turn(turn: Any, asked: Any, index: int, profile: ModelProfile, dropped: set[str]) -> Any:
    """Change only what is refused in a turn. *asked* is the turn as the client sent it."""
    parts = _listed(turn.get("parts")) if isinstance(turn, dict) else None
    if not isinstance(parts, list):
        return turn
    role = turn.get("role") or "user"
    said = []
    for place, part in enumerate(parts):
        whole = _listed(asked["parts"])[place]
        changed = _part(part, dropped)
        if changed or not whole:
            said.append(changed)
        elif role != "model" and (odd := sorted(camelled(whole).keys() - FIELDS["contents.parts"] - BESIDE)):
            raise unknown(odd[0], f"contents[{index}].parts[{place}]", profile.name)
    return {**turn, "role": role, "parts": said}


def _part(part: Any, dropped: set[str]) -> Any:
    if not isinstance(part, dict):
        return part
    changed = dict(part)
    for name in _CALLS:
        if isinstance(call := changed.get(name), dict) and "id" in call:
            changed[name] = {key: value for key, value in call.items() if key != "id"}
    for name in _BLOBS:
        if isinstance(blob := changed.get(name), dict):
            types = {key: known_type(blob[key]) for key in _TYPES if isinstance(blob.get(key), str)}
            changed[name] = blob | types
    for name in _SIGNATURES:
        signature = changed.get(name)
        if isinstance(signature, str) and unpack(signature, Family.GEMINI)[0] is not Family.GEMINI:
            dropped.add("thinking signature")
            del changed[name]
            # The part is empty if it held nothing but the signature.
            changed = {} if changed == {"text": ""} else changed
    return changed
