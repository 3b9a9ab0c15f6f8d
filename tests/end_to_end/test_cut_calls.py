"""Conversations in which a call of a tool was cut off: they go on, with every model."""

from typing import Any

import pytest

from tests.support.running import Proxy
from tests.support.talking import CHAT, MODELS, RESPONSES, sent

CUT = '{"city": "Par'
CALL = {"name": "get_weather", "arguments": CUT}
TOOL: dict[str, Any] = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}
ASKED = {"role": "user", "content": "How is the weather in Paris?"}
CONVERSATIONS: dict[str, dict[str, Any]] = {
    CHAT: {
        "messages": [
            ASKED,
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": CALL}]},
            {"role": "tool", "tool_call_id": "c1", "content": "That was no JSON."},
            {"role": "user", "content": "Once more."},
        ],
        "tools": [{"type": "function", "function": TOOL}],
    },
    RESPONSES: {
        "input": [
            ASKED,
            {"type": "function_call", "call_id": "c1", **CALL},
            {"type": "function_call_output", "call_id": "c1", "output": "That was no JSON."},
            {"role": "user", "content": "Once more."},
        ],
        "tools": [{"type": "function", **TOOL}],
        "store": False,
    },
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("path", CONVERSATIONS)
def test_the_next_turn_is_answered_and_the_model_knows_what_it_said(wide_proxy: Proxy, path: str, model: str) -> None:
    told = wide_proxy.ask("POST", path, {"model": model, **CONVERSATIONS[path]})
    [(status, body)] = sent(wide_proxy)

    assert (told.status, status) == (200, 200)
    assert repr(CUT)[1:-1] in repr(body)
    named = "broken arguments" in told.headers.get("x-proxy-dropped", "")
    assert (not model.startswith("gpt")) == named
