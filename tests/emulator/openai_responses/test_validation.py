"""What Azure OpenAI rejects in Responses, and in which words."""

import pytest

SAID = {"role": "user", "content": "a"}


def _item(**fields):
    return {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", **fields}


RESPONSES = [
    ({"input": []}, "missing_required_parameter"),
    ({"messages": []}, "unknown_parameter"),
    ({"temperature": 0.1}, "unsupported_value"),
    ({"max_output_tokens": 5}, "integer_below_min_value"),
    ({"include": ["everything"]}, "invalid_value"),
    ({"include": ["message.output_text.logprobs"]}, "unsupported_parameter"),
    ({"previous_response_id": "resp_x"}, "previous_response_not_found"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "a"}]}, None),
    ({"input": [_item()]}, None),
    ({"input": [_item(call_id="c" * 65)]}, "string_above_max_length"),
    ({"user": "u" * 65}, "string_above_max_length"),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "invalid_value"),
    ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}, SAID]}, "invalid_value"),
]


@pytest.mark.parametrize(("change", "code"), RESPONSES)
def test_responses_refuses(eu, change, code):
    answer = eu.post("gpt-5", "responses", {"input": "a"} | change)

    assert (400, code) == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("kind", ["custom", "web_search", "file_search", "code_interpreter", "mcp", "local_shell"])
def test_ai_core_lets_only_functions_through(eu, kind):
    answer = eu.post("gpt-5", "responses", {"input": "a", "tools": [{"type": kind, "name": "x"}]})

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "BadRequest",
        "message": f"The following tool is not allowed for model 'gpt-5': {kind}.",
    }


def test_ai_core_names_every_kind_of_tool_that_it_refuses(eu):
    tools = [{"type": kind, "name": "x"} for kind in ("tool_search", "function", "custom", "namespace", "custom")]
    answer = eu.post("gpt-5.3-codex", "responses", {"input": "a", "tools": tools})

    assert answer.status_code == 400
    said = "The following tools are not allowed for model 'gpt-5.3-codex': custom, namespace and tool_search."
    assert said == answer.json()["message"]


def test_calls_of_custom_tools_are_taken_in_the_history(eu):
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": "x"}
    output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "it applied"}
    answer = eu.post("gpt-5", "responses", {"input": [SAID, call, output]})

    assert (answer.status_code, "it applied" in answer.text) == (200, True)
    for alone in ([SAID, call], [SAID, output], [SAID, call, {**output, "type": "function_call_output"}]):
        assert eu.post("gpt-5", "responses", {"input": alone}).status_code == 400
