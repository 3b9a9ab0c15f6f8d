"""An api-version that knows what a body says is asked for."""

from typing import Any

import pytest

from dialects.capabilities.azure_versions import FULL_VERSION, PLAIN_VERSION, with_version_for

OLD = f"https://eu/d1/chat/completions?api-version={PLAIN_VERSION}"
NEW = f"https://eu/d1/chat/completions?api-version={FULL_VERSION}"
HELLO = {"role": "user", "content": "Hello"}
PLAIN = {"model": "gpt-4.1", "messages": [{"role": "system", "content": "Be brief."}, HELLO], "temperature": 0.5}


@pytest.mark.parametrize("body", [PLAIN, PLAIN | {"stream": True, "stop": ["."]}, {"input": ["a"], "user": "me"}, {}])
def test_text_alone_is_known_to_the_oldest(body: Any) -> None:
    assert with_version_for(OLD, body) == OLD


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
    assert with_version_for(OLD, PLAIN | more) == NEW


@pytest.mark.parametrize("url", [NEW, "https://eu/d1/chat/completions?api-version=2099-01-01", "https://eu/d1/v2/chat"])
@pytest.mark.parametrize("body", [PLAIN, PLAIN | {"tools": []}])
def test_a_url_with_a_later_version_or_none_is_left_alone(url: str, body: Any) -> None:
    assert url == with_version_for(url, body)
