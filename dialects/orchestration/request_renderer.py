"""The request renderer of SAP AI Core's orchestration, with one request format for the models of all vendors.

Messages are those of chat completions, with stricter rules: content must not be null or an empty list, though it may be
an empty string, and unknown fields are refused. `templates` describes their place in the request.
"""

from collections.abc import Iterator
from dataclasses import replace

from dialects.adapt import attachments, claude_limits, claude_tools, turn_order
from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.tool_names import arguments_of
from dialects.capabilities.models import ModelProfile, ThinkingStyle, Vendor
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Media,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.framing.json_text import dumps
from dialects.gemini.request_renderer import SKIP_SIGNATURE
from dialects.interface import Rendered
from dialects.openai_chat.request_renderer import MessageWriter, chat_body
from dialects.openai_common.limits import nearest_effort
from dialects.openai_common.request_renderer import record_cache_marks
from dialects.orchestration.limits import (
    ON_BEDROCK,
    effort_of,
    fit_choice,
    fit_schema,
    insists_on_signatures,
    known_parameters,
    profile_through,
    with_called_tools,
    with_json_tool,
    with_marks_moved,
)
from dialects.orchestration.templates import laid_out
from dialects.orchestration.vocabulary import DIALECT, family_of

_IN_THE_PROMPT = ("tools", "response_format")


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Render a request. Raises `FaultError` if leaving out an unsupported feature would change the meaning.

    The service's own retries are turned off, because the gateway retries with other endpoints.
    """
    dropped: set[str] = set()
    profile = profile_through(profile)
    conversation = fit_choice(conversation, profile, dropped)
    if profile.vendor in ON_BEDROCK:
        thoughts = profile.vendor is Vendor.CLAUDE
        conversation, lost = claude_limits.without_unsupported_parts(conversation, DIALECT, thoughts=thoughts)
        dropped |= lost
        conversation = with_called_tools(with_json_tool(conversation, profile))
    conversation, effort = _settled(conversation, profile, dropped)
    conversation = _fitted(conversation, profile, dropped)
    body = chat_body(_without_tool_marks(conversation, profile), _Messages(profile, dropped), profile, dropped)
    messages = body.pop("messages")
    if profile.vendor is Vendor.GEMINI and not any(map(_says_something, messages)):
        raise invalid(f"messages contains nothing to answer for model {conversation.model}", "messages")
    history, template, values = laid_out(messages)
    prompt = {"template": template, **{name: body.pop(name) for name in _IN_THE_PROMPT if name in body}}
    if profile.vendor is Vendor.CLAUDE and "tools" in prompt:
        declared = [tool for tool in conversation.tools if isinstance(tool, ToolSpec)]
        marked = zip(prompt["tools"], declared, strict=True)
        prompt["tools"] = [{**written, **_cached(tool.cache)} for written, tool in marked]
    body |= {"reasoning_effort": effort} if effort else {}
    body |= {"stream_options": {"include_usage": True}} if conversation.stream else {}
    params = known_parameters(body, profile, dropped)
    model = {"name": profile.name, "params": params, "max_retries": 0}
    config: JSON = {"modules": {"prompt_templating": {"prompt": prompt, "model": model}}}
    if conversation.stream:
        config["stream"] = {"enabled": True}
    request = {"messages_history": history, "config": config, "placeholder_values": values}
    request = {name: value for name, value in request.items() if value}
    return Rendered(request, tuple(sorted(dropped)))


def _says_something(message: JSON) -> bool:
    """Return whether a message has content that a model can answer, which system messages do not."""
    return message["role"] != "system" and bool(message["content"] or message.get("tool_calls"))


def _settled(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> tuple[Conversation, str | None]:
    """Reconcile length, sampling and thinking, which models do not accept in every combination.

    Returns the conversation and the effort to send, if any.
    """
    reasoning, sampling = conversation.reasoning, conversation.sampling
    if profile.vendor is Vendor.CLAUDE:
        asked = replace(
            claude_limits.requested_settings(conversation),
            forced=claude_tools.is_forced(conversation),
            unsigned_calls=reasoning is not None and claude_limits.unsigned_calls(turn_order.ordered(conversation)[1]),
        )
        plan = claude_limits.reconcile(asked, profile)
        dropped |= plan.dropped
        length = None if sampling.max_tokens is None else plan.max_tokens
        stops = tuple(stop for stop in sampling.stop if stop.strip())
        if len(stops) < len(sampling.stop):
            dropped.add("stop")
        sampling = replace(
            sampling, max_tokens=length, temperature=plan.temperature, top_p=plan.top_p, top_k=plan.top_k, stop=stops
        )
        effort = effort_of(reasoning, thinks=claude_limits.is_on(plan.thinking))
        return replace(conversation, sampling=sampling, reasoning=None), effort
    if profile.thinking in (ThinkingStyle.BUDGET, ThinkingStyle.LEVEL):
        effort = effort_of(reasoning, thinks=True)
        if reasoning is not None and effort is None and (reasoning.effort or reasoning.budget is not None):
            # Orchestration has no effort that turns thinking off.
            dropped.add("reasoning_effort")
        return conversation, effort
    effort = nearest_effort(reasoning, profile, dropped)
    if effort and profile.responses_for_tools and conversation.tools:
        # Orchestration uses chat completions, which refuses functions together with reasoning for these models.
        dropped.add("reasoning_effort")
        effort = None
    return conversation, effort


def _fitted(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> Conversation:
    """Adapt the schemas of tools to the model, and the cache marks to Claude, the only model that receives them."""
    budget = SchemaBudget()
    tools = tuple(
        tool if isinstance(tool, Opaque) else fit_schema(tool, profile, budget, dropped) for tool in conversation.tools
    )
    conversation = replace(conversation, tools=tools)
    if profile.vendor is not Vendor.CLAUDE:
        return conversation
    moved = with_marks_moved(conversation, dropped)
    limited, fewer = claude_limits.with_limited_cache_marks(moved, in_results=False)
    dropped |= {"cache_control"} if fewer else set()
    return limited


def _without_tool_marks(conversation: Conversation, profile: ModelProfile) -> Conversation:
    """Remove the cache marks of tools for Claude. They are added to the rendered tools later."""
    if profile.vendor is not Vendor.CLAUDE:
        return conversation
    plain = tuple(tool if isinstance(tool, Opaque) else replace(tool, cache=None) for tool in conversation.tools)
    return replace(conversation, tools=plain)


def _cached(mark: CacheMark | None) -> JSON:
    if mark is None:
        return {}
    return {"cache_control": {"type": "ephemeral", **({"ttl": mark.ttl} if mark.ttl in ("5m", "1h") else {})}}


class _Messages(MessageWriter):
    """Writes the messages as orchestration accepts them."""

    def __init__(self, profile: ModelProfile, dropped: set[str]) -> None:
        super().__init__(profile, dropped)
        self._is_claude = profile.vendor is Vendor.CLAUDE
        self._family = family_of(profile.name)
        self._insists_on_signatures = insists_on_signatures(profile)

    def _ordered(self, conversation: Conversation) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
        if self._profile.vendor not in ON_BEDROCK:
            return super()._ordered(conversation)
        system, messages = turn_order.ordered(conversation)
        return system, claude_limits.without_space_at_the_end(messages) if self._is_claude else messages

    def _system(self, system: tuple[Text, ...]) -> list[JSON]:
        texts = [text for text in system if text.text]
        if not self._is_claude or not any(text.cache for text in texts):
            return super()._system(system)
        blocks = [self._marked({"type": "text", "text": text.text}, text) for text in texts]
        return [{"role": "system", "content": blocks}]

    def _marked(self, block: JSON, part: Text | Media) -> JSON:
        return {**block, **_cached(part.cache)} if self._is_claude else block

    def _record_marks(self, parts: tuple[Part, ...]) -> None:
        if not self._is_claude:
            record_cache_marks(parts, self._dropped)

    def _media(self, part: Media) -> JSON:
        if part.url:
            raise attachments.refused(part, self._profile, "cannot fetch it from a URL: send the data itself")
        return super()._media(part)

    def _opaque(self, part: Opaque) -> Iterator[JSON]:
        self._dropped.add(part.kind)
        return iter(())

    def _name(self, message: Message) -> JSON:
        self._dropped |= {"name"} if super()._name(message) else set()
        return {}

    def _assistant(self, message: Message) -> Iterator[JSON]:
        thoughts = [self._thought(part) for part in message.parts if isinstance(part, Thinking)]
        signed = [thought for thought in thoughts if thought]
        if not signed and self._insists_on_signatures and any(isinstance(part, ToolCall) for part in message.parts):
            signed = [{"content": "", "signature": SKIP_SIGNATURE}]
        marked = [part for part in message.parts if isinstance(part, Text) and part.cache]
        for said in super()._assistant(message):
            content = said["content"] or ""
            if self._is_claude and marked and message.role is Role.ASSISTANT:
                content = [self._marked({"type": "text", "text": part.text}, part) for part in _texts(message)]
            yield {**said, "content": content, **({"reasoning_content": signed} if signed else {})}

    def _call(self, call: ToolCall) -> JSON:
        """Render a call with arguments that are a JSON object, which only OpenAI's models do not require."""
        arguments = call.arguments if self._native else dumps(arguments_of(call, self._dropped))
        return super()._call(replace(call, arguments=arguments))

    def _call_id(self, id: str) -> str:
        return claude_tools.call_id(id) if self._profile.vendor in ON_BEDROCK else super()._call_id(id)

    def _thought(self, part: Thinking) -> JSON | None:
        """Render a thinking block that a model of the same family signed; None for any other."""
        own = part.family is not None and part.family is self._family
        return {"content": part.text, "signature": part.signature} if own and part.signature else None

    def _record_dropped(self, part: Part) -> None:
        if not (isinstance(part, Thinking) and self._thought(part)):
            super()._record_dropped(part)


def _texts(message: Message) -> list[Text]:
    return [part for part in message.parts if isinstance(part, Text) and part.text]
