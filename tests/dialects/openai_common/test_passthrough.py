"""What OpenAI's own clients may say that OpenAI's models refuse: passthrough changes that, and nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import openai_chat, openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from tests.dialects.openai_requests import chat_bodies

HELLO = {"messages": [{"role": "user", "content": "x"}]}


def test_why_a_kept_answer_failed_is_said_without_addresses_and_keys():
    error = {"code": "invalid_image_url", "message": "cannot get http://10.1.2.3/x?key=KEY", "param": "10.1.2.3"}
    told = json.loads(openai_responses.passthrough_stored(json.dumps({"id": "r", "error": error}).encode()))

    assert told["error"].keys() == {"code", "message"}
    assert told["id"] == "r"
    assert "10.1.2.3" not in str(told)
    assert "KEY" not in str(told)


def test_a_kept_answer_that_did_not_fail_passes_as_it_is():
    body = b'{"id": "r", "error": null}'

    assert body == openai_responses.passthrough_stored(body)


@pytest.mark.parametrize(
    ("model", "stops", "kept", "dropped"),
    [
        ("gpt-5", "END", None, ("stop",)),
        ("o3", ["END"], None, ("stop",)),
        ("gpt-5", [], None, ()),
        ("gpt-4.1", [], None, ()),
        ("gpt-4.1", "END", "END", ()),
        ("gpt-4.1", list("abcd"), list("abcd"), ()),
        ("gpt-4.1", list("abcde"), list("abcd"), ("stop",)),
        ("meta--llama3", list("abcde"), list("abcde"), ()),
    ],
)
def test_stop_sequences_are_as_many_as_the_model_takes(model, stops, kept, dropped):
    body = {**HELLO, "stop": stops}
    passed = openai_chat.passthrough_request(body, profile_for(model))
    asked = openai_chat.render_request(openai_chat.parse_request(body), profile_for(model))

    assert (kept, dropped) == (passed.body.get("stop"), passed.dropped)
    assert dropped == asked.dropped
    assert ([kept] if isinstance(kept, str) else kept) == asked.body.get("stop")


def test_ids_that_are_too_long_are_written_as_in_translation():
    long = "call_" + "x" * 90
    call = {"id": long, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = {
        "messages": [
            *HELLO["messages"],
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": long, "content": "r"},
        ]
    }
    called = {"type": "function_call", "call_id": long, "name": "f", "arguments": "{}"}
    items = {"input": [called, {"type": "function_call_output", "call_id": long, "output": "r"}]}
    gpt = profile_for("gpt-5")

    passed = openai_chat.passthrough_request(chat, gpt).body["messages"]
    assert openai_chat.render_request(openai_chat.parse_request(chat), gpt).body["messages"] == passed
    passed = openai_responses.passthrough_request(items, gpt).body["input"]
    assert openai_responses.render_request(openai_responses.parse_request(items), gpt).body["input"] == passed


OTHERS = ["mistralai--mistral-small", "sonar-pro", "cohere--command-a-reasoning", "meta--llama3"]


@given(chat_bodies, st.sampled_from(OTHERS))
@settings(max_examples=60)
def test_other_vendors_are_told_the_same_messages_in_passthrough_as_in_translation(body, model):
    """Roles take turns, instructions stand in front, and ids are such as the vendor takes."""
    try:
        asked = openai_chat.render_request(openai_chat.parse_request(body), profile_for(model))
    except FaultError:
        return
    passed = openai_chat.passthrough_request(body, profile_for(model))

    assert asked.body["messages"] == passed.body["messages"]


def test_mistral_is_told_no_late_instruction_and_no_id_it_refuses_in_passthrough():
    call = {"id": "toolu_bdrk_01", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "toolu_bdrk_01", "content": "r"},
            {"role": "system", "content": "late"},
        ],
        "safe_prompt": True,
        "n": 2,
    }
    passed = openai_chat.passthrough_request(body, profile_for("mistralai--mistral-small"))
    _, said, result, late = passed.body["messages"]

    assert late == {"role": "user", "content": "<system>\nlate\n</system>"}
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 9
    assert (passed.body["safe_prompt"], passed.body["n"]) == (True, 2)


@pytest.mark.parametrize("model", OTHERS)
def test_what_another_vendor_cannot_be_shown_is_refused_in_passthrough_too(model):
    file = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}

    with pytest.raises(FaultError, match="document content"):
        openai_chat.passthrough_request({"messages": [{"role": "user", "content": [file]}]}, profile_for(model))
