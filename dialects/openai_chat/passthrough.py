"""Passthrough for clients and backends that both speak OpenAI chat completions: only what must change is changed."""

from collections import Counter
from typing import Any

from dialects.adapt.signatures import Verify
from dialects.adapt.tool_choice import cannot_call, nothing_to_call
from dialects.adapt.tool_names import lost_with
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON, NO_USAGE, Conversation, Opaque, Usage
from dialects.core.faults import Fault, invalid
from dialects.framing.json_text import dumps, dumps_or_nothing
from dialects.framing.sse import Frame, encoded
from dialects.interface import Envelope, Rendered
from dialects.openai_chat.limits import keep_known_fields
from dialects.openai_chat.request_parser import parse_request
from dialects.openai_chat.request_renderer import fields_of_messages, messages_for
from dialects.openai_chat.vocabulary import DIALECT, accepted_call_id
from dialects.openai_common.limits import drop_refused_sampling, fit_effort, fit_length
from dialects.openai_common.passthrough import public_model
from dialects.openai_common.response import render_fault

_OF_MESSAGE = frozenset({"role", "content", "name", "refusal", "audio", "tool_calls", "tool_call_id", "function_call"})
_OF_PART = frozenset({"type", "text", "image_url", "input_audio", "file", "refusal"})
_OF_CALL = frozenset({"id", "type", "function"})
_OF_TOOL = frozenset({"type", "function"})
_LENGTHS = ("max_completion_tokens", "max_tokens")


def verify_signatures(body: JSON, verify: Verify) -> JSON:
    """Return a client's body unchanged, because the backends of this dialect sign nothing."""
    del verify
    return body


def passthrough_request(body: JSON, profile: ModelProfile, conversation: Conversation | None = None) -> Rendered:
    """Change only what the backend refuses in a client's body.

    *conversation* is the parsed body, if it has been parsed.

    A streaming backend is always asked for the usage. `passthrough_frame` keeps it from clients that did not ask for
    it.
    """
    dropped: set[str] = set()
    out = dict(body)
    out.pop("model", None)
    if profile.model_in_body:
        out["model"] = profile.name
    out["messages"] = _messages(body, profile, conversation, dropped)
    _length(out, profile, dropped)
    _tools(out, profile.name, dropped)
    if profile.vendor is Vendor.OPENAI:
        fit_effort(out, "reasoning_effort", profile, dropped)
    if out.get("stream") is True:
        asked = out.get("stream_options")
        out["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}
    else:
        out.pop("stream_options", None)
    drop_refused_sampling(out, profile, dropped)
    out = keep_known_fields(out, profile, dropped)
    return Rendered(out, tuple(sorted(dropped)))


def passthrough_response(body: JSON, envelope: Envelope) -> JSON:
    """Set the model in a backend's body to the name the client used."""
    return {**body, "model": envelope.model}


def passthrough_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:  # noqa: ARG001 - the stream has it
    """Render one frame of a backend's stream for the client; return no bytes for a frame that is left out.

    Left out are Azure's first chunk, which is about the prompt and has neither id nor choices, and the chunk with the
    usage if the client did not ask for it.
    """
    data = frame.data
    if data.strip() == "[DONE]":
        return frame.encode()
    nothing_said = "[]" in data and ('"choices":[]' in data or '"choices": []' in data)
    renamed = None if nothing_said else public_model(data, envelope.model)
    if renamed is not None:
        return encoded(renamed, frame.event)
    return _rewritten(frame, envelope)


def passthrough_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:
    """Render a failure in a stream that was passed through. It repeats neither the id nor the model of the stream."""
    del id, envelope
    return encoded(dumps(render_fault(fault)))


def _rewritten(frame: Frame, envelope: Envelope) -> bytes:
    try:
        message = frame.loads()
    except ValueError:
        message = None
    if not isinstance(message, dict):
        return b""
    if message.get("choices") == []:
        usage = message.get("usage")
        if usage and not envelope.conversation.stream_usage:
            return b""
        if not usage and not message.get("id"):
            return b""
        if (renamed := public_model(frame.data, envelope.model)) is not None:
            return encoded(renamed, frame.event)
    return encoded(dumps({**message, "model": envelope.model}), frame.event)


def _messages(body: JSON, profile: ModelProfile, conversation: Conversation | None, dropped: set[str]) -> list[Any]:
    """Pass the messages on. They are rendered anew for vendors stricter than OpenAI, and if a call has no result."""
    if profile.vendor is not Vendor.OPENAI or not _are_answered(body.get("messages")):
        conversation = conversation or parse_request(body)
        dropped |= fields_of_messages(conversation)
        return messages_for(conversation, profile, dropped)
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise invalid("messages must be a list of objects", "messages")
    return [_message(message, profile, dropped) for message in messages]


def _are_answered(messages: Any) -> bool:
    """Return whether each call is directly followed by one result, as OpenAI requires; True for malformed messages."""
    if not isinstance(messages, list):
        return True
    left = Counter[object]()
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role == "tool":
            call = _comparable(message.get("tool_call_id"))
            if not left[call]:
                return False
            left[call] -= 1
            continue
        if left.total():
            return False
        calls = message.get("tool_calls") if role == "assistant" else None
        ids = (call.get("id") for call in calls if isinstance(call, dict)) if isinstance(calls, list) else ()
        left = Counter(map(_comparable, ids))
    return not left.total()


def _comparable(id: Any) -> object:
    """Return a hashable value for an id, which may be any JSON in a malformed request."""
    return id if id is None or isinstance(id, str) else dumps_or_nothing(id)


def _message(message: JSON, profile: ModelProfile, dropped: set[str]) -> JSON:
    """Return a message without the fields that OpenAI does not know; return it unchanged if it has none."""
    message = _only(message, _OF_MESSAGE, dropped)
    content, calls, answered = message.get("content"), message.get("tool_calls"), message.get("tool_call_id")
    if isinstance(content, list):
        parts = [_only(part, _OF_PART, dropped) if isinstance(part, dict) else part for part in content]
        message = {**message, "content": parts}
    if isinstance(calls, list):
        kept = [_call(call, profile, dropped) if isinstance(call, dict) else call for call in calls]
        message = {**message, "tool_calls": kept}
    if isinstance(answered, str):
        message = {**message, "tool_call_id": accepted_call_id(answered, profile)}
    return message


def _call(call: JSON, profile: ModelProfile, dropped: set[str]) -> JSON:
    match call:
        case {"custom": {"name": str(name)} as custom, **rest}:
            # Custom tools are declared to models as functions, so their calls are calls of functions.
            arguments = dumps({"input": str(custom.get("input") or "")})
            call = {**rest, "type": "function", "function": {"name": name, "arguments": arguments}}
        case _:
            pass
    call = _only(call, _OF_CALL, dropped)
    return {**call, "id": accepted_call_id(call["id"], profile)} if isinstance(call.get("id"), str) else call


def _only(value: JSON, names: frozenset[str], dropped: set[str]) -> JSON:
    if value.keys() <= names:
        return value
    dropped |= {name for name in value.keys() - names if value[name]}
    return {name: field for name, field in value.items() if name in names}


def _length(body: JSON, profile: ModelProfile, dropped: set[str]) -> None:
    given = [body.pop(name) for name in _LENGTHS if name in body]
    length = next((value for value in given if value is not None), None)
    if length is None:
        return
    if isinstance(length, bool) or not isinstance(length, int):
        raise invalid("max_tokens must be a whole number", "max_tokens")
    body[_LENGTHS[0] if profile.max_completion_tokens else _LENGTHS[1]] = fit_length(length, profile, dropped)


def _is_other(tool: Any) -> bool:
    """Return whether a tool is not a function."""
    return isinstance(tool, dict) and tool.get("type", "function") != "function"


def _choice(body: JSON, lost: list[Opaque], model: str) -> None:
    """Raise `FaultError` if the tool choice demands a tool that had to be left out."""
    match body.get("tool_choice"):
        case "required" if not body["tools"]:
            raise nothing_to_call(lost, model)
        case {"custom": {"name": str(name)}}:
            raise cannot_call(name, model, is_declared=False)
        case {"type": str(kind)} if kind not in ("function", "custom", "allowed_tools"):
            raise cannot_call(kind, model, is_declared=True)
        case _:
            pass


def _tools(body: JSON, model: str, dropped: set[str]) -> None:
    if isinstance(body.get("tools"), list) and body["tools"]:
        tools = body["tools"]
        others = [tool for tool in tools if _is_other(tool)]
        dropped |= {name for tool in others for name in lost_with(Opaque(DIALECT, tool))}
        kept = [tool for tool in tools if not _is_other(tool)]
        body["tools"] = [_only(tool, _OF_TOOL, dropped) if isinstance(tool, dict) else tool for tool in kept]
        _choice(body, [Opaque(DIALECT, tool) for tool in others], model)
    if body.get("tools"):
        return
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)
    if not body.get("functions"):
        body.pop("functions", None)
        body.pop("function_call", None)
