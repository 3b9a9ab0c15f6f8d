"""The oldest of Azure's api-versions that knows what a body says is asked for."""

from typing import Any

import pytest

from dialects.azure import FULL_VERSION, PLAIN_VERSION, api_version

HELLO = {"role": "user", "content": "Hello"}
PLAIN = {"model": "gpt-4.1", "messages": [{"role": "system", "content": "Be brief."}, HELLO], "temperature": 0.5}


@pytest.mark.parametrize("body", [PLAIN, PLAIN | {"stream": True, "stop": ["."]}, {"input": ["a"], "user": "me"}, {}])
def test_text_alone_is_known_to_the_oldest(body: Any) -> None:
    assert PLAIN_VERSION == api_version(body)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": []},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"response_format": {"type": "json_object"}},
        {"max_completion_tokens": 5},
        {"dimensions": 256},
        {"never_heard_of": 1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
        {"messages": [{"role": "developer", "content": "Be brief."}]},
        {"messages": [HELLO, {"role": "tool", "tool_call_id": "c1", "content": "22"}]},
        {"messages": [HELLO, {"role": "assistant", "content": "", "tool_calls": []}]},
        {"messages": [HELLO, {"role": "assistant", "content": None}]},
        {"messages": [7]},
        {"messages": "Hello"},
    ],
)
def test_anything_else_takes_the_one_that_knows_all(more: Any) -> None:
    assert FULL_VERSION == api_version(PLAIN | more)


def test_a_model_may_need_a_later_one_than_its_body() -> None:
    assert FULL_VERSION == api_version(PLAIN, FULL_VERSION)
    assert "2099-01-01" == api_version(PLAIN | {"tools": []}, "2099-01-01")
