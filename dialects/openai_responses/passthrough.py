"""OpenAI Responses between two ends: bodies and frames pass, but for what must change.

SAP AI Core takes functions only, knows the model by its own name, and leaves
out the ``event:`` lines OpenAI itself sends.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dialects.adapt.signatures import Open, reopened, unpack
from dialects.adapt.tool_names import is_function, lost_with
from dialects.adapt.turn_order import NO_RESULT
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import JSON, NO_USAGE, Family, Opaque, Usage
from dialects.core.faults import Fault, invalid
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, encoded
from dialects.interface import AS_MADE, Envelope, Origin, Rendered
from dialects.openai_common.limits import drop_refused_sampling, fit_effort
from dialects.openai_common.passthrough import public_model
from dialects.openai_common.vocabulary import RESPONSES
from dialects.openai_responses.request_renderer import length_for
from dialects.openai_responses.response import fault_of
from dialects.openai_responses.vocabulary import MINTED_ID, accepted_call_id, flat, namespaces_of, render_error

# https://learn.microsoft.com/azure/ai-foundry/openai/reference-preview-latest#create-response
_TAKEN = frozenset(
    {
        "background",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "reasoning",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
_INCLUDED = frozenset({"reasoning.encrypted_content", "message.input_image.image_url", "message.output_text.logprobs"})
_RESPONSE_IDS = ("id", "previous_response_id")
_RESULT_OF = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_CALL_OF = {result: call for call, result in _RESULT_OF.items()}
_SAYS_NOTHING: tuple[object, ...] = (None, False, [], {})
# Neither can stand unescaped in a string; a nested `type` never begins so.
_KIND = re.compile(r'"type"\s*:\s*"(response\.[a-z_.]+)"')
# Events that hold the id of a response, or an item: a call under its name, or what may be sealed.
_HOLDERS = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.output_item.added",
        "response.output_item.done",
    }
)


def open_seals(body: JSON, open: Open) -> JSON:
    """Open the seals of reasoning in a client's own body; one that may not be sent is left out and named later.

    Where reasoning has to go, calls and messages go on without their ids: under these OpenAI looks for it.
    """
    if not isinstance(body.get("input"), list):
        return body
    items = [_opened(item, open) for item in body["input"]]
    if any(_is_of_others(item) for item in items):
        items = [_without_id(item) for item in items]
    return {**body, "input": items}


def passthrough_request(body: JSON, profile: ModelProfile) -> Rendered:
    """Change of a client's own body only what the backend refuses."""
    dropped = {name for name, value in body.items() if name not in _TAKEN and value not in _SAYS_NOTHING}
    out = {name: value for name, value in body.items() if name in _TAKEN}
    out["model"] = profile.name
    if isinstance(out.get("input"), list):
        items = (_item(_shorter(item), dropped) for item in out["input"])
        said = [item for item in items if item is not None]
        out["input"] = said if out.get("previous_response_id") else list(_answered(said))
    elif out.get("input") is not None and not isinstance(out["input"], str):
        raise invalid("input must be a string or a list of items", "input")
    _tools(out, dropped)
    _length(out, profile, dropped)
    _included(out, dropped)
    if profile.thinking is not ThinkingStyle.EFFORT and out.pop("reasoning", None):
        dropped.add("reasoning")
    if isinstance(out.get("reasoning"), dict):
        out["reasoning"] = dict(out["reasoning"])
        fit_effort(out["reasoning"], "effort", profile, dropped)
    drop_refused_sampling(out, profile, dropped)
    return Rendered(out, tuple(sorted(dropped)))


def _answered(items: list[Any]) -> Iterator[Any]:
    """Give each call a result, and turn results of no call into the user's words: OpenAI insists on both.

    Items that are only referred to may be either: then all stay as they are.
    """
    seen = [_call_in(item) for item in items]
    if any(isinstance(item, dict) and item.get("type") == "item_reference" for item in items):
        yield from items
        return
    last = {pair: place for place, pair in enumerate(seen) if pair is not None}
    called = set[tuple[str, str]]()
    for place, (item, pair) in enumerate(zip(items, seen, strict=True)):
        if pair is None:
            yield item
            continue
        kind, call_id = pair
        if kind in _CALL_OF:
            yield item if (_CALL_OF[kind], call_id) in called else {"role": "user", "content": item.get("output") or ""}
            continue
        called.add(pair)
        yield item
        if last.get((_RESULT_OF[kind], call_id), -1) < place:
            yield {"type": _RESULT_OF[kind], "call_id": call_id, "output": NO_RESULT}


def _call_in(item: Any) -> tuple[str, str] | None:
    """Read the kind and the id of a call, or of its result; None for any other item."""
    match item:
        case {"type": str(kind), "call_id": str(call_id)} if kind in _RESULT_OF or kind in _CALL_OF:
            return kind, call_id
        case _:
            return None


def passthrough_response(body: JSON, envelope: Envelope) -> JSON:
    """Change of a backend's own body only names, of the model and of functions in namespaces, ids and seals."""
    renamed = _renamed({**body, "model": envelope.model}, namespaces_of(envelope.conversation))
    return _sealed(renamed, envelope.origin)


def passthrough_stored(raw: bytes, origin: Origin = AS_MADE) -> bytes:
    """Pass a response that its deployment has kept, with ids and seals as the client knows them.

    Why one failed is redacted.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(body, dict):
        return raw
    if body.get("error"):
        body["error"] = render_error(fault_of(body["error"]))
    elif origin is AS_MADE:
        return raw
    return dumps(_sealed(body, origin)).encode()


def passthrough_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:  # noqa: ARG001 - the stream has it
    """Render one frame of a backend's stream for the client; empty to swallow it.

    Swallowed is a failure without a reason: the reason follows in a frame of its own.
    """
    found = _KIND.search(frame.data)
    kind = found[1] if found else "error"
    if kind == "response.failed" and _reasonless(frame.data):
        return b""
    renamed = None
    if kind not in _HOLDERS or (
        envelope.origin is AS_MADE and ('"function_call"' not in frame.data or not namespaces_of(envelope.conversation))
    ):
        renamed = public_model(frame.data, envelope.model)
    return encoded(_rewritten(frame, envelope) if renamed is None else renamed, kind)


def passthrough_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:
    """Render a failure in a stream that was passed through: clients refuse another id than the stream began with."""
    response = {
        "id": envelope.origin.id(id) if id else f"resp_{envelope.token}",
        "object": "response",
        "created_at": envelope.created,
        "status": "failed",
        "error": render_error(fault),
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": envelope.model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    kind = "response.failed"
    return encoded(dumps({"type": kind, "sequence_number": 0, "response": response}), kind)


def _reasonless(data: str) -> bool:
    message = json.loads(data)
    return isinstance(message.get("response"), dict) and not message["response"].get("error")


def _rewritten(frame: Frame, envelope: Envelope) -> str:
    message = json.loads(frame.data)
    spaces = namespaces_of(envelope.conversation)
    if isinstance(response := message.get("response"), dict):
        message["response"] = _sealed(_renamed({**response, "model": envelope.model}, spaces), envelope.origin)
    if isinstance(item := message.get("item"), dict):
        message["item"] = _sealed_item(_renamed_item(item, spaces), envelope.origin)
    return dumps(message)


def _sealed(response: JSON, origin: Origin) -> JSON:
    """Write into the ids and the reasoning of a response, or of a list of items, who made it."""
    ids = {name: origin.id(response[name]) for name in _RESPONSE_IDS if isinstance(response.get(name), str)}
    lists = [name for name in ("output", "data") if isinstance(response.get(name), list)]
    items = {name: [_sealed_item(item, origin) for item in response[name]] for name in lists}
    return {**response, **ids, **items}


def _sealed_item(item: Any, origin: Origin) -> Any:
    """Seal reasoning: also what is only kept under its id, so that it comes back to who keeps it."""
    match item:
        case {"type": "reasoning", **rest}:
            content = rest.get("encrypted_content")
            seal = origin.seal(content if isinstance(content, str) else "")
            return {**item, "encrypted_content": seal} if seal else item
        case _:
            return item


def _opened(item: Any, open: Open) -> Any:
    match item:
        case {"type": "reasoning", **rest}:
            seal = rest.get("encrypted_content")
            content = reopened(seal if isinstance(seal, str) else "", Family.OPENAI, open)
            return {**item, "encrypted_content": content} if content else _without(item, "encrypted_content")
        case _:
            return item


def _is_of_others(item: Any) -> bool:
    """Whether an item is reasoning of another family's model, or such as must not be sent."""
    match item:
        case {"type": "reasoning", "encrypted_content": str(packed)}:
            return unpack(packed, Family.OPENAI) != (Family.OPENAI, packed)
        case _:
            return False


def _without_id(item: Any) -> Any:
    match item:
        case {"type": "function_call" | "custom_tool_call"} | {"role": "assistant"}:
            return _without(item, "id")
        case _:
            return item


def _without(item: JSON, name: str) -> JSON:
    return {key: value for key, value in item.items() if key != name}


def _renamed(response: JSON, spaces: Mapping[str, tuple[str, str]]) -> JSON:
    if spaces and isinstance(response.get("output"), list):
        items = response["output"]
        response["output"] = [_renamed_item(item, spaces) if isinstance(item, dict) else item for item in items]
    return response


def _renamed_item(item: JSON, spaces: Mapping[str, tuple[str, str]]) -> JSON:
    match item:
        case {"type": "function_call", "name": str(known)} if known in spaces:
            space, name = spaces[known]
            return {**item, "name": name, "namespace": space}
        case _:
            return item


def _shorter(item: Any) -> Any:
    """Write the id of a call, or of what it answers, at the length OpenAI takes."""
    match item:
        case {"call_id": str(own)} if own:
            return {**item, "call_id": accepted_call_id(own)}
        case _:
            return item


def _item(item: Any, dropped: set[str]) -> Any:
    """Take off an item what the backend does not know; None for thoughts of another family's model."""
    match item:
        case {"type": "function_call" | "function_call_output", "namespace": str(space), **rest}:
            own = rest.get("name")
            named = {"name": flat(space, own)} if isinstance(own, str) else {}
            return {**{key: value for key, value in item.items() if key != "namespace"}, **named}
        case {"type": "reasoning"} if _is_of_others(item):
            dropped.add("thinking")
            return None
        case {"type": "reasoning", "id": str(id)} if not item.get("encrypted_content") and MINTED_ID.fullmatch(id):
            dropped.add("thinking")
            return None
        case {"type": "reasoning", "content": None}:
            return _without(item, "content")
        case {"role": "user" | "system" | "developer", "id": _}:
            # Codex gives ids to what it says itself; OpenAI's types know none there, and they mean nothing.
            return _without(item, "id")
        case _:
            return item


def _tools(body: JSON, dropped: set[str]) -> None:
    tools = body.get("tools")
    if tools is None:
        return
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools must be a list of objects", "tools")
    kept = [function for tool in tools for function in _functions(tool, dropped)]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") not in ("function", "allowed_tools"):
        dropped.add("tool_choice")
        del body["tool_choice"]
    elif isinstance(choice, dict) and isinstance(choice.get("namespace"), str):
        named = {"type": "function", "name": flat(choice["namespace"], str(choice.get("name") or ""))}
        body["tool_choice"] = named
    if kept:
        body["tools"] = kept
        return
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)


def _functions(tool: JSON, dropped: set[str]) -> list[JSON]:
    match tool:
        case {"type": "function"}:
            return [tool]
        case {"type": "namespace", "name": str(space), "tools": [*members]}:
            functions = [
                {**member, "type": "function", "name": flat(space, member["name"])}
                for member in members
                if is_function(member)
            ]
        case _:
            functions = []
    dropped |= lost_with(Opaque(RESPONSES, tool))
    return functions


def _length(body: JSON, profile: ModelProfile, dropped: set[str]) -> None:
    length = body.get("max_output_tokens")
    if length is None:
        return
    if isinstance(length, bool) or not isinstance(length, int):
        raise invalid("max_output_tokens must be a whole number", "max_output_tokens")
    body["max_output_tokens"] = length_for(length, profile, dropped)


def _included(body: JSON, dropped: set[str]) -> None:
    """Ask for no part of an answer that only tools at OpenAI give."""
    asked = body.get("include")
    if asked is None:
        return
    if not isinstance(asked, list) or not all(isinstance(name, str) for name in asked):
        raise invalid("include must be a list of strings", "include")
    dropped |= set(asked) - _INCLUDED
    body["include"] = [name for name in asked if name in _INCLUDED]
    if not body["include"]:
        del body["include"]
