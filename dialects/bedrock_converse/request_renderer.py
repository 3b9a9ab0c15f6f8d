"""Renderer of Bedrock Converse requests.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, and botocore's ``bedrock-runtime``
service model. Bytes are sent as base64.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dialects.adapt import attachments, claude_limits, claude_tools, turn_order
from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.tool_names import arguments_of
from dialects.bedrock_converse.vocabulary import DIALECT
from dialects.capabilities.models import ModelProfile, Vendor
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
from dialects.core.faults import invalid
from dialects.interface import Rendered

_TOOL_CHOICE = {
    ToolMode.AUTO: "auto",
    ToolMode.REQUIRED: "any",
    ToolMode.NAMED: "tool",
    ToolMode.NONE: "auto",
}
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
# The name of a document may hold only these characters, and no two spaces in a row.
_ILLEGAL_IN_NAME = re.compile(r"[^a-zA-Z0-9()\[\] -]+")
_LONGEST_NAME = 200
_ABOUT_DOCUMENTS = "See the attached document."
_EMPTY = "(no output)"
_MODELS_OWN = "anthropic_beta"


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Render a request to a model on Bedrock; raises `FaultError` if leaving something out would change the meaning."""
    media = _Renderer(conversation, profile).media
    thoughts = profile.vendor is Vendor.CLAUDE
    conversation, dropped = claude_limits.fit_conversation(
        conversation, DIALECT, media, thoughts=thoughts, in_results=False
    )
    renderer = _Renderer(conversation, profile, dropped)
    body = renderer.body()
    return Rendered(body, tuple(sorted(renderer.dropped)))


@dataclass(slots=True)
class _Renderer:
    """Renders one conversation. *dropped* collects the names of what could not be rendered."""

    conversation: Conversation
    profile: ModelProfile
    dropped: set[str] = field(default_factory=set)
    budget: SchemaBudget = field(default_factory=SchemaBudget)
    names: set[str] = field(default_factory=set)
    """The names of documents that are in use. Each must be unique."""
    numbers: Counter[str] = field(default_factory=Counter)
    """The last number that was added to each name of documents."""

    def body(self) -> JSON:
        conversation = self.conversation
        if conversation.tools and not self.profile.tools:
            raise invalid(f"tools cannot be used with model {self.profile.name}", "tools")
        system, messages = turn_order.ordered(conversation)
        messages = claude_limits.without_space_at_the_end(messages) if self.is_claude else messages
        tools = self.tool_config(messages)
        inference, model_fields = self.settings(messages, tools)
        body: JSON = {
            "messages": [self.message(message) for message in messages],
            "system": [block for text in system for block in self.blocks(text)],
            "inferenceConfig": inference,
            "toolConfig": tools,
            "additionalModelRequestFields": model_fields,
        }
        if self.is_claude and inference.get("stopSequences"):
            body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
        self.dropped |= claude_limits.unsupported_settings(conversation) | (conversation.extra.keys() - {_MODELS_OWN})
        return {name: value for name, value in body.items() if value}

    @property
    def is_claude(self) -> bool:
        return self.profile.vendor is Vendor.CLAUDE

    @property
    def json_tool(self) -> bool:
        return claude_tools.needs_json_tool(self.conversation.output, native=False)

    def settings(self, messages: tuple[Message, ...], tools: JSON | None) -> tuple[JSON, JSON]:
        """Return the inference settings that Converse has fields for, and those that go into the model's own fields."""
        requested = replace(
            claude_limits.requested_settings(self.conversation),
            forced=claude_tools.is_forced(self.conversation) or self.json_tool,
            unsigned_calls=claude_limits.unsigned_calls(messages),
        )
        plan = claude_limits.reconcile(requested, self.profile)
        self.dropped |= plan.dropped
        # Only Claude requires a length. Other models have a default.
        length = plan.max_tokens if self.is_claude or requested.max_tokens else None
        inference = {
            "maxTokens": length,
            "temperature": plan.temperature,
            "topP": plan.top_p,
            "stopSequences": self.stops(),
        }
        return _said(inference), _said(self.model_fields(plan, tools))

    def model_fields(self, plan: claude_limits.AcceptedSettings, tools: JSON | None) -> JSON:
        asked = self.conversation.extra.get(_MODELS_OWN) or []
        named = asked if isinstance(asked, list) else [asked]
        betas = [beta for beta in named if isinstance(beta, str) and beta in self.profile.betas]
        if len(betas) < len(named):
            self.dropped.add(_MODELS_OWN)
        if not self.is_claude:
            return {"inferenceConfig": _said({"topK": plan.top_k})}
        return {
            "thinking": plan.thinking if claude_limits.is_on(plan.thinking) else None,
            "output_config": _said({"effort": plan.effort}),
            "top_k": plan.top_k,
            "tool_choice": self.one_at_a_time(tools),
            _MODELS_OWN: claude_limits.with_effort_beta(betas, plan, self.profile),
        }

    def stops(self) -> list[str]:
        """Return the stop sequences. Claude refuses those that are only white space."""
        wanted = self.conversation.sampling.stop
        stops = [stop for stop in wanted if stop.strip()] if self.is_claude else list(wanted)
        if len(stops) < len(wanted):
            self.dropped.add("stop")
        return stops

    def message(self, message: Message) -> JSON:
        content = [block for part in message.parts for block in self.blocks(part)]
        if any("document" in block for block in content) and not any("text" in block for block in content):
            content.append({"text": _ABOUT_DOCUMENTS})
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        return {"role": role, "content": content}

    def blocks(self, part: Part) -> list[JSON]:
        """Render a part, followed by a cache point if it has a cache mark."""
        match part:
            case Text(text, cache):
                return [{"text": text}, *_cache_point(cache)]
            case Refusal(text):
                return [{"text": text}]
            case Media(cache=cache):
                return [self.media(part), *_cache_point(cache)]
            case Thinking(redacted=str(data)) if data:
                return [{"reasoningContent": {"redactedContent": data}}]
            case Thinking(text, signature):
                return [{"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}]
            case ToolCall(id, name, _, cache):
                use = {"toolUseId": claude_tools.call_id(id), "name": name, "input": arguments_of(part, self.dropped)}
                return [{"toolUse": use}, *_cache_point(cache)]
            case ToolResult(cache=cache):
                return [self.result(part), *_cache_point(cache)]
            case Opaque(_, payload):
                return [payload]

    def result(self, result: ToolResult) -> JSON:
        said = result if self.is_claude else turn_order.failure_in_words(result)
        content = [block for part in said.parts if not turn_order.is_blank(part) for block in self.blocks(part)]
        answer: JSON = {"toolUseId": claude_tools.call_id(result.call_id), "content": content or [{"text": _EMPTY}]}
        if self.is_claude or not result.is_error:
            answer["status"] = "error" if result.is_error else "success"
        return {"toolResult": answer}

    def media(self, media: Media) -> JSON:
        self.dropped |= attachments.check(media, self.profile)
        if media.kind is MediaKind.IMAGE:
            kind = attachments.image_type(media, self.profile).removeprefix("image/")
            return {"image": {"format": kind, "source": {"bytes": media.data}}}
        mime = media.mime.lower().partition(";")[0]
        kind = _DOCUMENT_FORMATS.get(mime) or ("txt" if attachments.text_of(media) is not None else "")
        if not kind:
            raise attachments.refused(media, self.profile, "supports documents as PDF, Office files or text only")
        return {"document": {"format": kind, "name": self.name(media), "source": {"bytes": media.data}}}

    def name(self, media: Media) -> str:
        """Return a legal and unique name for a document."""
        legal = " ".join(_ILLEGAL_IN_NAME.sub(" ", media.name).split())[:_LONGEST_NAME] or "document"
        name = legal
        while name in self.names:
            # The first number is 2.
            self.numbers[legal] = max(1, self.numbers[legal]) + 1
            name = f"{legal} {self.numbers[legal]}"
        self.names.add(name)
        return name

    def tool_config(self, messages: Iterable[Message]) -> JSON | None:
        """Declare the tools.

        Tools that the history calls are declared even if the client declares none: Converse requires it.
        """
        choice = self.conversation.tool_choice or ToolChoice()
        called = claude_tools.called_in(messages)
        tools = [block for spec in self.conversation.tools for block in self.tool(spec)]
        if choice.mode is ToolMode.NONE and not called:
            tools = []
        if not tools:
            tools = [block for name in called for block in self.tool(ToolSpec(name))]
        if self.json_tool and self.conversation.output:
            tools += self.tool(claude_tools.json_tool(self.conversation.output), "response_format")
        if not tools:
            return None
        said = self.tool_choice(choice)
        return {"tools": tools, "toolChoice": said} if said else {"tools": tools}

    def tool_choice(self, choice: ToolChoice) -> JSON | None:
        if not self.conversation.tools or choice.mode is ToolMode.NONE:
            if choice.mode is ToolMode.NONE and self.conversation.tools:
                # Converse has no choice "none".
                self.dropped.add("tool_choice")
            return {"tool": {"name": claude_tools.JSON_TOOL}} if self.json_tool else None
        if choice.parallel is False and not self.is_claude:
            self.dropped.add("parallel_tool_calls")
        if choice.mode is ToolMode.NAMED:
            return {"tool": {"name": choice.name}}
        if self.json_tool:
            return {"any": {}}
        freely = choice.mode is ToolMode.AUTO and choice.parallel is False and self.is_claude
        return {_TOOL_CHOICE[choice.mode]: {}} if self.conversation.tool_choice and not freely else None

    def one_at_a_time(self, tools: JSON | None) -> JSON | None:
        """Render the fields that limit Claude to one tool call at a time, for which Converse itself has no field."""
        choice = self.conversation.tool_choice or ToolChoice()
        if not tools or not self.conversation.tools or choice.parallel is not False or choice.mode is ToolMode.NONE:
            return None
        kind = {} if "toolChoice" in tools else {"type": "auto"}
        return {**kind, "disable_parallel_tool_use": True}

    def tool(self, spec: ToolSpec | Opaque, name: str = "tools[].parameters") -> list[JSON]:
        """Render a tool. Parts of its schema that cannot be rendered are reported as dropped under *name*."""
        if isinstance(spec, Opaque):
            return [spec.payload]
        mark, description = spec.cache, spec.description
        schema, lost = claude_tools.input_schema(spec.parameters)
        if self.profile.vendor is Vendor.NOVA:
            self.dropped |= {"cache_control"} if mark else set()
            mark, description = None, description or str(spec.parameters.get("description") or "")
            schema, lost = claude_tools.novas_schema(spec, self.budget)
        self.dropped |= {f"{name}.{keyword}" for keyword in lost} | ({"tools[].strict"} if spec.strict else set())
        described = {"description": description} if description else {}
        return [
            {"toolSpec": {"name": spec.name, **described, "inputSchema": {"json": schema}}},
            *_cache_point(mark),
        ]


def _cache_point(mark: CacheMark | None) -> list[JSON]:
    if mark is None:
        return []
    ttl = {"ttl": mark.ttl} if mark.ttl in ("5m", "1h") else {}
    return [{"cachePoint": {"type": "default", **ttl}}]


def _said(fields: JSON) -> JSON:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}
