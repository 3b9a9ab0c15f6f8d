"""Items whose results have no calls, or calls no results, as a client cuts or merges them: what a GPT is sent."""

from typing import Any

import pytest

from dialects import openai_responses
from dialects.adapt.turn_order import NO_RESULT
from dialects.capabilities.models import profile_for
from emulator.openai_responses.store import ResponseStore
from emulator.openai_responses.validation import check_items

GPT = profile_for("gpt-5.3-codex")
USER = {"role": "user", "content": "hi"}
PICTURE = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]


def call(id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}


def result(id: str, output: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": output}


def sent(items: list[Any], **more: Any) -> list[Any]:
    rendered = openai_responses.passthrough_request({"model": "m", "input": items, **more}, GPT)

    assert rendered.dropped == ()
    return rendered.body["input"]


NONE = {"output": NO_RESULT}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([result("a"), USER], [{"role": "user", "content": "done"}, USER]),
        ([result("a", PICTURE)], [{"role": "user", "content": PICTURE}]),
        ([USER, call("a")], [USER, call("a"), result("a") | NONE]),
        ([call("a"), call("b"), result("b")], [call("a"), result("a") | NONE, call("b"), result("b")]),
        ([result("a"), call("a")], [{"role": "user", "content": "done"}, call("a"), result("a") | NONE]),
    ],
)
def test_each_call_has_a_result_and_each_result_a_call(items, expected):
    told = sent(items)
    check_items(told, ResponseStore(), "d1")

    assert told == expected


@pytest.mark.parametrize(
    "items",
    [
        [call("a"), call("b"), result("b"), USER, result("a")],
        [USER, {"type": "item_reference", "id": "fc_1"}, result("a")],
        [{"type": ["odd"]}, {"type": "function_call_output"}, {"type": "function_call", "call_id": 7}],
    ],
)
def test_items_that_fit_pass_as_they_are(items):
    assert items == sent(items)


def test_a_result_whose_call_the_deployment_keeps_passes_as_it_is():
    assert sent([result("a")], previous_response_id="resp_1") == [result("a")]


@pytest.mark.parametrize("kind", ["custom_tool_call_output", "function_call_output"])
def test_a_call_of_free_text_is_one_of_a_function_with_a_result(kind):
    custom = {"type": "custom_tool_call", "call_id": "a", "name": "g", "input": "x"}
    told = {"type": "function_call", "call_id": "a", "name": "g", "arguments": '{"input":"x"}'}

    assert sent([custom, {"type": kind, "call_id": "a", "output": "y"}]) == [
        told,
        {"type": "function_call_output", "call_id": "a", "output": "y"},
    ]
    assert sent([custom]) == [told, result("a") | NONE]
