"""What an answer says, in any client's dialect, and what is wrong with it."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.soak.outcomes import Result
from tests.support.judges import frames, judge_chat, judge_gemini, judge_messages, judge_responses
from tests.support.running import HttpAnswer

MARKER = re.compile(rb"mk[0-9a-f]{12}q")
"""What stands in each request, is in no other, and comes back to nobody else."""
Said = tuple[str, list[tuple[str, Any]]]
"""A text, and calls of tools: their names and arguments."""


def shape_of(body: Any) -> str:
    """Whose error this is, by its shape."""
    match body:
        case {"type": "error", "error": {"type": str(), "message": str()}}:
            return "anthropic"
        case {"error": {"code": int(), "message": str(), "status": str()}}:
            return "google"
        case {"error": {"message": str(), "type": str()}}:
            return "openai"
        case _:
            return "none"


def judged(
    told: HttpAnswer, *, shape: str, marker: str, wants: int, check: Callable[[HttpAnswer], None]
) -> tuple[Result, str]:
    """Say what an answer is, and what is wrong with it."""
    others = {found.decode() for found in MARKER.findall(told.body)} - {marker}
    if others:
        return Result.FOREIGN, f"{sorted(others)} instead of {marker}"
    if told.status >= 400 and told.status != wants:
        return _error(told, shape)
    if told.headers.get("content-type", "").startswith("text/event-stream"):
        error = error_in_stream(told)
        if error is not None:
            return Result.STREAM_ERROR, error
    try:
        assert told.status == wants, f"status {told.status}"
        check(told)
    except (AssertionError, LookupError, TypeError, ValueError, AttributeError) as error:
        return Result.WRONG, f"{type(error).__name__}: {error!s:.300} in {told.body[-400:]!r}"
    return Result.OK, ""


def _error(told: HttpAnswer, shape: str) -> tuple[Result, str]:
    try:
        body = told.json
    except ValueError:
        return Result.WRONG, f"an error that is no JSON: {told.body[:200]!r}"
    trail = told.headers.get("x-proxy-trail", "")
    if shape_of(body) != shape:
        return Result.WRONG, f"an error of another dialect: {told.body[:200]!r}"
    return Result.ERROR, f"{told.body.decode(errors='replace')[:200]} {trail}"


def error_in_stream(told: HttpAnswer) -> str | None:
    """The error with which a stream ends; None if it has none."""
    for frame in frames(told):
        if frame.data == "[DONE]":
            continue
        body = frame.json
        if frame.name in ("error", "response.failed") or (isinstance(body, dict) and body.get("error")):
            return f"{frame.data[:200]} {told.headers.get('x-proxy-trail', '')}"
    return None


def check_chat(told: HttpAnswer, said: Said, *, stream: bool, usage: bool = False) -> None:
    if stream:
        judge_chat(told, usage=usage, calls=bool(said[1]))
    _same(_chat_stream(told) if stream else _chat(told.json), said)


def check_messages(told: HttpAnswer, said: Said, *, stream: bool) -> None:
    if stream:
        judge_messages(told, calls=bool(said[1]))
    _same(_messages_stream(told) if stream else _messages(told.json), said)


def check_responses(told: HttpAnswer, said: Said, *, stream: bool) -> None:
    if stream:
        judge_responses(told, calls=bool(said[1]))
    _same(_responses(frames(told)[-1].json["response"] if stream else told.json), said)


def check_gemini(told: HttpAnswer, said: Said, *, stream: bool) -> None:
    if stream:
        judge_gemini(told, calls=bool(said[1]))
    _same(_gemini([frame.json for frame in frames(told)] if stream else [told.json]), said)


CHECKS: dict[str, Callable[..., None]] = {
    "chat": check_chat,
    "messages": check_messages,
    "responses": check_responses,
    "gemini": check_gemini,
}


def _same(actual: Said, expected: Said) -> None:
    assert actual == expected, f"said {actual!r:.200}, not {expected!r:.200}"


def _chat(body: Any) -> Said:
    [choice] = body["choices"]
    calls = choice["message"].get("tool_calls") or []
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    named = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    return choice["message"].get("content") or "", named


def _chat_stream(told: HttpAnswer) -> Said:
    text, names, written = "", {}, {}
    for frame in frames(told)[:-1]:
        for choice in frame.json["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                at = call["index"]
                names[at] = names.get(at, "") + (call["function"].get("name") or "")
                written[at] = written.get(at, "") + (call["function"].get("arguments") or "")
    return text, [(names[at], json.loads(written[at])) for at in sorted(names)]


def _messages(body: Any) -> Said:
    text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
    calls = [(block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"]
    assert body["stop_reason"] == ("tool_use" if calls else "end_turn")
    return text, calls


def _messages_stream(told: HttpAnswer) -> Said:
    text, names, written = "", {}, {}
    for event in (frame.json for frame in frames(told)):
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            names[event["index"]] = event["content_block"]["name"]
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            text += delta.get("text", "")
            written[event["index"]] = written.get(event["index"], "") + delta.get("partial_json", "")
    return text, [(names[at], json.loads(written.get(at) or "{}")) for at in sorted(names)]


def _responses(body: Any) -> Said:
    assert body["status"] == "completed", body["status"]
    said = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
    calls = [item for item in body["output"] if item["type"] == "function_call"]
    text = "".join(part["text"] for part in said if part["type"] == "output_text")
    return text, [(call["name"], json.loads(call["arguments"])) for call in calls]


def _gemini(bodies: list[Any]) -> Said:
    candidates = [candidate for body in bodies for candidate in body.get("candidates", [])]
    parts = [part for one in candidates for part in one.get("content", {}).get("parts", []) if not part.get("thought")]
    assert [one["finishReason"] for one in candidates if one.get("finishReason")] == ["STOP"]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    text = "".join(part.get("text", "") for part in parts)
    return text, [(call["name"], call.get("args", {})) for call in calls]
