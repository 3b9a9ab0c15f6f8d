"""Responses of OpenAI chat completions, parsed and rendered."""

from collections.abc import Iterator
from typing import Any

from dialects.core.conversation import JSON, Completion, Family, Media, Part, Refusal, Text, Thinking, ToolCall
from dialects.core.faults import FaultError
from dialects.core.upstream_errors import fault_in_stream
from dialects.interface import Envelope
from dialects.openai_chat.vocabulary import (
    annotations,
    call_head,
    call_id,
    finish_reason,
    image,
    is_custom,
    legacy,
    likely,
    logprobs_in,
    parse_stop,
    render_usage,
    response_id,
)
from dialects.openai_common.tool_forms import input_text
from dialects.openai_common.vocabulary import merged_text, parse_usage


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a whole response. *token* seeds the ids that the backend does not send."""
    outcome, choice = parse_outcome(body), body["choices"][0]
    parts = tuple(_parts(choice["message"], token, logprobs_in(choice)))
    return Completion(str(body.get("id") or ""), str(body.get("model") or ""), parts, outcome.stop, outcome.usage)


def parse_outcome(body: JSON) -> Completion:
    """Parse only the stop reason and the usage of a whole response; raises `FaultError` if it is a failure."""
    match body:
        case {"error": dict(error)}:
            raise FaultError(fault_in_stream(str(error.get("code") or ""), str(error.get("message") or "")))
        case {"choices": [{"message": dict(message)} as choice, *_]}:
            calls = bool(message.get("tool_calls") or message.get("function_call"))
            stop = parse_stop(choice.get("finish_reason"), calls)
            return Completion(stop=stop, usage=parse_usage(body.get("usage"), "prompt", "completion"))
        case _:
            raise ValueError("an answer without a choice")


def render_response(completion: Completion, envelope: Envelope) -> JSON:
    """Render a whole response."""
    message = _message(completion.parts, envelope)
    calls = any(isinstance(part, ToolCall) for part in completion.parts)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": likely(each for part in completion.parts if isinstance(part, Text) for each in part.logprobs),
        "finish_reason": finish_reason(completion.stop, calls, envelope),
    }
    return {
        "id": response_id(envelope),
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": [choice],
        "usage": render_usage(completion.usage),
    }


def thoughts_in(message: JSON) -> str:
    """Return the thoughts in a message, which vendors send under one of two names."""
    found = message.get("reasoning_content") or message.get("reasoning")
    return found if isinstance(found, str) else ""


def pieces_in(content: Any) -> Iterator[tuple[type[Text] | type[Thinking], str]]:
    """Split content into texts and thoughts. It is a string, or Mistral's list of both."""
    match content:
        case str(text):
            yield Text, text
        case [*parts]:
            for part in parts:
                match part:
                    case {"type": "thinking", "thinking": [*thoughts]}:
                        yield Thinking, "".join(_texts_in(thoughts))
                    case {"text": str(text)}:
                        yield Text, text
                    case _:
                        pass
        case _:
            pass


def _texts_in(thoughts: list[Any]) -> Iterator[str]:
    """Yield the texts in a list of thoughts, which may be nested."""
    left = thoughts[::-1]
    while left:
        match left.pop():
            case {"type": "thinking", "thinking": [*inner]}:
                left += inner[::-1]
            case {"text": str(text)}:
                yield text
            case _:
                pass


def _parts(message: JSON, token: str, logprobs: tuple[JSON, ...]) -> Iterator[Part]:
    if thoughts := thoughts_in(message):
        yield Thinking(thoughts)
    for kind, text in pieces_in(message.get("content")):
        if text and kind is Text:
            yield Text(text, logprobs=logprobs)
            logprobs = ()
        elif text:
            yield kind(text)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield Refusal(refusal)
    calls = [*(message.get("tool_calls") or [])]
    if legacy_call := message.get("function_call"):
        calls.append({"function": legacy_call})
    for number, call in enumerate(calls):
        function = call.get("function") or {}
        yield ToolCall(
            call_id(call.get("id"), token, number), str(function["name"]), str(function.get("arguments") or "")
        )


def _message(parts: tuple[Part, ...], envelope: Envelope) -> JSON:
    text = merged_text(parts)
    thoughts = "".join(part.text for part in parts if isinstance(part, Thinking))
    refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    images = [image(part) for part in parts if isinstance(part, Media)]
    calls = list(_calls(parts, envelope))
    message: JSON = {"role": "assistant", "content": text, "refusal": refusal or None}
    if not text and (calls or refusal):
        message["content"] = None
    message |= {"reasoning_content": thoughts} if thoughts else {}
    message |= {"images": images} if images else {}
    message |= {"annotations": cited} if (cited := list(_annotations(parts))) else {}
    if calls and legacy(envelope) and "function" in calls[0]:
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = calls
    return message


def _annotations(parts: tuple[Part, ...]) -> Iterator[JSON]:
    before = 0
    for part in parts:
        if isinstance(part, Text):
            yield from annotations(part.citations, before)
            before += len(part.text)


def _calls(parts: tuple[Part, ...], envelope: Envelope) -> Iterator[JSON]:
    signature = ""
    for part in parts:
        match part:
            case Thinking(family=Family.GEMINI):
                signature = part.signature
            case ToolCall():
                custom = is_custom(part.name, envelope)
                head = call_head(part, signature, custom=custom)
                signature = ""
                if custom:
                    yield {**head, "custom": {"name": part.name, "input": input_text(part.arguments)}}
                else:
                    yield {**head, "function": {"name": part.name, "arguments": part.arguments or "{}"}}
            case _:
                pass
