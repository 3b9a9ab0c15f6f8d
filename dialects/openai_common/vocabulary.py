"""What OpenAI's two dialects have in common: errors, how hard to think, what a model refuses."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dialects.adapt.schemas import for_openai
from dialects.adapt.turn_order import NO_RESULT
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import (
    JSON,
    Conversation,
    Effort,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
)
from dialects.core.events import Block
from dialects.core.faults import Fault, FaultKind, invalid
from dialects.framing.json_text import dumps
from dialects.openai_common.request_fields import Fields, effort_in

CHAT = "openai-chat"
RESPONSES = "openai-responses"
LOGPROBS = "message.output_text.logprobs"
"""What `include` of Responses calls the `logprobs` of chat completions."""
CHOICE = {ToolMode.AUTO: "auto", ToolMode.REQUIRED: "required", ToolMode.NONE: "none"}
"""How free the model is to call functions; a choice by name is an object."""

# https://platform.openai.com/docs/guides/error-codes. A `type` of invalid_request_error
# makes some clients take a wrong key for a malformed request, hence authentication_error.
_TYPE = {
    FaultKind.INVALID_REQUEST: ("invalid_request_error", None),
    FaultKind.CONTENT_FILTERED: ("invalid_request_error", "content_filter"),
    FaultKind.TOO_LARGE: ("invalid_request_error", "request_too_large"),
    FaultKind.NOT_FOUND: ("invalid_request_error", "model_not_found"),
    FaultKind.REQUEST_FORBIDDEN: ("invalid_request_error", "permission_denied"),
    FaultKind.RESOURCE_NOT_FOUND: ("invalid_request_error", "not_found"),
    FaultKind.UNAUTHENTICATED: ("authentication_error", "invalid_api_key"),
    FaultKind.RATE_LIMITED: ("rate_limit_error", "rate_limit_exceeded"),
    FaultKind.OVERLOADED: ("server_error", "overloaded"),
    FaultKind.TIMEOUT: ("server_error", "timeout"),
    FaultKind.UNAVAILABLE: ("server_error", "unavailable"),
}
_CODED_BY_PROVIDERS = frozenset(
    {
        FaultKind.INVALID_REQUEST,
        FaultKind.NOT_FOUND,
        FaultKind.REQUEST_FORBIDDEN,
        FaultKind.RESOURCE_NOT_FOUND,
    }
)
_WRONG_KEY = "Incorrect API key provided"

_LONGEST_USER = 64
_EFFORTS = tuple(Effort)
_EFFORT_OF_BUDGET = ((1024, Effort.MINIMAL), (4096, Effort.LOW), (16384, Effort.MEDIUM))
"""What a budget of thinking tokens is as a word: up to so many, this."""

_SAMPLING_DEFAULTS: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
}
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"})

_NAMED = '"model"'
_MODEL = re.compile(rf'({_NAMED}\s*:\s*)"[^"\\]*(?:\\.[^"\\]*)*"')


def render_fault(fault: Fault) -> JSON:
    """Say a failure, as the body of an HTTP error or a frame of a stream."""
    kind, code = _TYPE.get(fault.kind, ("server_error", fault.kind.value))
    message = fault.message
    if fault.kind is FaultKind.UNAUTHENTICATED and _WRONG_KEY not in message:
        message = f"{_WRONG_KEY}. {message}"
    if fault.kind in _CODED_BY_PROVIDERS:
        code = fault.code or code
    return {"error": {"message": message, "type": kind, "param": fault.param, "code": code}}


def effort_word(reasoning: Reasoning | None, profile: ModelProfile, dropped: set[str]) -> str | None:
    """Choose the word for how hard to think that the model knows and that is nearest to what was asked."""
    effort = _wanted(reasoning)
    if profile.thinking is not ThinkingStyle.EFFORT:
        if effort not in (None, Effort.NONE) or (effort is None and reasoning and reasoning.adaptive):
            dropped.add("reasoning_effort")
        return None
    if effort is None:
        return None
    known = [Effort(word) for word in profile.efforts]
    wanted = _EFFORTS.index(effort)
    if effort not in known and effort is not Effort.NONE:
        dropped.add(f"reasoning_effort {effort.value}")
    return min(known, key=lambda each: (abs(_EFFORTS.index(each) - wanted), _EFFORTS.index(each))).value


def fit_effort(asked: JSON, name: str, profile: ModelProfile, dropped: set[str]) -> None:
    """Say in *asked*, under *name*, how hard to think in a word the model knows, if it is said there at all."""
    effort = effort_in(Fields(asked), name)
    if effort is None:
        return
    word = effort_word(Reasoning(effort), profile, dropped)
    if word is None:
        del asked[name]
    else:
        asked[name] = word


def _wanted(reasoning: Reasoning | None) -> Effort | None:
    if reasoning is None or reasoning.effort is not None or reasoning.budget is None:
        return reasoning.effort if reasoning else None
    return next((effort for most, effort in _EFFORT_OF_BUDGET if reasoning.budget <= most), Effort.HIGH)


def drop_refused_sampling(body: JSON, profile: ModelProfile, dropped: set[str]) -> None:
    """Take out of *body* what the model refuses about how tokens are drawn; what is the default anyway goes unnamed.

    So are stop sequences that are more than it takes.
    """
    refused = set() if profile.penalties else set(_PENALTIES)
    refused |= set() if profile.temperature else {"temperature"}
    refused |= set() if profile.top_p else {"top_p"}
    if not profile.top_p_with_temperature and body.get("temperature") is not None:
        refused.add("top_p")
    for name in refused & body.keys():
        value = body.pop(name)
        if value is not None and value != _SAMPLING_DEFAULTS[name]:
            dropped.add(name)
    _drop_stops(body, profile.stops, dropped)
    if "logprobs" in refused and isinstance(include := body.get("include"), list) and LOGPROBS in include:
        dropped.add("logprobs")
        body["include"] = [name for name in include if name != LOGPROBS]
        if not body["include"]:
            del body["include"]


def _drop_stops(body: JSON, most: int | None, dropped: set[str]) -> None:
    stops = body.get("stop")
    many = len(stops) if isinstance(stops, list) else int(bool(stops))
    if most is not None and many > most:
        dropped.add("stop")
    if most == 0 or stops == []:
        body.pop("stop", None)
    elif isinstance(stops, list):
        body["stop"] = stops[:most]


def limited(length: int | None, profile: ModelProfile, dropped: set[str]) -> int | None:
    """Ask for no longer an answer than the model may give."""
    if length is None or profile.max_output is None or length <= profile.max_output:
        return length
    dropped.add("max_tokens over the model's limit")
    return profile.max_output


def takeable(tool: ToolSpec, dropped: set[str], *, choices: bool = False) -> ToolSpec:
    """Declare a tool with a schema OpenAI takes: `schemas.for_openai` says what *choices* are.

    A model can be kept to a schema only if it is the one the client wrote.
    """
    adapted = for_openai(tool.parameters, choices=choices)
    dropped |= {f"tools[].parameters.{name}" for name in adapted.dropped}
    strict = tool.strict
    if strict and adapted.schema != tool.parameters:
        dropped.add("tools[].strict")
        strict = False
    return replace(tool, parameters=adapted.schema, strict=strict)


def user_of(conversation: Conversation) -> JSON:
    """Say who asks, in the 64 characters OpenAI has for it: Claude Code's users have more.

    A longer name becomes its digest, which is as good: nobody reads it, it only
    tells users apart.
    """
    user = conversation.user
    if len(user) > _LONGEST_USER:
        user = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return {"user": user} if user else {}


def check_media(attached: Media, profile: ModelProfile) -> None:
    """Refuse what the model cannot see or hear."""
    able = {
        MediaKind.IMAGE: profile.images,
        MediaKind.DOCUMENT: profile.documents,
        MediaKind.AUDIO: profile.audio,
        MediaKind.VIDEO: False,
    }
    if not able[attached.kind]:
        raise invalid(f"messages hold {attached.kind.value} content, which model {profile.name} does not take")


def note_cache(parts: Iterable[Part], dropped: set[str]) -> None:
    """Name the marks of what is worth caching: OpenAI caches by itself."""
    for part in parts:
        if isinstance(part, ToolResult):
            note_cache(part.parts, dropped)
        if not isinstance(part, Thinking | Refusal | Opaque) and part.cache:
            dropped.add("cache_control")


def head_text(block: Block) -> str:
    """Read the text a block opens with."""
    match block:
        case ToolCall(arguments=text):
            return text
        case Media() | Opaque():
            return ""
        case _:
            return block.text


def stop_for(stop: Stop, calls: bool) -> Stop:
    """Decide by the calls that were made whether the model stopped to have them answered."""
    if calls and stop.reason in (StopReason.END, StopReason.STOP_SEQUENCE, StopReason.PAUSED):
        return replace(stop, reason=StopReason.TOOL_USE)
    if not calls and stop.reason is StopReason.TOOL_USE:
        return replace(stop, reason=StopReason.END)
    return stop


def usage_from(body: Any, prompt: str, output: str) -> Usage:
    """Read ``usage``; *prompt* and *output* are what the dialect calls the two counts.

    OpenAI counts what came from a cache in the prompt, and thinking in the output.
    """
    if not isinstance(body, dict):
        return Usage()
    read = _details(body, prompt, "cached_tokens")
    written = _details(body, prompt, "cache_write_tokens", "cache_creation_tokens")
    return Usage(
        fresh_input=max(0, _count(body.get(f"{prompt}_tokens")) - read - written),
        cache_read=read,
        cache_write=written,
        output=_count(body.get(f"{output}_tokens")),
        reasoning=_details(body, output, "reasoning_tokens"),
    )


def _details(body: JSON, which: str, *names: str) -> int:
    details = body.get(f"{which}_tokens_details")
    return next((_count(details[name]) for name in names if name in details), 0) if isinstance(details, dict) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def parted(history: Sequence[Message]) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Part the instructions at the front from what was said; alone, the last of them is the question."""
    front = 0
    while front < len(history) and _is_instruction(history[front]):
        front += 1
    if front == len(history) and front:
        front -= 1
        history = [*history[:front], replace(history[front], role=Role.USER)]
    system = tuple(part for message in history[:front] for part in message.parts if isinstance(part, Text))
    return system, tuple(history[front:])


def _is_instruction(message: Message) -> bool:
    return message.role is Role.SYSTEM and all(isinstance(part, Text) for part in message.parts)


def answered(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Give each call one answer, right behind it, and make words of answers to no call: OpenAI insists on both."""
    settled: list[Message] = []
    held: list[Message] = []
    open_calls: list[str] = []
    for message in _calls_joined(messages):
        match message.role:
            case Role.SYSTEM if open_calls:
                # Nothing may stand between a call and its answer.
                held.append(message)
            case Role.USER:
                parts, open_calls = _settled(message.parts, open_calls)
                settled.append(Message(Role.USER, parts))
            case Role.ASSISTANT:
                settled += [*_unanswered(open_calls), *held]
                held, open_calls = [], _calls_in(message)
                settled.append(message)
            case Role.SYSTEM:
                settled.append(message)
        if not open_calls:
            settled += held
            held = []
    return (*settled, *_unanswered(open_calls), *held)


def _calls_in(message: Message) -> list[str]:
    return [part.id for part in message.parts if isinstance(part, ToolCall)]


def _calls_joined(messages: tuple[Message, ...]) -> list[Message]:
    """Make one turn of a model's turns with calls: nothing may stand between a call and its answer."""
    joined: list[Message] = []
    for message in messages:
        before = joined[-1] if joined else None
        calls = set(_calls_in(before)) if before is not None else set()
        if before is not None and calls and message.role is Role.ASSISTANT and not calls & set(_calls_in(message)):
            joined[-1] = Message(Role.ASSISTANT, (*before.parts, *message.parts))
        else:
            joined.append(message)
    return joined


def _settled(parts: tuple[Part, ...], open_calls: list[str]) -> tuple[tuple[Part, ...], list[str]]:
    """Answer in a user's turn what it answers, and say which calls are still open."""
    said: list[Part] = []
    left = list(open_calls)
    for part in parts:
        if not isinstance(part, ToolResult):
            said.append(part)
        elif part.call_id in left:
            left.remove(part.call_id)
            said.append(part)
        else:
            said += part.parts
    if any(isinstance(part, ToolResult) for part in said) or not left:
        return tuple(said), left
    # The user spoke without answering: the call was interrupted.
    return (*(ToolResult(call, (Text(NO_RESULT),)) for call in left), *said), []


def _unanswered(open_calls: list[str]) -> list[Message]:
    results = tuple(ToolResult(call, (Text(NO_RESULT),)) for call in open_calls)
    return [Message(Role.USER, results)] if results else []


def public_model(data: str, model: str) -> str | None:
    """Write the public name over the backend's in a frame; None if that takes parsing the frame.

    An unescaped ``"model":`` cannot stand inside a JSON string, so that one match is the field itself.
    """
    place = data.find(_NAMED)
    if place < 0:
        return data
    match = _MODEL.match(data, place)
    if data.find(_NAMED, place + 1) >= 0:
        found = list(_MODEL.finditer(data))
        if len(found) > 1:
            return None
        match = found[0] if found else None
    if match is None:
        return data
    return f"{data[: match.start()]}{match[1]}{dumps(model)}{data[match.end() :]}"


def merged_text(parts: tuple[Part, ...]) -> str:
    """Join the words among *parts*."""
    return "".join(part.text for part in parts if isinstance(part, Text))
