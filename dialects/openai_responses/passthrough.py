"""Passthrough for clients and backends that both speak OpenAI Responses: only what must change is changed.

SAP AI Core accepts only functions, knows the model by another name, and leaves out the ``event:`` lines that OpenAI
sends.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from dialects.adapt.signatures import Verify, unpack, verified_text
from dialects.adapt.turn_order import NO_RESULT
from dialects.adapt.unsupported import reject_stored
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import JSON, NO_USAGE, Conversation, Family, ToolForm, Usage
from dialects.core.faults import Fault, invalid
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, encoded
from dialects.interface import AS_MADE, Envelope, Origin, Rendered
from dialects.openai_common.limits import drop_refused_sampling, fit_effort
from dialects.openai_common.passthrough import public_model
from dialects.openai_common.tool_forms import (
    SEARCH,
    InputText,
    arguments_of_search,
    input_text,
)
from dialects.openai_responses.limits import declare_functions, fit_length, keep_known_includes
from dialects.openai_responses.response import fault_of
from dialects.openai_responses.vocabulary import (
    MINTED_ID,
    ToolsDeclared,
    accepted_call_id,
    as_declared,
    begun,
    flat,
    found_by_search,
    namespaces_of,
    render_declarations,
    render_error,
)

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
_NOT_KEPT = ("conversation", "prompt")
"""Fields that refer to objects stored at OpenAI, which no deployment has."""
_COMPACTED = frozenset(
    {"input", "instructions", "model", "previous_response_id", "prompt_cache_key", "prompt_cache_retention"}
)
"""The fields of a request to compact a conversation."""
_RESPONSE_IDS = ("id", "previous_response_id")
_RESULT_OF = {"function_call": "function_call_output"}
_CALL_OF = {result: call for call, result in _RESULT_OF.items()}
_SAYS_NOTHING: tuple[object, ...] = (None, False, [], {})
# These patterns cannot occur unescaped in a JSON string, and no nested `type` begins with "response.".
_KIND = re.compile(r'"type"\s*:\s*"(response\.[a-z_.]+)"')
_NUMBER = re.compile(r'"sequence_number"\s*:\s*(\d+)')
# Events that hold the id of a response, or an item: a call under its name, or one that may have to be signed.
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
_ARGUMENTS = frozenset({"response.function_call_arguments.delta", "response.function_call_arguments.done"})


def verify_signatures(body: JSON, verify: Verify) -> JSON:
    """Verify the encrypted reasoning in a client's body. One that may not be sent is left out, and reported later.

    If reasoning is left out, calls and messages lose their ids, because OpenAI would look for the reasoning by them.
    """
    if not isinstance(body.get("input"), list):
        return body
    items = [_verified(item, verify) for item in body["input"]]
    if any(_is_of_others(item) for item in items):
        items = [_without_id(item) for item in items]
    return {**body, "input": items}


def passthrough_request(
    body: JSON,
    profile: ModelProfile,
    conversation: Conversation | None = None,  # noqa: ARG001 - the body says it all
) -> Rendered:
    """Change only what the backend refuses in a client's body."""
    reject_stored(body, str(body.get("model") or profile.name), _NOT_KEPT)
    dropped = {name for name, value in body.items() if name not in _TAKEN and value not in _SAYS_NOTHING}
    out = {name: value for name, value in body.items() if name in _TAKEN}
    out["model"] = profile.name
    if isinstance(out.get("input"), list):
        items = (_item(_as_function(_shorter(item)), dropped) for item in out["input"])
        said = [item for item in items if item is not None]
        out["input"] = said if out.get("previous_response_id") else list(_answered(said))
    elif out.get("input") is not None and not isinstance(out["input"], str):
        raise invalid("input must be a string or a list of items", "input")
    declare_functions(out, body.get("input"), dropped)
    fit_length(out, profile, dropped)
    keep_known_includes(out, dropped)
    if profile.thinking is not ThinkingStyle.EFFORT and out.pop("reasoning", None):
        dropped.add("reasoning")
    if isinstance(out.get("reasoning"), dict):
        out["reasoning"] = dict(out["reasoning"])
        fit_effort(out["reasoning"], "effort", profile, dropped)
    drop_refused_sampling(out, profile, dropped)
    return Rendered(out, tuple(sorted(dropped)))


def compaction_request(body: JSON, profile: ModelProfile) -> Rendered:
    """Change only what the backend refuses in a client's request to compact a conversation."""
    said = {name: value for name, value in body.items() if name in _COMPACTED or name in _NOT_KEPT}
    rendered = passthrough_request(said, profile)
    dropped = {name for name, value in body.items() if name not in said and value not in _SAYS_NOTHING}
    kept = {name: value for name, value in rendered.body.items() if name in _COMPACTED}
    return Rendered(kept, tuple(sorted({*rendered.dropped, *dropped})))


def passthrough_compaction(body: JSON, origin: Origin) -> JSON:
    """Sign the ids and the reasoning in a compacted conversation."""
    return _signed(body, origin)


def _answered(items: list[Any]) -> Iterator[Any]:
    """Give each call a result, and turn results without a call into the user's text. OpenAI requires both.

    References to items may be either, so with one of them in the list all items stay as they are.
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
    """Return the type and the call id of a call or a result; None for any other item."""
    match item:
        case {"type": str(kind), "call_id": str(call_id)} if kind in _RESULT_OF or kind in _CALL_OF:
            return kind, call_id
        case _:
            return None


def passthrough_response(body: JSON, envelope: Envelope) -> JSON:
    """Set the model and the tools in a backend's body to what the client sent, and sign ids and reasoning."""
    declared = _as_declared({**body, "model": envelope.model}, envelope, ToolsDeclared(envelope.conversation))
    return _signed(declared, envelope.origin)


def passthrough_stored(raw: bytes, origin: Origin = AS_MADE) -> bytes:
    """Render a response that its deployment has stored, with ids and encrypted reasoning as the client knows them.

    The error message of a failed one is redacted. Raises one of `UNREADABLE` if *raw* is no JSON object.
    """
    body = json.loads(raw)
    if not isinstance(body, dict):
        raise TypeError("a stored response must be a JSON object")
    if body.get("error"):
        body["error"] = render_error(fault_of(body["error"]))
    elif origin is AS_MADE:
        return raw
    return dumps(_signed(body, origin)).encode()


def passthrough_frame(frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:  # noqa: ARG001 - the stream has it
    """Render one frame of a backend's stream for the client; return no bytes for a frame that is left out.

    A failure without a reason is left out, because a frame with the reason follows.
    """
    found = _KIND.search(frame.data)
    kind = found[1] if found else "error"
    if kind == "response.failed" and _is_reasonless(frame.loads()):
        return b""
    renamed = None
    if kind not in _HOLDERS or (
        envelope.origin is AS_MADE and ('"function_call"' not in frame.data or not namespaces_of(envelope.conversation))
    ):
        renamed = public_model(frame.data, envelope.model)
    if renamed is None:
        renamed = dumps(_rewritten(frame.loads(), envelope, ToolsDeclared(envelope.conversation)))
    return encoded(renamed, kind)


def passthrough_fault(fault: Fault, id: str, envelope: Envelope) -> bytes:
    """Render a failure in a stream that was passed through. Clients require the id with which the stream began."""
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


def _is_reasonless(message: JSON) -> bool:
    return isinstance(message.get("response"), dict) and not message["response"].get("error")


def _rewritten(message: JSON, envelope: Envelope, tools: ToolsDeclared) -> JSON:
    message = dict(message)
    if isinstance(response := message.get("response"), dict):
        response = _as_declared({**response, "model": envelope.model}, envelope, tools)
        message["response"] = _signed(response, envelope.origin)
    if isinstance(item := message.get("item"), dict):
        message["item"] = _signed_item(_item_as_declared(item, tools), envelope.origin)
    return message


def _signed(response: JSON, origin: Origin) -> JSON:
    """Sign the ids and the reasoning of a response, or of a list of items."""
    ids = {name: origin.id(response[name]) for name in _RESPONSE_IDS if isinstance(response.get(name), str)}
    lists = [name for name in ("output", "data") if isinstance(response.get(name), list)]
    items = {name: [_signed_item(item, origin) for item in response[name]] for name in lists}
    return {**response, **ids, **items}


def _signed_item(item: Any, origin: Origin) -> Any:
    """Sign the encrypted content of reasoning.

    Reasoning without it gets a signed empty one, so that it returns to the deployment that stores it.
    """
    match item:
        case {"type": "reasoning", **rest}:
            content = rest.get("encrypted_content")
            signed = origin.signature(content if isinstance(content, str) else "")
            return {**item, "encrypted_content": signed} if signed else item
        case {"type": "compaction" | "compaction_summary", "encrypted_content": str(content)}:
            return {**item, "encrypted_content": origin.signature(content)}
        case _:
            return item


def _verified(item: Any, verify: Verify) -> Any:
    match item:
        case {"type": "reasoning", **rest}:
            signed = rest.get("encrypted_content")
            content = verified_text(signed if isinstance(signed, str) else "", Family.OPENAI, verify)
            return {**item, "encrypted_content": content} if content else _without(item, "encrypted_content")
        case {"type": "compaction" | "compaction_summary" as kind, "encrypted_content": str(signed)}:
            readable = verify(Family.OPENAI, signed)
            if readable is None:
                raise invalid(
                    f"input contains an item of the type {kind}, which only the deployment that made it can read",
                    "input",
                )
            return {**item, "encrypted_content": readable}
        case _:
            return item


def _is_of_others(item: Any) -> bool:
    """Return whether an item is reasoning of another family's model, or reasoning that must not be sent."""
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


def _as_declared(response: JSON, envelope: Envelope, tools: ToolsDeclared) -> JSON:
    items = response.get("output")
    if (tools.namespaces or tools.forms) and isinstance(items, list):
        response["output"] = [_item_as_declared(item, tools) if isinstance(item, dict) else item for item in items]
    return {**response, **render_declarations(envelope.conversation)} if tools.forms else response


def _item_as_declared(item: JSON, tools: ToolsDeclared) -> JSON:
    match item:
        case {"type": "function_call", "name": str(name)} if name in tools.namespaces or name in tools.forms:
            whole = as_declared(item, tools)
            return begun(whole) if item.get("status") == "in_progress" else whole
        case _:
            return item


class FormedFrames:
    """Renders the frames of a backend's stream for a client that declared tools other than functions.

    The backend sends a custom tool's input inside a function's JSON arguments. The text is extracted piece by piece,
    which needs state. Frames are numbered anew, because some are left out.
    """

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._tools = ToolsDeclared(envelope.conversation)
        self._open: dict[str, tuple[ToolForm, InputText]] = {}
        self._number = 0

    def __call__(self, frame: Frame, *, usage: Usage = NO_USAGE) -> bytes:  # noqa: ARG002 - the stream has it
        """Render one frame; return no bytes for a frame that is left out."""
        if passed := self._passed(frame.data):
            self._number += 1
            return passed
        message = frame.loads()
        kind, place = message.get("type"), str(message.get("output_index"))
        if kind == "response.failed" and _is_reasonless(message):
            return b""
        if kind == "response.output_item.added":
            self._begin(place, message["item"])
        if kind in _ARGUMENTS and place in self._open:
            form, text = self._open[place]
            return b"".join(self._input(message, text)) if form is ToolForm.CUSTOM else b""
        return self._numbered(_rewritten(message, self._envelope, self._tools))

    def _passed(self, data: str) -> bytes:
        """Render a frame without parsing it if it holds no item and no response; return no bytes otherwise."""
        found = _KIND.search(data)
        if not found or found[1] in _HOLDERS or (self._open and found[1] in _ARGUMENTS):
            return b""
        named = public_model(data, self._envelope.model)
        if named is None or not (number := _NUMBER.search(named)) or named.count('"sequence_number"') > 1:
            return b""
        if number[1] != str(self._number):
            named = f"{named[: number.start(1)]}{self._number}{named[number.end(1) :]}"
        return encoded(named, found[1])

    def _begin(self, place: str, item: JSON) -> None:
        """Remember the call of a tool that the client did not declare as a function."""
        form = self._tools.form(str(item.get("name"))) if item.get("type") == "function_call" else ToolForm.FUNCTION
        self._open.pop(place, None)
        if form is not ToolForm.FUNCTION:
            self._open[place] = form, InputText()

    def _input(self, message: JSON, text: InputText) -> Iterator[bytes]:
        place = {"item_id": message.get("item_id"), "output_index": message.get("output_index")}
        kind = "response.custom_tool_call_input"
        is_done = message["type"].endswith(".done")
        if said := text.finish() if is_done else text.feed(str(message.get("delta") or "")):
            yield self._numbered({"type": f"{kind}.delta", **place, "delta": said})
        if is_done:
            yield self._numbered({"type": f"{kind}.done", **place, "input": input_text(str(message["arguments"]))})

    def _numbered(self, message: JSON) -> bytes:
        kind = str(message.get("type") or "error")
        self._number += 1
        return encoded(dumps({**message, "sequence_number": self._number - 1}), kind)


def _shorter(item: Any) -> Any:
    """Shorten the id of a call or of its result to the length that OpenAI accepts."""
    match item:
        case {"call_id": str(own)} if own:
            return {**item, "call_id": accepted_call_id(own)}
        case _:
            return item


def _as_function(item: Any) -> Any:
    """Turn the call of a custom tool, and its result, into those of the function that the backend knows it as."""
    match item:
        case {"type": "custom_tool_call", **rest}:
            text = rest.pop("input", "")
            return {**rest, "type": "function_call", "arguments": dumps({"input": text})}
        case {"type": "custom_tool_call_output", **rest}:
            rest.pop("name", None)
            return {**rest, "type": "function_call_output"}
        case {"type": "tool_search_call", "call_id": str(call), **rest}:
            searched = arguments_of_search(rest.get("arguments"))
            return {"type": "function_call", "call_id": call, "name": SEARCH, "arguments": searched}
        case {"type": "tool_search_output", "call_id": str(call)}:
            return {"type": "function_call_output", "call_id": call, "output": found_by_search(item)}
        case _:
            return item


def _item(item: Any, dropped: set[str]) -> Any:
    """Remove what the backend does not know from an item; return None for an item that is left out."""
    match item:
        case {"type": "additional_tools" | "tool_search_call" | "tool_search_output"}:
            # Its tools are declared with the others.
            return None
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
            # Codex gives ids to its own messages. OpenAI's types have no such field there, and the ids mean nothing.
            return _without(item, "id")
        case _:
            return item
