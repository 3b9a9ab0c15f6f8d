"""Orchestration's limits on parameters, schemas, tool choices, thinking and cache marks, for each vendor's models."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from dialects.adapt import claude_tools
from dialects.adapt.claude_tools import input_schema, novas_schema
from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.schema_cache import cached
from dialects.adapt.schemas import for_gemini
from dialects.capabilities.models import ODD_IN_NAMES, ModelProfile, ThinkingStyle, Vendor
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Effort,
    Media,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.openai_common.limits import fit_effort

_EVERYWHERE = frozenset(
    {"max_tokens", "parallel_tool_calls", "reasoning_effort", "stop", "stream_options", "temperature", "tool_choice"}
    | {"top_p"}
)
_OPENAIS = frozenset(
    {"frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "presence_penalty", "seed", "top_logprobs"}
    | {"user", "verbosity"}
)
_GEMINIS = frozenset({"frequency_penalty", "presence_penalty", "seed"})
_PARAMETERS = {
    Vendor.OPENAI: _EVERYWHERE | _OPENAIS,
    Vendor.GEMINI: _EVERYWHERE | _GEMINIS,
    # https://docs.perplexity.ai/api-reference/chat-completions-post
    Vendor.PERPLEXITY: (_EVERYWHERE | {"frequency_penalty", "presence_penalty"}) - {"parallel_tool_calls", "stop"},
    Vendor.NOVA: _EVERYWHERE - {"parallel_tool_calls"},
    # SAP's own clients remove the temperature for Cohere.
    Vendor.COHERE: _EVERYWHERE - {"temperature"},
}
"""The parameters that orchestration accepts for the models of a vendor. It refuses others.

`prompt_cache_key` and `top_k` are not documented. GPT's prompts are cached without a key.
"""
_SAYS_NOTHING: tuple[object, ...] = (None, False, [], {})
ON_BEDROCK = frozenset({Vendor.CLAUDE, Vendor.NOVA})
"""The vendors whose models require that turns alternate and that tools called in the history are declared."""
_NO_SCHEMAS = frozenset({Vendor.TITAN, Vendor.COHERE})
"""The vendors whose models do not support a response format through orchestration."""
_EFFORTS = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)
_EFFORT_UP_TO = ((4096, Effort.LOW), (12288, Effort.MEDIUM))
"""The effort for a thinking budget of up to so many tokens."""


@lru_cache(maxsize=1024)
def profile_through(profile: ModelProfile) -> ModelProfile:
    """Return what a model accepts through orchestration.

    Orchestration supports response formats for the models of most vendors outside of Bedrock, restricts the names of
    tools as OpenAI does, and does not support audio.
    """
    schemas = profile.native_schema if profile.vendor in ON_BEDROCK else profile.vendor not in _NO_SCHEMAS
    odd = re.compile(f"{profile.odd_in_names.pattern}|{ODD_IN_NAMES.pattern}")
    return replace(profile, odd_in_names=odd, audio=False, native_schema=schemas)


def insists_on_signatures(profile: ModelProfile) -> bool:
    """Return whether a model refuses a call in the current turn without the signature of the thinking before it."""
    return profile.vendor is Vendor.GEMINI and profile.thinking is ThinkingStyle.LEVEL


def known_parameters(params: JSON, profile: ModelProfile, dropped: set[str]) -> JSON:
    """Return the parameters that the model accepts. The others are added to *dropped* unless they had no effect."""
    taken = _PARAMETERS.get(profile.vendor, _EVERYWHERE)
    if not profile.verbosity:
        taken -= {"verbosity"}
    lost = {name: value for name, value in params.items() if name not in taken}
    dropped |= {name for name, value in lost.items() if value not in _SAYS_NOTHING or name == "parallel_tool_calls"}
    return {name: value for name, value in params.items() if name in taken}


def fit_parameters(params: JSON, profile: ModelProfile, *, has_tools: bool) -> None:
    """Change *params*, which were rendered for another model, to an effort and a tool choice that this model accepts.

    For Claude, a required call takes precedence over thinking, and thinking over sampling parameters, because it does
    not accept them together.
    """
    if not profile.choice_through_orchestration or (
        profile.vendor is Vendor.NOVA and params.get("tool_choice") == "none"
    ):
        params.pop("tool_choice", None)
    if "reasoning_effort" not in params:
        return
    forced = params.get("tool_choice") not in (None, "auto", "none")
    if (has_tools and profile.responses_for_tools) or (forced and profile.vendor is Vendor.CLAUDE):
        del params["reasoning_effort"]
    elif profile.thinking in (ThinkingStyle.NONE, ThinkingStyle.EFFORT):
        fit_effort(params, "reasoning_effort", profile, set())
    else:
        asked = Reasoning(Effort(params.pop("reasoning_effort")))
        effort = effort_of(asked, thinks=True)
        params |= {"reasoning_effort": effort} if effort else {}
        if effort and profile.vendor is Vendor.CLAUDE:
            for name in ("temperature", "top_p"):
                params.pop(name, None)


def fit_choice(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> Conversation:
    """Leave out a tool choice that is refused for the model. Raises `FaultError` if the choice requires a call."""
    choice = conversation.tool_choice
    if choice is None or (profile.choice_through_orchestration and profile.vendor is not Vendor.NOVA):
        return conversation
    if profile.vendor is Vendor.NOVA:
        return _without_none(conversation, choice, dropped)
    if choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED) and conversation.tools:
        why = f"model {profile.name} cannot be forced to call one through orchestration: leave the choice to the model"
        raise invalid(f"tool_choice requires a tool, but {why}", "tool_choice")
    tools = () if choice.mode is ToolMode.NONE else conversation.tools
    if choice.parallel is not None and tools:
        dropped.add("parallel_tool_calls")
    return replace(conversation, tools=tools, tool_choice=None)


def _without_none(conversation: Conversation, choice: ToolChoice, dropped: set[str]) -> Conversation:
    """Replace the choice of no tool, which Nova does not have, by leaving out all tools.

    If the history calls tools, they must be declared, and the choice is reported as dropped instead.
    """
    if choice.mode is not ToolMode.NONE:
        return conversation
    if not claude_tools.called_in(conversation.messages):
        return replace(conversation, tools=(), tool_choice=None)
    dropped |= {"tool_choice"} if conversation.tools else set()
    return replace(conversation, tool_choice=None)


def with_json_tool(conversation: Conversation, profile: ModelProfile) -> Conversation:
    """Make a model on Bedrock answer in JSON by a tool call, if it does not support the schema. Other tools stay."""
    output = conversation.output
    is_native = profile.vendor not in ON_BEDROCK or not claude_tools.needs_json_tool(
        output, native=profile.native_schema
    )
    if output is None or is_native:
        return conversation
    choice = conversation.tool_choice or ToolChoice()
    if not conversation.tools or choice.mode is ToolMode.NONE:
        choice = replace(choice, mode=ToolMode.NAMED, name=claude_tools.JSON_TOOL)
    elif choice.mode is not ToolMode.NAMED:
        choice = replace(choice, mode=ToolMode.REQUIRED)
    tools = (*with_called_tools(conversation).tools, claude_tools.json_tool(output))
    return replace(conversation, tools=tools, tool_choice=choice, output=None)


def with_called_tools(conversation: Conversation) -> Conversation:
    """Declare the tools that the history calls if the client declares none, because models on Bedrock require it."""
    if conversation.tools:
        return conversation
    return replace(conversation, tools=tuple(map(ToolSpec, claude_tools.called_in(conversation.messages))))


def effort_of(reasoning: Reasoning | None, *, thinks: bool) -> str | None:
    """Choose the effort for Claude or Gemini; None if thinking is not requested. *thinks* is whether it is possible."""
    if reasoning is None or reasoning.effort is Effort.NONE or not thinks:
        return None
    if reasoning.effort is not None:
        places = list(Effort)
        wanted = places.index(reasoning.effort)
        return min(_EFFORTS, key=lambda each: abs(places.index(each) - wanted)).value
    if reasoning.budget is not None and reasoning.budget > 0:
        return next((effort.value for most, effort in _EFFORT_UP_TO if reasoning.budget <= most), Effort.HIGH.value)
    return "medium" if reasoning.adaptive else None


def fit_schema(tool: ToolSpec, profile: ModelProfile, budget: SchemaBudget, dropped: set[str]) -> ToolSpec:
    """Return a tool with a schema that Claude, Nova or Gemini accepts. Tools for other models stay unchanged here."""
    match profile.vendor:
        case Vendor.CLAUDE:
            schema, lost = input_schema(tool.parameters)
        case Vendor.NOVA:
            schema, lost = novas_schema(tool, budget)
        case Vendor.GEMINI:
            adapted = cached(for_gemini, tool.parameters, budget, f"parameters of tool {tool.name!r}")
            schema, lost = {"type": "object", **adapted.schema}, set(adapted.dropped)
        case _:
            return tool
    dropped |= {f"tools[].parameters.{name}" for name in lost}
    return replace(tool, parameters=schema)


def with_marks_moved(conversation: Conversation, dropped: set[str]) -> Conversation:
    """Move cache marks from calls and results, which cannot have one here, to the text or attachment before them.

    Slightly less of the prompt is cached then. If there is nothing before, or if it has a mark already, the mark is
    left out and reported as dropped.
    """
    messages = [list(message.parts) for message in conversation.messages]
    bearer: tuple[int, int] | None = None
    for at, parts in enumerate(messages):
        for place, part in enumerate(parts):
            mark = _mark_within(part)
            parts[place] = _unmarked(part)
            if isinstance(part, Media) or (isinstance(part, Text) and part.text.strip()):
                bearer = at, place
            if mark is None:
                continue
            before = messages[bearer[0]][bearer[1]] if bearer else None
            if bearer and isinstance(before, Text | Media) and not before.cache:
                messages[bearer[0]][bearer[1]] = replace(before, cache=mark)
            else:
                dropped.add("cache_control")
    moved = (
        Message(message.role, tuple(parts)) for message, parts in zip(conversation.messages, messages, strict=True)
    )
    return replace(conversation, messages=tuple(moved))


def _mark_within(part: Part) -> CacheMark | None:
    match part:
        case ToolCall(cache=mark):
            return mark
        case ToolResult(_, parts, _, mark):
            return mark or _first(inner.cache for inner in parts if isinstance(inner, Text | Media))
        case _:
            return None


def _first(marks: Iterable[CacheMark | None]) -> CacheMark | None:
    return next((mark for mark in marks if mark), None)


def _unmarked(part: Part) -> Part:
    match part:
        case ToolCall():
            return replace(part, cache=None)
        case ToolResult(parts=parts):
            plain = tuple(replace(inner, cache=None) if isinstance(inner, Text | Media) else inner for inner in parts)
            return replace(part, cache=None, parts=plain)
        case _:
            return part
