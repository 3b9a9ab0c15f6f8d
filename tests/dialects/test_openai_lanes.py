"""What OpenAI's own clients may say that OpenAI's models refuse: the lanes change that, and nothing else."""

import pytest

from dialects import openai_chat, openai_responses
from dialects.models import profile_for

HELLO = {"messages": [{"role": "user", "content": "x"}]}


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
    passed = openai_chat.forward_request(body, profile_for(model))
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

    passed = openai_chat.forward_request(chat, gpt).body["messages"]
    assert openai_chat.render_request(openai_chat.parse_request(chat), gpt).body["messages"] == passed
    passed = openai_responses.forward_request(items, gpt).body["input"]
    assert openai_responses.render_request(openai_responses.parse_request(items), gpt).body["input"] == passed
