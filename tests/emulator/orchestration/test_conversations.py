"""Conversations through orchestration: what each vendor's models read of them."""

import json

import pytest

from tests.emulator.client import OPUS, PNG, SONNET
from tests.emulator.orchestration.completion import GEMINI, GPT, NOVA, TOOL, message, modules, user

EACH = pytest.mark.parametrize("model", [SONNET, OPUS, NOVA, GEMINI, "gemini-2.5-flash", GPT, "gpt-4.1"])
OTHER = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "auto"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}}


@EACH
def test_images_and_files_are_seen(eu, model):
    seen = message(eu, modules(model, [user([{"type": "text", "text": "See"}, IMAGE, FILE])]))["content"]

    assert seen == "I see an image (image/png, 70 bytes). I see a document (application/pdf, 4 bytes)."


@EACH
def test_several_calls_are_answered_together(eu, model):
    tools = [TOOL, OTHER]
    ask = user("scene:parallel")
    called = message(eu, modules(model, [ask], tools=tools))
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"result of {call['function']['name']}"}
        for call in called["tool_calls"]
    ]

    said = message(eu, modules(model, results, tools=tools), messages_history=[ask, called])["content"]

    assert [call["function"]["name"] for call in called["tool_calls"]] == ["get_weather", "get_time"]
    assert said == "The tool answered: result of get_weather The tool answered: result of get_time"


@EACH
def test_instructions_are_read(eu, model):
    template = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, user("Hello")]

    assert message(eu, modules(model, template))["content"].endswith("My instructions are 9 characters long.")


@EACH
@pytest.mark.parametrize(
    ("choice", "name"),
    [("required", "get_weather"), ({"type": "function", "function": {"name": "get_time"}}, "get_time"), ("none", "")],
)
def test_a_tool_can_be_insisted_on(eu, model, choice, name):
    text = "Use the get_weather tool"

    said = message(eu, modules(model, text, tools=[TOOL, OTHER], params={"tool_choice": choice}))

    assert [call["function"]["name"] for call in said.get("tool_calls", [])] == ([name] if name else [])


@EACH
def test_an_answer_can_be_any_json(eu, model):
    wanted = {"type": "json_object"}

    said = message(eu, modules(model, "Answer in JSON", response_format=wanted))["content"]

    assert json.loads(said) == {"answer": "yes", "confidence": 0.9}


@EACH
def test_an_answer_ends_where_the_request_says(eu, model):
    limited = message(eu, modules(model, "scene:long 500", params={"max_completion_tokens": 90}))["content"]

    assert 0 < len(limited) <= 90 * 4
    if model != GPT:  # which takes no stop strings
        stopped = message(eu, modules(model, "scene:long 50", params={"stop": ["word7"]}))["content"]
        assert stopped == "word0 word1 word2 word3 word4 word5 word6 "


def test_a_call_of_gemini_that_lost_its_signature_is_refused(eu):
    ask = user("Use the get_weather tool")
    called = message(eu, modules(GEMINI, [ask], tools=[TOOL]))
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "22"}
    lost = {key: value for key, value in called.items() if key != "reasoning_content"}

    kept = message(eu, modules(GEMINI, [result], tools=[TOOL]), messages_history=[ask, called])
    with pytest.raises(AssertionError, match="missing a thought_signature"):
        message(eu, modules(GEMINI, [result], tools=[TOOL]), messages_history=[ask, lost])

    assert kept["content"] == "The tool answered: 22"


def test_reasoning_that_nobody_may_read_is_taken_back(eu):
    params = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    ask = user("scene:redacted scene:parallel")
    called = message(eu, modules(SONNET, [ask], tools=[TOOL], params=params))
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "22"} for call in called["tool_calls"]]

    said = message(eu, modules(SONNET, results, tools=[TOOL], params=params), messages_history=[ask, called])

    assert [bool(block["content"]) for block in called["reasoning_content"]] == [True, False]
    assert said["content"].startswith("The tool answered: 22")
