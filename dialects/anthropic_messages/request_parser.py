"""Parser of requests in Anthropic messages.

See https://docs.claude.com/en/api/messages; the parser also accepts what real clients send beyond it. Fields at the top
that only this dialect has go to `Conversation.extra`, and blocks become `Opaque`. Fields inside blocks and tools go to
`Conversation.extra` under names such as ``tools[].defer_loading``.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dialects.adapt import attachments
from dialects.adapt.claude_limits import with_cache_mark_at_the_end
from dialects.adapt.field_reader import (
    FieldReader,
    read_list,
    read_number,
    read_object,
    read_string,
    read_text,
    read_whole_number,
)
from dialects.adapt.signatures import unpack
from dialects.adapt.unasked_thinking import before_their_calls
from dialects.anthropic_messages.vocabulary import DIALECT
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ResultPart,
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
from dialects.framing.json_text import dumps

_ROLES = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
}
_TOOL_CHOICE = {
    "auto": ToolMode.AUTO,
    "any": ToolMode.REQUIRED,
    "tool": ToolMode.NAMED,
    "none": ToolMode.NONE,
}
_EFFORTS = tuple(effort.value for effort in Effort)
# The fields of each block that have a neutral field. All others go to `extra`.
_FIELDS = {
    "text": frozenset({"type", "text", "cache_control"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "title", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "tool": frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"}),
}
_TOO_LARGE = 1e300
"""Numbers from here on are refused."""
_PICTURE = re.compile(r"!\[[^\[\]\n]*\]\(data:(image/[\w.+-]+);base64,([A-Za-z0-9+/=]+)\)")
"""A picture in Markdown with its data in a data URL."""
_DEEPEST = 10
"""How many levels of blocks may be nested."""
_TOP = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "thinking",
        "tools",
        "tool_choice",
        "metadata",
        "output_config",
        "output_format",
        "cache_control",
    }
)


def parse_request(body: JSON) -> Conversation:
    """Parse a request; raises `FaultError` for one that makes no sense."""
    return _Parser().request(body)


def require_max_tokens(body: JSON) -> None:
    """Raise `FaultError`, in Anthropic's wording, for a request without ``max_tokens``; token counting needs none."""
    if body.get("max_tokens") is None:
        raise invalid("max_tokens: Field required", "max_tokens")


def parse_block(block: JSON, where: str) -> tuple[Part, JSON]:
    """Parse a block that stands in a body of another dialect; return it and its fields that have no neutral field."""
    parser = _Parser()
    return parser.part(block, where), parser.extra


class _Parser:
    """Parses one request. *extra* collects what has no neutral field."""

    def __init__(self) -> None:
        self.extra: dict[str, Any] = {}
        self.depth = 0

    def request(self, body: JSON) -> Conversation:
        self.extra |= {name: value for name, value in body.items() if name not in _TOP and value is not None}
        fields = FieldReader(body)
        messages = read_list(body.get("messages"), "messages")
        for index, beta in enumerate(fields.array("anthropic_beta")):
            read_string(beta, f"anthropic_beta[{index}]")
        user, reasoning, output = self.user(body), *self.thinking(body)
        conversation = Conversation(
            model=read_string(body.get("model"), "model"),
            dialect=DIALECT,
            system=self.texts(body.get("system"), "system"),
            messages=tuple(self.message(value, f"messages[{index}]") for index, value in enumerate(messages)),
            tools=tuple(self.tool(value, f"tools[{index}]") for index, value in enumerate(fields.array("tools"))),
            tool_choice=_tool_choice(body.get("tool_choice")),
            sampling=_sampling(body),
            reasoning=reasoning,
            output=output,
            stream=fields.flag("stream") is True,
            stream_usage=fields.flag("stream") is True,
            user=user,
            extra=self.extra,
        )
        # A cache mark at the top of the request means one on the last block.
        return with_cache_mark_at_the_end(conversation, self.cache(body, ""))

    def message(self, value: Any, where: str) -> Message:
        message = read_object(value, where)
        role = _ROLES.get(_string(message, "role", where))
        if role is None:
            raise invalid(f'{where}.role must be "user", "assistant" or "system"', f"{where}.role")
        parts = before_their_calls(self.parts(message.get("content"), f"{where}.content"))
        if role is Role.ASSISTANT and any(map(_holds_pictures, parts)):
            parts = tuple(piece for part in parts for piece in _with_pictures(part))
        return Message(role, parts)

    def parts(self, content: Any, where: str) -> tuple[Part, ...]:
        match content:
            case None | "":
                return ()
            case str(text):
                return (Text(text),)
            case list(blocks):
                return self.inner(blocks, where)
            case _:
                raise invalid(f"{where} must be a string or a list of blocks", where)

    def inner(self, blocks: list[Any], where: str) -> tuple[Part, ...]:
        if self.depth == _DEEPEST:
            raise invalid(f"{where} is nested too deeply", where)
        self.depth += 1
        parts = [self.part(block, f"{where}[{index}]") for index, block in enumerate(blocks)]
        self.depth -= 1
        return tuple(parts)

    def texts(self, content: Any, where: str) -> tuple[Text, ...]:
        parts = self.parts(content, where)
        for index, part in enumerate(parts):
            if not isinstance(part, Text):
                raise invalid(f"{where}[{index}] must be a text block", f"{where}[{index}]")
        return tuple(part for part in parts if isinstance(part, Text))

    def part(self, value: Any, where: str) -> Part:
        block = read_object(value, where)
        kind = _string(block, "type", where)
        match kind:
            case "text":
                part: Part = Text(_string(block, "text", where), self.cache(block, where))
            case "image" | "document":
                part = self.media(block, where)
            case "thinking":
                family, signature = unpack(
                    read_string(block.get("signature") or "", f"{where}.signature"), Family.CLAUDE
                )
                part = Thinking(_string(block, "thinking", where), signature, family=family)
            case "redacted_thinking":
                family, redacted = unpack(_string(block, "data", where), Family.CLAUDE)
                part = Thinking(redacted=redacted, family=family)
            case "tool_use":
                part = ToolCall(
                    _string(block, "id", where),
                    _string(block, "name", where),
                    dumps(read_object(block.get("input") or {}, f"{where}.input")),
                    self.cache(block, where),
                )
            case "tool_result":
                part = self.result(block, where)
            case _:
                return Opaque(DIALECT, block, self.approximation(block, where), where)
        if not isinstance(part, Opaque):
            self.keep("messages[]", kind, block)
        return part

    def result(self, block: JSON, where: str) -> ToolResult:
        parts = self.parts(block.get("content"), f"{where}.content")
        return ToolResult(
            _string(block, "tool_use_id", where),
            tuple([part if isinstance(part, ResultPart) else Text(_words(part)) for part in parts]),
            bool(block.get("is_error")),
            self.cache(block, where),
        )

    def media(self, block: JSON, where: str) -> Media | Opaque:
        kind = MediaKind(block["type"])
        source = read_object(block.get("source"), f"{where}.source")
        name, cache = read_text(block.get("title"), f"{where}.title"), self.cache(block, where)
        match source:
            case {"type": "base64", "data": str(data), "media_type": str(mime)}:
                return Media(kind, mime, data=data, name=name, cache=cache)
            case {"type": "text", "data": str(text)}:
                data = base64.b64encode(text.encode("utf-8", "replace")).decode()
                return Media(kind, "text/plain", data=data, name=name, cache=cache)
            case {"type": "url", "url": str(url)}:
                mime = "application/pdf" if kind is MediaKind.DOCUMENT else ""
                return Media(kind, mime, url=url, name=name, cache=cache)
            case {"type": "base64" | "text" | "url"}:
                raise invalid(
                    f"{where}.source must have data, text or a url, and base64 data a media_type", f"{where}.source"
                )
            case {"type": "content", "content": str() | [*_] as content}:
                return Opaque(DIALECT, block, self.document(content, f"{where}.source.content", name=name), where)
            case _:
                return Opaque(DIALECT, block, where=where)

    def approximation(self, block: JSON, where: str) -> tuple[Part, ...]:
        """Approximate a block that has no neutral value of its own; return no parts if that is not possible."""
        match block:
            case {"type": "search_result", "content": [*_] as content}:
                name, source = (read_text(block.get(key), f"{where}.{key}") for key in ("title", "source"))
                return self.document(content, f"{where}.content", name=name, source=source)
            case {"type": "tool_reference", "tool_name": str(name)}:
                return (Text(f"The tool {name} can be called."),)
            case {"type": "compaction", "content": str(summary)}:
                return (Text(summary),)
            case _:
                return ()

    def document(self, content: Any, where: str, *, name: str, source: str = "") -> tuple[Part, ...]:
        """Render a document that is given as text, followed by its other parts."""
        parts = self.parts(content, where)
        text = "\n".join(part.text for part in parts if isinstance(part, Text))
        others = (part for part in parts if not isinstance(part, Text))
        return (Text(attachments.as_text(text, name=name, source=source)), *others)

    def cache(self, block: JSON, where: str) -> CacheMark | None:
        if block.get("cache_control") is None:
            return None
        where = f"{where}.cache_control".removeprefix(".")
        mark = read_object(block["cache_control"], where)
        for name, value in mark.items():
            if name not in ("type", "ttl"):
                self.extra.setdefault(f"cache_control.{name}", []).append(value)
        return CacheMark(None if mark.get("ttl") is None else read_string(mark["ttl"], f"{where}.ttl"))

    def tool(self, value: Any, where: str) -> ToolSpec | Opaque:
        tool = read_object(value, where)
        if tool.get("type") not in (None, "custom"):
            return Opaque(DIALECT, tool)
        name = _string(tool, "name", where)
        for field, held in tool.items():
            if field not in _FIELDS["tool"] and held is not None:
                self.extra.setdefault(f"tools[].{field}", {})[name] = held
        strict = tool.get("strict")
        return ToolSpec(
            name,
            read_text(tool.get("description"), f"{where}.description"),
            read_object(tool.get("input_schema") or {"type": "object", "properties": {}}, f"{where}.input_schema"),
            strict if isinstance(strict, bool) else None,
            self.cache(tool, where),
        )

    def keep(self, prefix: str, kind: str, block: JSON) -> None:
        """Add the non-empty fields of a block that have no neutral field to `extra`."""
        if block.keys() <= _FIELDS[kind]:
            return
        for name, value in block.items():
            if name not in _FIELDS[kind] and value and value != {"type": "direct"}:
                self.extra.setdefault(f"{prefix}.{name}", []).append(value)

    def user(self, body: JSON) -> str:
        metadata = read_object(body.get("metadata") or {}, "metadata")
        user = metadata.get("user_id")
        if rest := {name: value for name, value in metadata.items() if name != "user_id"}:
            self.extra["metadata"] = rest
        return read_text(user, "metadata.user_id")

    def thinking(self, body: JSON) -> tuple[Reasoning | None, OutputFormat | None]:
        """Parse `thinking` (whether to think) and `output_config` (the effort and the output format)."""
        config = dict(read_object(body.get("output_config") or {}, "output_config"))
        output = _output(config.pop("format", None) or body.get("output_format"))
        level = config.get("effort")
        effort = Effort(level) if level in _EFFORTS else None
        reasoning = self.reasoning(body, effort)
        if effort and reasoning and reasoning.effort is effort:
            del config["effort"]
        if config := {name: value for name, value in config.items() if value is not None}:
            self.extra["output_config"] = config
        return reasoning, output

    def reasoning(self, body: JSON, effort: Effort | None) -> Reasoning | None:
        thinking = read_object(body.get("thinking") or {}, "thinking")
        if display := thinking.get("display"):
            self.extra["thinking.display"] = display
        shown = display != "omitted"
        match thinking.get("type"):
            case None:
                return Reasoning(effort, for_answer=True) if effort else None
            case "disabled":
                return Reasoning(Effort.NONE)
            case "enabled":
                budget = read_whole_number(thinking.get("budget_tokens"), "thinking.budget_tokens", _TOO_LARGE)
                return Reasoning(effort, budget, adaptive=budget is None, shown=shown)
            case _:
                return Reasoning(effort, adaptive=True, shown=shown)


def _output(format: Any) -> OutputFormat | None:
    if format is None:
        return None
    schema = read_object(format, "output_config.format").get("schema")
    return OutputFormat(None if schema is None else read_object(schema, "output_config.format.schema"))


def _tool_choice(value: Any) -> ToolChoice | None:
    if value is None:
        return None
    choice = read_object(value, "tool_choice")
    mode = _TOOL_CHOICE.get(read_string(choice.get("type"), "tool_choice.type"))
    if mode is None:
        raise invalid('tool_choice.type must be "auto", "any", "tool" or "none"', "tool_choice.type")
    name = read_string(choice.get("name"), "tool_choice.name") if mode is ToolMode.NAMED else ""
    single = choice.get("disable_parallel_tool_use")
    return ToolChoice(mode, name, None if single is None else not single)


def _sampling(body: JSON) -> Sampling:
    stop = FieldReader(body).array("stop_sequences")
    return Sampling(
        max_tokens=read_whole_number(body.get("max_tokens"), "max_tokens", _TOO_LARGE),
        temperature=read_number(body.get("temperature"), "temperature", _TOO_LARGE),
        top_p=read_number(body.get("top_p"), "top_p", _TOO_LARGE),
        top_k=read_whole_number(body.get("top_k"), "top_k", _TOO_LARGE),
        stop=tuple(read_string(value, f"stop_sequences[{index}]") for index, value in enumerate(stop)),
    )


def _string(holder: JSON, name: str, where: str) -> str:
    """Read a field that must be a string. *where* is the path of the object that has it."""
    value = holder.get(name)
    return value if isinstance(value, str) else read_string(value, f"{where}.{name}")


def _holds_pictures(part: Part) -> bool:
    return isinstance(part, Text) and "](data:image/" in part.text


def _with_pictures(part: Part) -> Iterator[Part]:
    """Split an answer's text at the pictures that `response.picture` has written into it as Markdown."""
    if not isinstance(part, Text) or not _holds_pictures(part):
        yield part
        return
    pieces: list[Text | Media] = []
    end = 0
    for found in _PICTURE.finditer(part.text):
        pieces += [Text(part.text[end : found.start()]), Media(MediaKind.IMAGE, found[1], found[2])]
        end = found.end()
    pieces.append(Text(part.text[end:]))
    *before, last = [piece for piece in pieces if piece != Text("")]
    yield from before
    yield replace(last, cache=part.cache)


def _words(part: Part) -> str:
    """Return the text of a part that cannot be part of a tool's result."""
    match part:
        case Thinking(text) | ToolCall(arguments=text):
            return text
        case _:
            return ""
