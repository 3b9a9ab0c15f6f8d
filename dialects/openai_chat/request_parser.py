"""Parser of OpenAI chat completions requests.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dialects.adapt.claude_limits import with_cache_mark_at_the_end
from dialects.adapt.field_reader import FieldReader
from dialects.adapt.tool_names import narrowed
from dialects.anthropic_messages.request_parser import parse_block
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
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
from dialects.core.faults import invalid
from dialects.openai_chat.client_variants import blocks_in, is_block
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
)
from dialects.openai_common.tool_forms import custom_spec
from dialects.openai_common.vocabulary import CHAT, MESSAGES

_MODES = {"auto": ToolMode.AUTO, "required": ToolMode.REQUIRED, "any": ToolMode.REQUIRED, "none": ToolMode.NONE}
_UNDERSTOOD = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
        "response_format",
        "stream",
        "stream_options",
        "user",
        "prompt_cache_key",
        "cache_control",
    }
)
_UNDERSTOOD_OF_MESSAGE = frozenset(
    {
        "role",
        "content",
        "name",
        "refusal",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "cache_control",
        "prompt_cache_breakpoint",
    }
)
_BESIDE_ANSWERS = frozenset({"reasoning_content", "reasoning", "thinking_blocks", "images"})
"""Fields that other gateways add to an answer beside its content, and that clients send back."""
_NOTHING_SAID = Text()
_DEFAULTS: Mapping[str, Any] = {
    "n": 1,
    "store": False,
    "logprobs": False,
    "logit_bias": {},
    "metadata": {},
    "modalities": ["text"],
    "service_tier": "auto",
}
"""Default values. A field with its default says no more than a missing field."""


def parse_request(body: JSON) -> Conversation:
    """Parse a request; raises `FaultError` for one that makes no sense.

    A `developer` message is a system message. Those at the front become the conversation's system prompt; later ones
    stay where they are.
    """
    fields = FieldReader(body)
    said = fields.objects("messages")
    system, messages = split_instructions(_messages(fields, said))
    tools = _tools(fields)
    choice = _tool_choice(fields) if tools else None
    if choice is not None and "allowed" in choice:
        tools = narrowed(tools, choice["allowed"], "tool_choice")
    conversation = Conversation(
        model=fields.text("model"),
        dialect=CHAT,
        system=system,
        messages=messages,
        tools=tools,
        tool_choice=choice["choice"] if choice else None,
        sampling=_sampling(fields),
        reasoning=_reasoning(fields),
        output=_output(fields),
        stream=fields.flag("stream") or False,
        stream_usage=_stream_usage(fields),
        user=fields.text("user"),
        cache_key=fields.text("prompt_cache_key"),
        extra=_extra(fields, said),
    )
    # Other gateways take a cache mark at the top of the request for one on the last part.
    return with_cache_mark_at_the_end(conversation, cache_mark(fields))


def _messages(fields: FieldReader, said: Sequence[FieldReader]) -> list[Message]:
    found: list[tuple[Role, list[Part]]] = []
    has_only_results = False
    called: dict[str, str] = {}
    for index, each in enumerate(said):
        message = _message(each, index, called)
        called |= {part.name: part.id for part in message.parts if isinstance(part, ToolCall)}
        if has_only_results and each.body.get("role") in ("tool", "function"):
            found[-1][1].extend(message.parts)
            continue
        found.append((message.role, [*message.parts]))
        has_only_results = bool(message.parts) and all(isinstance(part, ToolResult) for part in message.parts)
    if not found:
        raise fields.wrong("messages", "a list of at least one message")
    return [Message(role, tuple(parts)) for role, parts in found]


def _message(message: FieldReader, index: int, called: Mapping[str, str]) -> Message:
    """Parse a message. *called* has the id of the last call of each function before it."""
    match message.text("role"):
        case "system" | "developer":
            return Message(Role.SYSTEM, _content(message) + _name(message))
        case "user":
            return Message(Role.USER, _content(message) + _name(message))
        case "assistant":
            return Message(Role.ASSISTANT, (*_answer(message, index), *_name(message)))
        case "tool":
            return Message(Role.USER, (_result(message, message.named("tool_call_id")),))
        case "function":
            # A legacy result has only the function's name.
            name = message.named("name")
            return Message(Role.USER, (_result(message, called.get(name, name)),))
        case _:
            raise message.wrong("role", "system, developer, user, assistant, tool or function")


def _name(message: FieldReader) -> tuple[Part, ...]:
    """Return the name of a message as an opaque part, because no other dialect has names beside the role."""
    name = message.text("name")
    return (Opaque(CHAT, {"type": "name", "name": name}),) if name else ()


def _result(message: FieldReader, id: str) -> ToolResult:
    parts: list[Text | Media | Opaque] = []
    for part in _content(message):
        match part:
            case Text(text, cache) if cache:
                parts.append(Text(text))
            case Text() | Media() | Opaque():
                parts.append(part)
            case ToolResult():
                parts += part.parts
            case _:
                pass
    return ToolResult(id, tuple(parts), cache=cache_mark(message))


def _content(message: FieldReader) -> tuple[Part, ...]:
    content = message.body.get("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content, cache_mark(message)),)
    if not isinstance(content, list):
        raise message.wrong("content", "a string or a list of parts")
    whole = cache_mark(message)
    parts = message.objects("content")
    return tuple([_part(part, cache_mark(part) or (whole if part is parts[-1] else None)) for part in parts])


def _part(part: FieldReader, cache: CacheMark | None) -> Part:
    kind = part.text("type")
    match kind:
        case "text" | "input_text" | "output_text":
            return Text(part.text("text"), cache)
        case "refusal":
            return Refusal(part.text("refusal"))
        case "":
            raise part.wrong("type", "a string")
        case _ if attached := _attached(part, kind):
            return replace(attached, cache=cache)
        case "image_url" | "input_audio":
            raise part.wrong(kind, "an object")
        case _ if is_block(part.body):
            return parse_block(dict(part.body), part.path)[0]
        case _:
            return Opaque(CHAT, dict(part.body), where=part.path)


def _attached(part: FieldReader, kind: str) -> Media | None:
    """Parse an attachment whose data or URL is in the part; return None for any other."""
    match kind:
        case "image_url" if isinstance(part.body.get("image_url"), str):
            return media(part.text("image_url"), part.at("image_url"), MediaKind.IMAGE)
        case "image_url" if image := part.object("image_url"):
            return media(image.named("url"), image.at("url"), MediaKind.IMAGE, detail=image.text("detail"))
        case "video_url" if video := part.object("video_url"):
            return media(video.named("url"), video.at("url"), MediaKind.VIDEO)
        case "input_audio" if audio := part.object("input_audio"):
            return Media(MediaKind.AUDIO, f"audio/{audio.named('format')}", audio.named("data"))
        case "file" if (file := part.object("file")) and file.text("file_data"):
            return document(file)
        case _:
            return None


def _unread(message: FieldReader) -> set[str]:
    """Return the names of a message's fields that have no neutral value."""
    if message.body.keys() <= _UNDERSTOOD_OF_MESSAGE:
        return set()
    unread = message.body.keys() - _UNDERSTOOD_OF_MESSAGE
    if message.body.get("role") != "assistant":
        return unread
    lists = {name for name in ("thinking_blocks", "images") if message.body.get(name) and not _beside(message, name)}
    return (unread - _BESIDE_ANSWERS) | lists


def _answer(message: FieldReader, index: int) -> Iterator[Part]:
    """Parse a message of the model: first its thoughts, then the content and the calls."""
    thoughts = message.body.get("reasoning_content") or message.body.get("reasoning")
    if signed := _beside(message, "thinking_blocks"):
        # Claude's thinking as it was signed. `reasoning_content` repeats its text.
        yield from (parse_block(dict(block.body), block.path)[0] for block in signed)
    elif isinstance(thoughts, str):
        yield Thinking(thoughts)
    # Clients send an empty text beside calls, which several providers refuse.
    yield from (part for part in _content(message) if part != _NOTHING_SAID)
    yield from (_part(part, None) for part in _beside(message, "images"))
    if refusal := message.text("refusal"):
        yield Refusal(refusal)
    for call in message.objects("tool_calls"):
        yield from _call(call)
    if legacy := message.object("function_call"):
        yield ToolCall(f"call_{index}", legacy.named("name"), legacy.text("arguments"))


def _beside(message: FieldReader, name: str) -> list[FieldReader]:
    """Return the objects of the list that stands beside an answer under *name*; none if it is anything else."""
    beside = message.body.get(name)
    readable = isinstance(beside, list) and all(isinstance(each, dict) for each in beside)
    return message.objects(name) if readable else []


def _call(call: FieldReader) -> Iterator[Part]:
    function = call.object("function")
    if function is None:
        if call.text("type") in ("", "function"):
            raise call.wrong("function", "an object")
        if custom := call.object("custom"):
            yield ToolCall(call.named("id"), custom.named("name"), input_of(custom), cache_mark(call))
        else:
            yield Opaque(CHAT, dict(call.body), where=call.path)
        return
    if signature := _google_signature(call):
        yield Thinking(signature=signature, family=Family.GEMINI)
    yield ToolCall(call.named("id"), function.named("name"), function.text("arguments"), cache_mark(call))


def _google_signature(call: FieldReader) -> str:
    """Return the signature of a call, where Google's own OpenAI-compatible API has it.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    match call.body.get("extra_content"):
        case {"google": {"thought_signature": str(signature)}}:
            return signature
        case _:
            return ""


def _tools(fields: FieldReader) -> tuple[ToolSpec | Opaque, ...]:
    legacy = [_function(function, None) for function in fields.objects("functions")]
    return (*(_tool(tool) for tool in fields.objects("tools")), *legacy)


def _tool(tool: FieldReader) -> ToolSpec | Opaque:
    function = tool.object("function")
    if tool.text("type") == "custom" and (custom := tool.object("custom")):
        return custom_spec(custom, custom.named("name"), cache_mark(tool), dict(tool.body))
    if tool.text("type") not in ("", "function"):
        return Opaque(CHAT, dict(tool.body))
    if function is None:
        raise tool.wrong("function", "an object")
    return _function(function, cache_mark(tool))


def _function(function: FieldReader, cache: CacheMark | None) -> ToolSpec:
    return function_spec(function, function.named("name"), cache)


def _tool_choice(fields: FieldReader) -> dict[str, Any] | None:
    """Parse the tool choice, and the names of the tools it allows if it does not allow all."""
    parallel = fields.flag("parallel_tool_calls")
    where = "tool_choice" if fields.body.get("tool_choice") is not None else "function_call"
    said = fields.body.get(where)
    match said:
        case None:
            return {"choice": ToolChoice(parallel=parallel)} if parallel is not None else None
        case str(mode) if mode in _MODES:
            return {"choice": ToolChoice(_MODES[mode], parallel=parallel)}
        case {"type": "allowed_tools", "allowed_tools": {"mode": str(mode), "tools": [*tools]}} if mode in _MODES:
            names = frozenset(_name_of(tool) for tool in tools)
            return {"choice": ToolChoice(_MODES[mode], parallel=parallel), "allowed": names}
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}} | {"name": str(name)}:
            return {"choice": ToolChoice(ToolMode.NAMED, name, parallel)}
        case {"type": str(kind)} if kind not in ("function", "custom", "allowed_tools"):
            # A tool that runs at the provider is named by its type.
            return {"choice": ToolChoice(ToolMode.NAMED, kind, parallel)}
        case _:
            raise fields.wrong(where, "auto, none, required or the name of a function")


def _name_of(tool: Any) -> str:
    match tool:
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}} | {"name": str(name)}:
            return name
        case _:
            raise invalid("tool_choice.allowed_tools.tools must name functions", "tool_choice")


def _sampling(fields: FieldReader) -> Sampling:
    longest = fields.count("max_completion_tokens")
    return Sampling(
        max_tokens=longest if longest is not None else fields.count("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        stop=fields.texts("stop"),
        seed=fields.integer("seed"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
    )


def _reasoning(fields: FieldReader) -> Reasoning | None:
    effort = effort_in(fields, "reasoning_effort")
    return Reasoning(effort) if effort else None


def _output(fields: FieldReader) -> OutputFormat | None:
    form = fields.object("response_format")
    if form is None:
        return None
    nested = form.object("json_schema")
    if form.text("type") != "json_schema" or nested is None:
        return output_format(form)
    return output_format(FieldReader({**nested.body, "type": "json_schema"}, nested.path))


def _stream_usage(fields: FieldReader) -> bool:
    options = fields.object("stream_options")
    return bool(options and options.flag("include_usage"))


def _extra(fields: FieldReader, messages: Sequence[FieldReader]) -> JSON:
    extra = beyond(fields.body, _UNDERSTOOD, _DEFAULTS)
    options = fields.object("stream_options")
    if options and (rest := {name: value for name, value in options.body.items() if name != "include_usage"}):
        extra["stream_options"] = rest
    if not fields.array("functions"):
        extra.pop("functions", None)
    for message in messages:
        for block in blocks_in(message.body):
            extra |= parse_block(block, message.at("content"))[1]
        for name in _unread(message):
            if message.body[name]:
                extra[f"{MESSAGES}.{name}"] = message.body[name]
    n = fields.count("n")
    if n is not None and n > 128:
        raise fields.wrong("n", "at most 128")
    return extra
