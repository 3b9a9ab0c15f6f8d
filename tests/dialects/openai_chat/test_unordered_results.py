"""Conversations whose results do not stand behind their calls, as a client cuts or merges them: what a GPT is sent."""

import json
from typing import Any

import pytest

from dialects import openai_chat
from dialects.adapt.turn_order import NO_RESULT
from dialects.capabilities.models import profile_for
from emulator.models import MODELS_BY_NAME
from emulator.openai_chat.validation import check

GPT = profile_for("gpt-4.1")


def calling(*ids: str) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id: str, text: str = "") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": text or f"result of {id}"}


USER, AGAIN = {"role": "user", "content": "hi"}, {"role": "user", "content": "go on"}
SYSTEM = {"role": "system", "content": "be brief"}
DISORDERED = {
    "a result without a call": [result("a"), USER],
    "a call without a result": [USER, calling("a"), AGAIN],
    "a call without a result at the end": [USER, calling("a")],
    "one of two results": [USER, calling("a", "b"), result("b"), AGAIN],
    "a result that comes twice": [USER, calling("a"), result("a"), result("a", "result of a again")],
    "an instruction between a call and its result": [USER, calling("a"), SYSTEM, result("a"), AGAIN],
    "two calls, then two results": [USER, calling("a"), calling("b"), result("a"), result("b"), AGAIN],
    "the result of an earlier call": [USER, calling("a"), result("a"), AGAIN, result("a", "late result of a"), USER],
}
ORDERED = {
    "results in another order": [USER, calling("a", "b"), result("b"), result("a"), AGAIN],
    "no calls": [SYSTEM, USER, {"role": "assistant", "content": "ok", "tool_calls": []}, AGAIN],
    "odd messages": [USER, {"role": "assistant", "content": "ok", "tool_calls": "odd"}, {"role": "odd", "x": 1}],
}


def sent(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    rendered = openai_chat.passthrough_request({"model": "m", "messages": messages}, GPT)
    return rendered.body["messages"], rendered.dropped


@pytest.mark.parametrize("name", DISORDERED)
def test_calls_and_results_are_put_in_the_order_that_the_service_takes(name):
    messages, dropped = sent(DISORDERED[name])
    check(MODELS_BY_NAME["gpt-4.1"], {"messages": messages})
    told = json.dumps(messages)

    assert dropped == ()
    for message in DISORDERED[name]:
        assert message["content"] is None or message["content"] in told
    calls = [call["id"] for message in DISORDERED[name] for call in message.get("tool_calls", [])]
    assert calls == [call["id"] for message in messages for call in message.get("tool_calls", [])]


@pytest.mark.parametrize(
    "name", ["a call without a result", "a call without a result at the end", "one of two results"]
)
def test_a_call_that_was_never_answered_is_said_to_have_no_result(name):
    messages, _ = sent(DISORDERED[name])

    assert {"role": "tool", "tool_call_id": "a", "content": NO_RESULT} in messages


@pytest.mark.parametrize("name", ORDERED)
def test_messages_in_order_pass_as_they_are(name):
    messages, _ = sent(ORDERED[name])

    assert [{key: each[key] for key in each if key != "x"} for each in ORDERED[name]] == messages
