"""What Azure OpenAI rejects in chat completions, and in which words."""

import pytest

from tests.emulator.client import CHAT

FUNCTION = {"type": "function", "function": {"name": "f"}}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
SAID = {"role": "user", "content": "a"}


def _called(called, answered):
    calls = CALLS | {"tool_calls": [CALLS["tool_calls"][0] | {"id": called}]}
    return {"messages": [SAID, calls, {"role": "tool", "tool_call_id": answered, "content": "a"}]}


CHATS = [
    ("gpt-5", {"max_tokens": 5}, "max_tokens", "unsupported_parameter"),
    ("gpt-5", {"temperature": 0.2}, "temperature", "unsupported_value"),
    ("gpt-5", {"top_p": 0.2}, "top_p", "unsupported_value"),
    ("gpt-5", {"logprobs": True}, "logprobs", "unsupported_parameter"),
    ("gpt-5", {"reasoning_effort": "none"}, "reasoning_effort", "unsupported_value"),
    ("gpt-5", {"stop": "END"}, "stop", "unsupported_parameter"),
    ("gpt-5", {"stop": []}, "stop", "unsupported_parameter"),
    ("gpt-4.1", {"stop": list("abcde")}, "stop", "array_above_max_length"),
    ("gpt-4.1", {"reasoning_effort": "low"}, None, None),
    ("gpt-4.1", {"top_k": 5}, None, None),
    ("gpt-4.1", {"stream_options": {"include_usage": True}}, "stream_options", None),
    ("gpt-4.1", {"messages": []}, "messages", "empty_array"),
    ("gpt-4.1", {"messages": [{"role": "model", "content": "a"}]}, "messages[0].role", "invalid_value"),
    (
        "gpt-4.1",
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
    ),
    (
        "gpt-4.1",
        {"messages": [SAID, {"role": "tool", "tool_call_id": "c1", "content": "a"}]},
        "messages.[1].role",
        None,
    ),
    ("gpt-4.1", {"messages": [SAID, CALLS, SAID]}, "messages.[2].role", None),
    ("gpt-4.1", {"messages": [SAID, CALLS]}, "messages.[2].role", None),
    (
        "gpt-4.1",
        {"messages": [SAID, {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "custom"}]}]},
        "messages[1].tool_calls[0].function",
        "missing_required_parameter",
    ),
    ("gpt-4.1", {"messages": [{"role": "user", "content": None}]}, "messages.[0].content", None),
    (
        "gpt-4.1",
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}]}
            ]
        },
        "messages[0].content[0]",
        "invalid_base64",
    ),
    ("gpt-4.1", {"tools": []}, "tools", "empty_array"),
    ("gpt-4.1", {"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type", "invalid_value"),
    ("gpt-4.1", {"tool_choice": "auto"}, "tool_choice", None),
    (
        "gpt-4.1",
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
        None,
    ),
    ("gpt-4.1", {"response_format": {"type": "json_object"}}, "messages", None),
    (
        "gpt-4.1",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "r", "strict": True, "schema": {"type": "object"}},
            }
        },
        "response_format",
        None,
    ),
    ("gpt-4.1", {"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ("gpt-4.1", {"metadata": {"a": "b"}}, "metadata", None),
    ("gpt-4.1", {"user": "u" * 65}, "user", "string_above_max_length"),
    ("gpt-4.1", _called("c" * 41, "c1"), "messages[1].tool_calls[0].id", "string_above_max_length"),
    ("gpt-4.1", _called("c1", "c" * 41), "messages[2].tool_call_id", "string_above_max_length"),
]


@pytest.mark.parametrize(("model", "change", "param", "code"), CHATS)
def test_azure_refuses(eu, model, change, param, code):
    answer = eu.post(model, CHAT, {"messages": [SAID]} | change)
    error = answer.json()["error"]

    assert answer.status_code == 400
    assert ("invalid_request_error", param, code) == (error["type"], error["param"], error["code"])
