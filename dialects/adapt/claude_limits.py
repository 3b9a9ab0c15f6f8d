"""Claude's limits on thinking, length, sampling and cache marks, in its own dialect and in Converse.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking and .../adaptive-thinking document which settings
can be combined with thinking.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count

from dialects.adapt.media_turns import with_media_moved
from dialects.adapt.tool_names import lost_with
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Effort,
    Family,
    MarkablePart,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResultPart,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

MAX_CACHE_MARKS = 4
MIN_BUDGET = 1024
_EFFORT_BETA = "effort-2025-11-24"

# The thinking budget in tokens for each effort, for models that take a budget.
_BUDGET = {
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
_EFFORT = {
    Effort.MINIMAL: "low",
    Effort.LOW: "low",
    Effort.MEDIUM: "medium",
    Effort.HIGH: "high",
    Effort.XHIGH: "xhigh",
    Effort.MAX: "max",
}
# The effort for a budget of up to so many tokens. For larger budgets no effort is sent, as Claude's default is high.
_EFFORT_UP_TO = ((4096, "low"), (12288, "medium"))
# The efforts that a model accepts if it accepts any. An effort that it does not accept becomes "high".
_EFFORTS_BY_STYLE = {
    ThinkingStyle.BUDGET: frozenset({"low", "medium", "high"}),
    ThinkingStyle.EITHER: frozenset({"low", "medium", "high", "max"}),
    ThinkingStyle.ADAPTIVE: frozenset({"low", "medium", "high", "xhigh", "max"}),
}


@dataclass(frozen=True, slots=True)
class RequestedSettings:
    """Settings of a request, which the model may not accept together. *thinking* is in Anthropic's format."""

    max_tokens: int | None = None
    thinking: JSON | None = None
    effort: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    forced: bool = False
    """Whether the model must call a tool."""
    unsigned_calls: bool = False
    """Whether the turn that the model continues has tool calls without a thinking block before them."""


@dataclass(frozen=True, slots=True)
class AcceptedSettings:
    """Settings that the model accepts together. Those that are None are not sent. *dropped* names the lost settings."""

    max_tokens: int
    thinking: JSON | None = None
    effort: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    dropped: frozenset[str] = frozenset()


def reconcile(requested: RequestedSettings, profile: ModelProfile) -> AcceptedSettings:
    """Reconcile the requested settings with what the model accepts."""
    thinking, lost = _thinking(requested, profile)
    limit, thinking, cut = _length(requested.max_tokens, thinking, profile)
    effort, unknown = _effort(requested, thinking, profile)
    accepted = AcceptedSettings(limit, thinking, effort, dropped=frozenset(lost | cut | unknown))
    return _sampling(accepted, requested, profile)


def requested_settings(conversation: Conversation) -> RequestedSettings:
    """Return the settings that a conversation requests."""
    sampling, reasoning = conversation.sampling, conversation.reasoning or Reasoning()
    effort = _EFFORT.get(reasoning.effort) if reasoning.effort else None
    return RequestedSettings(
        max_tokens=sampling.max_tokens,
        thinking=_asked(reasoning),
        effort=effort,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
    )


def unsigned_calls(messages: tuple[Message, ...]) -> bool:
    """Return whether the assistant's unfinished turn has tool calls without a thinking block before them.

    With a thinking budget, Claude refuses to continue such a turn.
    """
    if len(messages) < 2:
        return False
    last = messages[-2].parts
    return any(isinstance(part, ToolCall) for part in last) and not isinstance(last[0], Thinking)


def fit_conversation(
    asked: Conversation, dialect: str, render: Callable[[Media], object], *, thoughts: bool, in_results: bool
) -> tuple[Conversation, set[str]]:
    """Move media, and leave out parts and cache marks; return the conversation and the names of what was left out.

    The arguments are those of the functions that do so, each of which is called.
    """
    dropped: set[str] = set()
    conversation, lost = without_unsupported_parts(with_media_moved(asked, render, dropped), dialect, thoughts=thoughts)
    conversation, fewer = with_limited_cache_marks(conversation, in_results=in_results)
    return conversation, dropped | lost | ({"cache_control"} if fewer else set())


def without_unsupported_parts(
    conversation: Conversation, dialect: str, *, thoughts: bool
) -> tuple[Conversation, set[str]]:
    """Leave out parts and tools that *dialect* does not have, and thinking blocks without a signature of Claude.

    Without *thoughts*, all thinking blocks are left out. Returns the conversation and the names of what was left out.
    """
    lost: set[str] = set()

    def has(part: Part) -> bool:
        match part:
            case Thinking() if not (thoughts and is_own_thinking(part)):
                lost.add("thinking")
                return False
            case Opaque(owner) if owner != dialect:
                lost.add(part.kind)
                return False
            case _:
                return True

    def kept(part: Part) -> Part:
        if isinstance(part, ToolResult) and not all(map(has, part.parts)):
            return replace(part, parts=tuple(filter(has, part.parts)))
        return part

    messages = tuple(
        Message(message.role, tuple([kept(part) for part in message.parts if has(part)]))
        for message in conversation.messages
    )
    unsupported = [tool for tool in conversation.tools if isinstance(tool, Opaque) and tool.dialect != dialect]
    lost.update(*map(lost_with, unsupported))
    known = tuple(tool for tool in conversation.tools if not isinstance(tool, Opaque) or tool.dialect == dialect)
    return replace(conversation, messages=messages, tools=known), lost


def without_space_at_the_end(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Remove white space at the end of a prefilled answer, because Claude refuses to continue one that ends in it."""
    *before, last = messages
    end = last.parts[-1] if last.role is Role.ASSISTANT and last.parts else None
    if not isinstance(end, Text | Refusal):
        return messages
    return (*before, Message(last.role, (*last.parts[:-1], replace(end, text=end.text.rstrip()))))


def with_cache_mark_at_the_end(conversation: Conversation, mark: CacheMark | None) -> Conversation:
    """Put *mark*, if it is not None, on the last part that can have one, unless that part has a mark already."""
    if mark is None:
        return conversation
    messages = list(conversation.messages)
    places = [
        (at, place)
        for at, message in enumerate(messages)
        for place, part in enumerate(message.parts)
        if isinstance(part, Media | ToolCall | ToolResult) or (isinstance(part, Text) and part.text.strip())
    ]
    if not places:
        return conversation
    at, place = places[-1]
    parts = list(messages[at].parts)
    last = parts[place]
    if isinstance(last, MarkablePart) and not last.cache:
        parts[place] = replace(last, cache=mark)
    messages[at] = replace(messages[at], parts=tuple(parts))
    return replace(conversation, messages=tuple(messages))


def with_limited_cache_marks(asked: Conversation, *, in_results: bool) -> tuple[Conversation, bool]:
    """Reduce the cache marks to the number that Claude accepts, and return whether any were removed.

    The first marks on tools and system texts are kept, and the last marks in the messages. *in_results* is whether a
    part of a tool's result can have a mark.
    """
    if not _bears_marks(asked):
        return asked, False
    numbers = count()
    conversation = _marked(asked, lambda: next(numbers) >= 0, in_results=in_results)
    total = next(numbers)
    if total <= MAX_CACHE_MARKS:
        return conversation, conversation != asked
    in_head = sum(bool(part.cache) for part in conversation.system)
    in_head += sum(bool(tool.cache) for tool in conversation.tools if not isinstance(tool, Opaque))
    head = min(in_head, max(2, MAX_CACHE_MARKS - (total - in_head)))
    tail = total - (MAX_CACHE_MARKS - head)
    again = count()
    return _marked(conversation, lambda: not head <= next(again) < tail, in_results=in_results), True


def with_effort_beta(betas: list[str], plan: AcceptedSettings, profile: ModelProfile) -> list[str]:
    """Add the beta flag for efforts, if an effort is sent to a model that requires the flag."""
    needed = plan.effort is not None and _EFFORT_BETA in profile.betas and _EFFORT_BETA not in betas
    return [*betas, _EFFORT_BETA] if needed else betas


def unsupported_settings(conversation: Conversation) -> set[str]:
    """Return the names of the requested settings that no Claude model on SAP AI Core accepts."""
    sampling = conversation.sampling
    said = {
        "seed": sampling.seed is not None,
        "presence_penalty": bool(sampling.presence_penalty),
        "frequency_penalty": bool(sampling.frequency_penalty),
        "user": bool(conversation.user),
        "prompt_cache_key": bool(conversation.cache_key),
    }
    return {name for name, is_said in said.items() if is_said}


def is_own_thinking(part: Part) -> bool:
    """Return whether *part* is a thinking block that Claude accepts in the history: made and signed by Claude."""
    return isinstance(part, Thinking) and part.family is Family.CLAUDE and bool(part.signature or part.redacted)


def _bears_marks(conversation: Conversation) -> bool:
    """Return whether a conversation has any cache mark."""
    head = (*conversation.tools, *conversation.system)
    parts = (part for message in conversation.messages for part in message.parts)
    return any(not isinstance(each, Opaque) and each.cache for each in head) or _holds_marks(parts)


def _holds_marks(parts: Iterable[Part]) -> bool:
    marked = (part for part in parts if isinstance(part, MarkablePart))
    return any(part.cache or (isinstance(part, ToolResult) and _holds_marks(part.parts)) for part in marked)


def _marked(conversation: Conversation, keep: Callable[[], bool], *, in_results: bool) -> Conversation:
    """Call *keep* for each cache mark, in the order of the prompt, and remove the mark if it returns false."""

    def inner_with(part: ResultPart) -> ResultPart:
        if isinstance(part, Opaque) or not part.cache or (in_results and keep()):
            return part
        return replace(part, cache=None)

    def part_with(part: Part) -> Part:
        if isinstance(part, ToolResult) and _holds_marks(part.parts):
            part = replace(part, parts=tuple(map(inner_with, part.parts)))
        if isinstance(part, MarkablePart) and part.cache and not keep():
            return replace(part, cache=None)
        return part

    tools = tuple(
        replace(tool, cache=None) if not isinstance(tool, Opaque) and tool.cache and not keep() else tool
        for tool in conversation.tools
    )
    system = tuple(part for part in map(part_with, conversation.system) if isinstance(part, Text))
    messages = tuple(Message(message.role, tuple(map(part_with, message.parts))) for message in conversation.messages)
    return replace(conversation, tools=tools, system=system, messages=messages)


def _asked(reasoning: Reasoning) -> JSON | None:
    if reasoning.effort is Effort.NONE or (reasoning.budget is not None and reasoning.budget <= 0):
        return {"type": "disabled"}
    if reasoning.budget is not None:
        return {"type": "enabled", "budget_tokens": reasoning.budget}
    if reasoning.adaptive or (reasoning.effort and not reasoning.for_answer):
        return {"type": "adaptive"}
    return None


def is_on(thinking: JSON | None) -> bool:
    """Return whether this setting, in Anthropic's format, turns thinking on."""
    return thinking is not None and thinking.get("type") != "disabled"


def _thinking(requested: RequestedSettings, profile: ModelProfile) -> tuple[JSON | None, set[str]]:
    """Choose the thinking setting in Anthropic's format, and return it with the names of lost settings."""
    if requested.thinking is None:
        return None, set()
    lost = {"thinking.display"} if requested.thinking.get("display") else set()
    if not is_on(requested.thinking):
        return (None if profile.thinking is ThinkingStyle.NONE else {"type": "disabled"}), lost
    if profile.thinking is ThinkingStyle.NONE or requested.forced:
        return None, {*lost, "thinking"}
    budget = requested.thinking.get("budget_tokens") if requested.thinking.get("type") == "enabled" else None
    if profile.thinking is ThinkingStyle.ADAPTIVE or (profile.thinking is ThinkingStyle.EITHER and budget is None):
        return {"type": "adaptive"}, lost
    if requested.unsigned_calls:
        return ({"type": "adaptive"}, lost) if profile.thinking is ThinkingStyle.EITHER else (None, {*lost, "thinking"})
    tokens = budget if isinstance(budget, int) else _BUDGET.get(requested.effort or "high", _BUDGET["high"])
    return {"type": "enabled", "budget_tokens": max(MIN_BUDGET, tokens)}, lost


def _effort(requested: RequestedSettings, thinking: JSON | None, profile: ModelProfile) -> tuple[str | None, set[str]]:
    """Choose the effort, and return it with the names of lost settings."""
    budget = requested.thinking.get("budget_tokens") if requested.thinking else None
    asked_in_tokens = thinking is not None and "budget_tokens" in thinking and budget is None
    asked_not_to_think = is_on(requested.thinking) and thinking is None
    if not profile.effort:
        return None, {"output_config.effort"} if requested.effort and not (
            asked_in_tokens or asked_not_to_think
        ) else set()
    if requested.effort:
        return requested.effort if requested.effort in _EFFORTS_BY_STYLE.get(profile.thinking, ()) else "high", set()
    if thinking == {"type": "adaptive"} and isinstance(budget, int):
        return next((effort for most, effort in _EFFORT_UP_TO if budget <= most), None), set()
    return None, set()


def _length(max_tokens: int | None, thinking: JSON | None, profile: ModelProfile) -> tuple[int, JSON | None, set[str]]:
    """Choose a length that has room for both the thinking budget and the answer.

    Returns the length, the thinking setting, and the names of lost settings. The caller's limit is never raised,
    because more tokens would cost the caller more. A budget that would leave no room for the answer becomes half of the
    length. Thinking is turned off if that is less than the smallest budget.
    """
    budget = thinking.get("budget_tokens", 0) if thinking else 0
    length = max_tokens or profile.default_output + (budget if budget >= profile.default_output else 0)
    lost = set()
    if profile.max_output and length > profile.max_output:
        length = profile.max_output
        lost = {"max_tokens"} if max_tokens else set()
    if not budget or budget < length:
        return length, thinking, lost
    if length < 2 * MIN_BUDGET:
        return length, None, {*lost, "thinking"}
    lost |= {"thinking.budget_tokens"} if max_tokens else set()
    return length, {"type": "enabled", "budget_tokens": length // 2}, lost


def _sampling(accepted: AcceptedSettings, requested: RequestedSettings, profile: ModelProfile) -> AcceptedSettings:
    """Add temperature, top_p and top_k to *accepted* if the model accepts them. Neutral values are lost silently."""
    free = profile.temperature and not is_on(accepted.thinking)
    temperature = requested.temperature if free else None
    top_k = requested.top_k if free else None
    both = temperature is not None and not profile.top_p_with_temperature
    top_p = requested.top_p if free and profile.top_p and not both else None
    lost = {
        "temperature": temperature is None and requested.temperature not in (None, 1),
        "temperature above 1": temperature is not None and temperature > 1,
        "top_p": top_p is None and requested.top_p not in (None, 1),
        "top_k": top_k is None and requested.top_k is not None,
    }
    return replace(
        accepted,
        temperature=None if temperature is None else min(temperature, 1),
        top_p=top_p,
        top_k=top_k,
        dropped=accepted.dropped | {name for name, is_lost in lost.items() if is_lost},
    )
