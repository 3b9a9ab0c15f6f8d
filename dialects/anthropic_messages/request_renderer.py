"""Renderer of requests to Claude on Bedrock, in Anthropic messages.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dialects.adapt import attachments, claude_limits, claude_tools, turn_order
from dialects.adapt.tool_names import arguments_of
from dialects.anthropic_messages.limits import fit_request
from dialects.anthropic_messages.vocabulary import DIALECT
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.interface import Rendered

_TOOL_CHOICE = {
    ToolMode.AUTO: "auto",
    ToolMode.REQUIRED: "any",
    ToolMode.NAMED: "tool",
    ToolMode.NONE: "none",
}
# Prefixes of extra fields that are put back where they came from. Other extra fields go to the top of the body.
_INSIDE = ("messages[].", "tools[].", "cache_control.", "thinking.")


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Render a request to Claude; raises `FaultError` if leaving something out would change the meaning."""
    media = _Renderer(conversation, profile).media
    conversation, dropped = claude_limits.fit_conversation(conversation, DIALECT, media, thoughts=True, in_results=True)
    renderer = _Renderer(conversation, profile, dropped)
    rendered = fit_request(renderer.body(), profile)
    return replace(rendered, dropped=tuple(sorted(renderer.dropped.union(rendered.dropped))))


@dataclass(slots=True)
class _Renderer:
    """Renders one conversation. *dropped* collects the names of what could not be rendered."""

    conversation: Conversation
    profile: ModelProfile
    dropped: set[str] = field(default_factory=set)

    def body(self) -> JSON:
        conversation = self.conversation
        own = conversation.dialect == DIALECT
        system, messages = turn_order.ordered(conversation)
        json_tool = claude_tools.needs_json_tool(conversation.output, native=self.profile.native_schema)
        tools = self.tools(messages, json_tool=json_tool)
        body: JSON = {
            "messages": [self.message(message) for message in messages],
            "system": [_cached({"type": "text", "text": text.text}, text.cache) for text in system],
            "tools": tools,
            "tool_choice": _tool_choice(conversation, json_tool=json_tool) if tools else None,
            "stop_sequences": self.stops(),
        }
        requested = claude_limits.requested_settings(conversation)
        config = {"effort": requested.effort, "format": self.format(json_tool=json_tool)}
        body |= {
            "max_tokens": requested.max_tokens,
            "thinking": requested.thinking,
            "output_config": {name: value for name, value in config.items() if value is not None},
            "temperature": requested.temperature,
            "top_p": requested.top_p,
            "top_k": requested.top_k,
        }
        self.extras(body, own=own)
        self.dropped |= claude_limits.unsupported_settings(conversation)
        return {name: value for name, value in body.items() if value not in (None, [], {})}

    def extras(self, body: JSON, *, own: bool) -> None:
        """Put the fields that only this dialect has back into the body; report those of other dialects as dropped."""
        for name, value in self.conversation.extra.items():
            prefix, _, inner = name.partition("[].")
            if own and not name.startswith(_INSIDE):
                body[name] = (value | (body.get(name) or {})) if name == "output_config" else value
            elif own and prefix == "tools":
                _restore(body["tools"], inner, value)
            else:
                self.dropped.add(name)

    def message(self, message: Message) -> JSON:
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        return {"role": role, "content": [self.block(part) for part in message.parts]}

    def block(self, part: Part) -> JSON:
        match part:
            case Text(text, cache):
                return _cached({"type": "text", "text": text}, cache)
            case Refusal(text):
                return {"type": "text", "text": text}
            case Media():
                return self.media(part)
            case Thinking(redacted=str(data)) if data:
                return {"type": "redacted_thinking", "data": data}
            case Thinking(text, signature):
                return {"type": "thinking", "thinking": text, "signature": signature}
            case ToolCall(id, name, _, cache):
                call = {"id": claude_tools.call_id(id), "name": name, "input": arguments_of(part, self.dropped)}
                return _cached({"type": "tool_use", **call}, cache)
            case ToolResult():
                return self.result(part)
            case Opaque(_, payload):
                return payload

    def result(self, result: ToolResult) -> JSON:
        answer: JSON = {"type": "tool_result", "tool_use_id": claude_tools.call_id(result.call_id)}
        content = [self.block(part) for part in result.parts if not turn_order.is_blank(part)]
        if content:
            answer["content"] = content
        if result.is_error:
            answer["is_error"] = True
        return _cached(answer, result.cache)

    def media(self, media: Media) -> JSON:
        self.dropped |= attachments.check(media, self.profile)
        if media.kind is MediaKind.IMAGE:
            source = {"type": "base64", "media_type": attachments.image_type(media, self.profile), "data": media.data}
            return _cached({"type": "image", "source": source}, media.cache)
        text = attachments.text_of(media)
        if text is None and media.mime != "application/pdf":
            raise attachments.refused(media, self.profile, "supports documents as PDF or text only")
        source = {"type": "base64", "media_type": "application/pdf", "data": media.data}
        if text is not None:
            source = {"type": "text", "media_type": "text/plain", "data": text}
        title = {"title": media.name} if media.name else {}
        return _cached({"type": "document", "source": source, **title}, media.cache)

    def tools(self, messages: Iterable[Message], *, json_tool: bool) -> list[JSON]:
        tools = [self.tool(spec) for spec in self.conversation.tools]
        if not tools:
            tools = [
                {"name": name, "input_schema": {"type": "object", "properties": {}}}
                for name in claude_tools.called_in(messages)
            ]
        if json_tool and self.conversation.output:
            spec = claude_tools.json_tool(self.conversation.output)
            schema = {"input_schema": dict(spec.parameters)}
            tools.append({"name": spec.name, "description": spec.description, **schema})
        return tools

    def tool(self, spec: ToolSpec | Opaque) -> JSON:
        match spec:
            case Opaque(_, payload):
                return payload
            case ToolSpec(name, description, parameters, strict, cache):
                schema, lost = claude_tools.input_schema(parameters)
                self.dropped |= {f"tools[].parameters.{keyword}" for keyword in lost}
                if strict:
                    self.dropped.add("tools[].strict")
                described = {"description": description} if description else {}
                return _cached({"name": name, **described, "input_schema": schema}, cache)

    def stops(self) -> list[str]:
        """Return the stop sequences without those that are only white space, which Claude refuses."""
        stops = [stop for stop in self.conversation.sampling.stop if stop.strip()]
        if len(stops) < len(self.conversation.sampling.stop):
            self.dropped.add("stop")
        return stops

    def format(self, *, json_tool: bool) -> JSON | None:
        output = self.conversation.output
        if output is None or output.schema is None or json_tool:
            return None
        return {"type": "json_schema", "schema": dict(output.schema)}


def _tool_choice(conversation: Conversation, *, json_tool: bool) -> JSON | None:
    """Render the tool choice. The tool that returns JSON must be called if no other tool is."""
    choice = conversation.tool_choice or ToolChoice()
    if not conversation.tools:
        return {"type": "tool", "name": claude_tools.JSON_TOOL} if json_tool else {"type": "none"}
    mode, name = choice.mode, choice.name
    if json_tool and mode is not ToolMode.NAMED:
        mode, name = (ToolMode.NAMED, claude_tools.JSON_TOOL) if mode is ToolMode.NONE else (ToolMode.REQUIRED, "")
    rendered: JSON = {"type": _TOOL_CHOICE[mode]}
    if mode is ToolMode.NAMED:
        rendered["name"] = name
    if choice.parallel is not None and mode is not ToolMode.NONE:
        rendered["disable_parallel_tool_use"] = not choice.parallel
    return rendered if conversation.tool_choice or json_tool else None


def _restore(tools: list[JSON], name: str, values: Mapping[str, Any]) -> None:
    for tool in tools:
        if isinstance(tool.get("name"), str) and tool["name"] in values:
            tool[name] = values[tool["name"]]


def _cached(block: JSON, mark: CacheMark | None) -> JSON:
    if mark:
        ttl = {"ttl": mark.ttl} if mark.ttl in ("5m", "1h") else {}
        block["cache_control"] = {"type": "ephemeral", **ttl}
    return block
