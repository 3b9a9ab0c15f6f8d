"""Models that are to call one tool at a time, and do."""

from typing import Any

import pytest

from tests.support.running import Proxy
from tests.support.talking import CHAT, CLAUDES, RESPONSES, sent

TEXT = "scene:parallel"
NAMES = ("get_time", "get_weather")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {
        "messages": [{"role": "user", "content": TEXT}],
        "tools": [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES],
    },
    RESPONSES: {
        "input": TEXT,
        "tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in NAMES],
    },
}


def calls_in(answer: Any) -> int:
    """How many tools an answer calls."""
    if "output" in answer:
        return sum(item["type"] == "function_call" for item in answer["output"])
    return len(answer["choices"][0]["message"]["tool_calls"])


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize("path", ASKED)
def test_claude_calls_one_tool_where_it_would_call_two(wide_proxy: Proxy, path: str, model: str, choice: str) -> None:
    body = {"model": model, "tool_choice": choice, **ASKED[path]}
    both = wide_proxy.ask("POST", path, body)
    one = wide_proxy.ask("POST", path, {**body, "parallel_tool_calls": False})

    assert [status for status, _ in sent(wide_proxy)] == [200, 200]
    assert (calls_in(both.json), calls_in(one.json)) == (2, 1)
    assert "x-proxy-dropped" not in one.headers


@pytest.mark.parametrize("path", ASKED)
def test_nova_is_not_told_and_that_is_said(wide_proxy: Proxy, path: str) -> None:
    told = wide_proxy.ask("POST", path, {"model": "amazon--nova-pro", "parallel_tool_calls": False, **ASKED[path]})

    assert (told.status, told.headers["x-proxy-dropped"]) == (200, "parallel_tool_calls")
    assert len(sent(wide_proxy)) == 1
