"""What clients need of an answer, as the bytes say it: judged without any SDK, which would forgive too much."""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.running import HttpAnswer

Event = dict[str, Any]


@dataclass(frozen=True)
class Frame:
    """One frame of a stream: the name on its `event:` line, if it has one, and its data."""

    name: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def frames(told: HttpAnswer) -> list[Frame]:
    """Take a stream apart; comments go."""
    assert told.headers["content-type"].startswith("text/event-stream"), told.headers
    assert "content-encoding" not in told.headers
    found = []
    for block in told.body.decode().split("\n\n"):
        lines = [line.partition(": ") for line in block.split("\n") if line and not line.startswith(":")]
        data = [value for name, _, value in lines if name == "data"]
        if data:
            found.append(Frame(next((value for name, _, value in lines if name == "event"), ""), "\n".join(data)))
    return found


def judge_chat(told: HttpAnswer, *, usage: bool, calls: bool) -> None:
    """Hold a chat stream to one finish reason, whole calls, usage exactly where asked, and an end."""
    *said, last = frames(told)
    assert last.data == "[DONE]"
    chunks = [frame.json for frame in said]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [one["finish_reason"] for one in choices if one.get("finish_reason")] == ["tool_calls" if calls else "stop"]
    assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}
    assert [[]] * usage == [chunk["choices"] for chunk in chunks if not chunk["choices"]]
    assert bool(chunks[-1].get("usage")) is usage
    for delta in (call for choice in choices for call in choice["delta"].get("tool_calls") or []):
        assert isinstance(delta["index"], int)
        assert isinstance(delta["function"].get("arguments", ""), str)
    called = [call for choice in choices for call in choice["delta"].get("tool_calls") or []]
    assert calls is any(call.get("id") and call["function"].get("name") for call in called)
    if calls:
        json.loads("".join(call["function"].get("arguments") or "" for call in called if call["index"] == 0))


def judge_messages(told: HttpAnswer, *, calls: bool) -> None:
    """Hold a stream of messages to names on every frame, closed blocks, a reason, both counts, and its own end."""
    said = frames(told)
    events = [frame.json for frame in said]
    kinds = [event["type"] for event in events]
    assert kinds == [frame.name for frame in said]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    opened = [event["index"] for event in events if event["type"] == "content_block_start"]
    closed = [event["index"] for event in events if event["type"] == "content_block_stop"]
    assert list(range(len(opened))) == opened == closed
    [delta] = [event for event in events if event["type"] == "message_delta"]
    assert ("tool_use" if calls else "end_turn") == delta["delta"]["stop_reason"]
    assert events[0]["message"]["usage"].keys() >= {"input_tokens", "output_tokens"}
    assert delta["usage"]["input_tokens"] >= 0
    assert delta["usage"]["output_tokens"] > 0
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert calls is ("tool_use" in starts)


def judge_responses(told: HttpAnswer, *, calls: bool) -> None:
    """Hold a stream of Responses to announced and finished items, counted events, and one id."""
    said = frames(told)
    events = [frame.json for frame in said]
    kinds = [event["type"] for event in events]
    assert kinds == [frame.name for frame in said]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert events[0]["response"]["id"] == events[-1]["response"]["id"]
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") > 0
    assert kinds.count("response.content_part.added") == kinds.count("response.content_part.done")
    assert calls or "response.content_part.added" in kinds
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert calls is any(item["type"] == "function_call" for item in done)
    assert all(isinstance(json.loads(item["arguments"]), dict) for item in done if item["type"] == "function_call")
    assert events[-1]["response"]["usage"]["output_tokens"] > 0


def judge_gemini(told: HttpAnswer, *, calls: bool) -> None:
    """Hold a Gemini stream to JSON in every frame, a reason in one, and counts in the last."""
    assert all(line.startswith("data: {") for line in told.body.decode().split("\n") if line)
    said = [frame.json for frame in frames(told)]
    candidates = [candidate for each in said for candidate in each.get("candidates", [])]
    assert [one["finishReason"] for one in candidates if one.get("finishReason")] == ["STOP"]
    assert said[-1]["usageMetadata"]["totalTokenCount"] > 0
    parts = [part for one in candidates for part in one.get("content", {}).get("parts", [])]
    made = [part["functionCall"] for part in parts if "functionCall" in part]
    assert calls is bool(made)
    assert all(isinstance(call.get("args", {}), dict) for call in made)
