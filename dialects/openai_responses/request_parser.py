"""Parser of OpenAI Responses requests.

https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dialects.adapt.field_reader import FieldReader
from dialects.adapt.signatures import REDACTED, unpack
from dialects.adapt.tool_names import narrowed
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.framing.json_text import dumps
from dialects.openai_common.request_parser import (
    beyond,
    cache_mark,
    document,
    effort_in,
    function_spec,
    input_of,
    media,
    output_format,
    split_instructions,
    without,
)
from dialects.openai_common.tool_forms import SEARCH, arguments_of_search, custom_spec, search_spec
from dialects.openai_common.vocabulary import RESPONSES
from dialects.openai_responses.vocabulary import DECLARING, flat, found_by_search, with_found

_MODES = {"auto": ToolMode.AUTO, "required": ToolMode.REQUIRED, "none": ToolMode.NONE}
_UNDERSTOOD = frozenset(
    {
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "reasoning",
        "text",
        "stream",
        "user",
        "prompt_cache_key",
    }
)
_DEFAULTS: Mapping[str, Any] = {
    "store": False,
    "background": False,
    "truncation": "disabled",
    "service_tier": "auto",
    "include": [],
    "metadata": {},
    "top_logprobs": 0,
}
"""Default values. A field with its default says no more than a missing field to a proxy that stores nothing."""
_NOT_ARGUMENTS = frozenset({"type", "id", "call_id", "status", "created_by", "pending_safety_checks"})
"""Fields of an item that calls a tool which are not arguments of the call."""
SIGNED = "reasoning.encrypted_content"
"""The value of `include` for signed reasoning, which every answer holds anyway."""
_STAND_INS = {
    "item_reference": "cannot look up: send the item itself, and store: false",
    "compaction": "cannot read, because only the deployment that made it can: send the items that it replaces",
    "compaction_trigger": "cannot act on: ask for a summary as text",
    "compaction_summary": "cannot read, because only the deployment that made it can: send the items that it replaces",
}
"""Items that stand for other items, by type, and why another model cannot use them."""


def parse_request(body: JSON) -> Conversation:
    """Parse a request; raises `FaultError` for one that makes no sense.

    Consecutive items of the model form one turn, as do consecutive results. Ids and statuses of items are ignored,
    because only the server that stored them can use them.
    """
    fields = FieldReader(body)
    instructions = fields.text("instructions")
    items = fields.objects("input") if isinstance(body.get("input"), list) else []
    said, messages = split_instructions(_history(fields, items))
    tools = _tools(fields, items)
    choice, allowed = _tool_choice(fields)
    if allowed is not None:
        tools = narrowed(tools, allowed, "tool_choice")
    return Conversation(
        model=fields.text("model"),
        dialect=RESPONSES,
        system=((Text(instructions),) if instructions else ()) + said,
        messages=messages,
        tools=tools,
        tool_choice=choice if tools else None,
        sampling=Sampling(
            max_tokens=fields.count("max_output_tokens"),
            temperature=fields.number("temperature"),
            top_p=fields.number("top_p"),
        ),
        reasoning=_reasoning(fields),
        output=output_format(form) if (text := fields.object("text")) and (form := text.object("format")) else None,
        stream=fields.flag("stream") or False,
        stream_usage=True,
        user=fields.text("user"),
        cache_key=fields.text("prompt_cache_key"),
        extra=_extra(fields),
    )


@dataclass(slots=True)
class _History:
    """Collects items into turns."""

    turns: list[tuple[Role, list[Part]]] = field(default_factory=list)
    _kind: str = ""

    @property
    def messages(self) -> list[Message]:
        """The turns so far."""
        return [Message(role, tuple(parts)) for role, parts in self.turns]

    def add(self, role: Role, parts: tuple[Part, ...], kind: str) -> None:
        """Add parts to the last turn if it is of the same *kind*. A message is always a turn of its own."""
        if self.turns and kind == self._kind and kind != "message":
            self.turns[-1][1].extend(parts)
        else:
            self.turns.append((role, [*parts]))
        self._kind = kind


def _history(fields: FieldReader, items: Sequence[FieldReader]) -> list[Message]:
    said = fields.body.get("input")
    if isinstance(said, str):
        return [Message(Role.USER, (Text(said),))]
    if said is None:
        return []
    if not isinstance(said, list):
        raise fields.wrong("input", "a string or a list of items")
    history = _History()
    for item in items:
        _add_item(item, history)
    return history.messages


def _add_item(item: FieldReader, history: _History) -> None:
    kind = item.text("type") or ("message" if "role" in item.body else "item_reference")
    match kind:
        case "message":
            _add_message(item, history)
        case "reasoning":
            history.add(Role.ASSISTANT, (_thinking(item),), "assistant")
        case "function_call":
            name = flat(item.text("namespace"), item.named("name"))
            call = ToolCall(item.named("call_id"), name, item.text("arguments"))
            history.add(Role.ASSISTANT, (call,), "assistant")
        case "function_call_output":
            result = ToolResult(item.named("call_id"), tuple(_output(item)))
            history.add(Role.USER, (result,), "results")
        case "image_generation_call" if item.text("result"):
            drawn = Media(MediaKind.IMAGE, f"image/{item.text('output_format') or 'png'}", item.text("result"))
            history.add(Role.ASSISTANT, (drawn,), "assistant")
        case "custom_tool_call":
            name = flat(item.text("namespace"), item.named("name"))
            history.add(Role.ASSISTANT, (ToolCall(item.named("call_id"), name, input_of(item)),), "assistant")
        case "additional_tools" | "tool_search_call" | "tool_search_output":
            _add_search(item, kind, history)
        case _ if kind.endswith("_call") and item.text("call_id"):
            history.add(Role.ASSISTANT, (_tools_own_call(item, kind.removesuffix("_call")),), "assistant")
        case _ if kind.endswith("_call_output") and item.text("call_id"):
            failed = item.body.get("status") == "failed"
            history.add(Role.USER, (ToolResult(item.text("call_id"), tuple(_given_back(item)), failed),), "results")
        case _:
            history.add(Role.ASSISTANT, (_opaque({**item.body, "type": kind}, item.path),), "assistant")


def _add_search(item: FieldReader, kind: str, history: _History) -> None:
    """Add a search for tools that the client carried out; of a search at OpenAI, only the found tools are declared."""
    call_id = item.text("call_id")
    if kind == "tool_search_call" and call_id:
        searched = arguments_of_search(item.body.get("arguments"))
        history.add(Role.ASSISTANT, (ToolCall(call_id, SEARCH, searched),), "assistant")
    if kind == "tool_search_output" and call_id:
        history.add(Role.USER, (ToolResult(call_id, (Text(found_by_search(item.body)),)),), "results")


def _tools_own_call(item: FieldReader, name: str) -> ToolCall:
    """Parse the call of one of OpenAI's tools that ran at the client, such as a shell, as a call of a function."""
    return ToolCall(item.text("call_id"), name, dumps(without(item.body, _NOT_ARGUMENTS)))


def _given_back(item: FieldReader) -> Iterator[Text | Media | Opaque]:
    """Parse the output of such a tool, which has one of several forms."""
    match item.body.get("output"):
        case None | str():
            yield from _output(item)
        case [*_] as given if all(isinstance(part, dict) and "type" in part for part in given):
            yield from _output(item)
        case {"type": "computer_screenshot"}:
            shown = item.object("output")
            part = _part(shown, None) if shown else None
            yield from (part,) if isinstance(part, Media | Opaque) else ()
        case given:
            yield Text(dumps(given))


def _add_message(item: FieldReader, history: _History) -> None:
    parts = tuple(_content(item, "content"))
    match item.text("role"):
        case "user":
            history.add(Role.USER, parts, "message")
        case "assistant":
            history.add(Role.ASSISTANT, tuple(part for part in parts if part != Text("")), "assistant")
        case "system" | "developer":
            history.add(Role.SYSTEM, parts, "message")
        case _:
            raise item.wrong("role", "user, assistant, system or developer")


def _output(item: FieldReader) -> Iterator[Text | Media | Opaque]:
    yield from (part for part in _content(item, "output") if isinstance(part, Text | Media | Opaque))


def _content(item: FieldReader, name: str) -> Iterator[Part]:
    content = item.body.get(name)
    if isinstance(content, str):
        yield Text(content)
    elif isinstance(content, list):
        for part in item.objects(name):
            yield _part(part, cache_mark(part))
    elif content is not None:
        raise item.wrong(name, "a string or a list of parts")


def _part(part: FieldReader, cache: CacheMark | None) -> Part:
    match part.text("type"):
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            return Text(part.text("text"), cache)
        case "refusal":
            return Refusal(part.text("refusal"))
        case "input_image" | "computer_screenshot" if part.text("image_url"):
            uri, detail = part.text("image_url"), part.text("detail")
            return replace(media(uri, part.at("image_url"), MediaKind.IMAGE, detail=detail), cache=cache)
        case "input_file" if part.text("file_url") or part.text("file_data"):
            return replace(_file(part), cache=cache)
        case "input_audio" if audio := part.object("input_audio"):
            return Media(MediaKind.AUDIO, f"audio/{audio.named('format')}", audio.named("data"), cache=cache)
        case "":
            raise part.wrong("type", "a string that is not empty")
        case _:
            return _opaque(dict(part.body), part.path)


def _file(part: FieldReader) -> Media:
    if uri := part.text("file_url"):
        return media(uri, part.at("file_url"), MediaKind.DOCUMENT, part.text("filename"))
    return document(part)


def _thinking(item: FieldReader) -> Thinking:
    """Parse thoughts. Their signature may be a wrapped one of another family's model."""
    pieces = [*item.objects("summary"), *item.objects("content")]
    text = "\n\n".join(piece.text("text") for piece in pieces)
    packed = item.text("encrypted_content")
    if not packed:
        return Thinking(text)
    family, signature = unpack(packed, Family.OPENAI)
    if signature.startswith(REDACTED):
        return Thinking(text, redacted=signature.removeprefix(REDACTED), family=family)
    return Thinking(text, signature, family=family)


def _tools(fields: FieldReader, items: Sequence[FieldReader]) -> tuple[ToolSpec | Opaque, ...]:
    """Parse the tools of the request, and those that items of its input declare."""
    declaring = [item for item in items if item.text("type") in DECLARING]
    found = [tool for item in declaring for declared in item.objects("tools") for tool in _tool(declared)]
    tools = [tool for declared in fields.objects("tools") for tool in _tool(declared)]
    return tuple(with_found(tools, found, lambda tool: tool.name if isinstance(tool, ToolSpec) else ""))


def _tool(tool: FieldReader) -> Iterator[ToolSpec | Opaque]:
    match tool.text("type"):
        case "namespace":
            # Its tools follow one by one; the group itself is kept to restore their names in calls.
            yield Opaque(RESPONSES, dict(tool.body))
            for member in tool.objects("tools"):
                yield from _callable(member, tool.named("name"))
        case "tool_search" if tool.text("execution") == "client":
            yield search_spec(tool, dict(tool.body))
        case "function" | "custom":
            yield from _callable(tool, "")
        case _:
            yield Opaque(RESPONSES, dict(tool.body))


def _callable(tool: FieldReader, namespace: str) -> Iterator[ToolSpec]:
    match tool.text("type"):
        case "" | "function":
            yield function_spec(tool, flat(namespace, tool.named("name")), cache_mark(tool))
        case "custom":
            yield custom_spec(tool, flat(namespace, tool.named("name")), cache_mark(tool), dict(tool.body))
        case _:
            pass


def _tool_choice(fields: FieldReader) -> tuple[ToolChoice | None, frozenset[str] | None]:
    """Parse the tool choice, and the names of the tools it allows if it does not allow all."""
    parallel = fields.flag("parallel_tool_calls")
    match fields.body.get("tool_choice"):
        case None:
            return (ToolChoice(parallel=parallel) if parallel is not None else None), None
        case str(mode) if mode in _MODES:
            return ToolChoice(_MODES[mode], parallel=parallel), None
        case {"type": "function" | "custom", "name": str(name), **rest}:
            space = rest.get("namespace")
            return ToolChoice(ToolMode.NAMED, flat(space if isinstance(space, str) else "", name), parallel), None
        case {"type": "allowed_tools", "mode": str(mode), "tools": [*tools]} if mode in _MODES:
            names = frozenset(tool["name"] for tool in tools if isinstance(tool, dict) and _is_named(tool))
            return ToolChoice(_MODES[mode], parallel=parallel), names
        case {"type": str(kind)}:
            # A tool that runs at OpenAI is named by its type.
            return ToolChoice(ToolMode.NAMED, kind, parallel), None
        case _:
            raise fields.wrong("tool_choice", "auto, none, required or the name of a function")


def _is_named(tool: Mapping[Any, Any]) -> bool:
    return isinstance(tool.get("name"), str)


def _reasoning(fields: FieldReader) -> Reasoning | None:
    asked = fields.object("reasoning")
    if asked is None:
        return None
    effort, summary = effort_in(asked, "effort"), asked.text("summary") or asked.text("generate_summary")
    if effort is None and not summary:
        return None
    return Reasoning(effort=effort, shown=True if summary else None, summary=summary)


def _extra(fields: FieldReader) -> JSON:
    extra = beyond(fields.body, _UNDERSTOOD, _DEFAULTS)
    if included := [name for name in fields.array("include") if name != SIGNED]:
        extra["include"] = included
    else:
        extra.pop("include", None)
    for name, understood in (("text", {"format"}), ("reasoning", {"effort", "summary", "generate_summary"})):
        nested = fields.object(name)
        if nested and (rest := {key: value for key, value in nested.body.items() if key not in understood and value}):
            extra[name] = rest
    return extra


def _opaque(payload: JSON, where: str) -> Opaque:
    """Keep a part that only this dialect has."""
    part = Opaque(RESPONSES, payload, where=where)
    return replace(part, rejection=_STAND_INS.get(part.kind, ""))
