"""Conversations that are made shorter, as Codex asks for it, and what only a server that keeps it would know."""

from typing import Any

import pytest
from openai.types.responses import CompactedResponse

from tests.support.running import Proxy
from tests.support.talking import CHAT, RESPONSES, sent

COMPACT = f"{RESPONSES}/compact"
SAID = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "My colour is blue."}]},
    {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "it applied"},
]
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


def codex(model: str, **fields: Any) -> dict[str, Any]:
    """What Codex sends to have its conversation made shorter."""
    asked = {"instructions": "Be brief.", "input": SAID, "tools": [TOOL], "parallel_tool_calls": True}
    return {"model": model, **asked, "reasoning": {"summary": "auto"}, "prompt_cache_key": "k", **fields}


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.3-codex"])
def test_a_conversation_that_was_made_shorter_goes_on(wide_proxy: Proxy, model: str) -> None:
    answer = wide_proxy.ask("POST", COMPACT, codex(model, max_output_tokens=99))
    shorter = answer.json["output"]
    go_on = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and now?"}]}
    again = wide_proxy.ask("POST", RESPONSES, {"model": model, "input": [*shorter, go_on], "store": False})
    [(_, reached), _] = sent(wide_proxy)

    counts = {**answer.json["usage"], "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    # OpenAI's own type has no messages of the user, though they come back, too.
    CompactedResponse.model_validate({**answer.json, "output": shorter[1:], "usage": counts})
    assert [item["type"] for item in shorter] == ["message", "compaction"]
    assert reached.keys() == {"model", "input", "instructions", "prompt_cache_key"}
    assert answer.headers["x-proxy-dropped"] == "max_output_tokens, parallel_tool_calls, reasoning, tools"
    assert answer.json["usage"]["input_tokens"] > 0
    assert (answer.status, again.status) == (200, 200)


@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "gemini-2.5-pro", "amazon--nova-pro", "gpt-4.1"])
def test_a_model_that_makes_no_conversation_shorter_says_so(wide_proxy: Proxy, model: str) -> None:
    answer = wide_proxy.ask("POST", COMPACT, codex(model))

    assert (answer.status, answer.json["error"]["param"]) == (400, "model")
    assert "summary as text" in answer.json["error"]["message"]
    assert sent(wide_proxy) == []


@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "gemini-2.5-pro", "gpt-4.1"])
def test_a_turn_that_is_to_make_a_conversation_shorter_is_refused(wide_proxy: Proxy, model: str) -> None:
    trigger = {"type": "compaction_trigger"}
    answer = wide_proxy.ask("POST", RESPONSES, {"model": model, "input": [*SAID, trigger], "stream": True})

    assert (answer.status, answer.json["error"]["param"]) == (400, "input[3]")
    assert sent(wide_proxy) == []


@pytest.mark.parametrize("body", [{"input": 5}, {"input": []}, {"input": "x", "conversation": "conv_1"}])
def test_a_compaction_that_makes_no_sense_is_refused(wide_proxy: Proxy, body: dict[str, Any]) -> None:
    assert wide_proxy.ask("POST", COMPACT, {"model": "gpt-5", **body}).status == 400
    assert wide_proxy.ask("POST", COMPACT, codex("no-such-model")).status == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [("conversation", "conv_1"), ("conversation", {"id": "conv_1"}), ("prompt", {"id": "pmpt_1"})],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "model", ["gpt-5", "gpt-5.3-codex", "gpt-4.1", "anthropic--claude-4.5-sonnet", "gemini-2.5-pro"]
)
@pytest.mark.parametrize("path", [RESPONSES, CHAT], ids=["responses", "cursor"])
def test_what_only_openai_would_keep_is_refused(
    wide_proxy: Proxy, path: str, model: str, stream: bool, name: str, value: Any
) -> None:
    answer = wide_proxy.ask("POST", path, {"model": model, "input": "hi", "stream": stream, name: value})

    assert (400, name) == (answer.status, answer.json["error"]["param"])
    assert sent(wide_proxy) == []


def test_what_a_deployment_keeps_may_still_be_gone_on_from(wide_proxy: Proxy) -> None:
    first = wide_proxy.ask("POST", RESPONSES, {"model": "gpt-5", "input": "hi", "conversation": None})
    body = {"model": "gpt-5", "input": "and?", "previous_response_id": first.json["id"]}

    assert (first.status, wide_proxy.ask("POST", RESPONSES, body).status) == (200, 200)
    assert wide_proxy.ask("POST", COMPACT, body).status == 200


def test_a_compaction_goes_back_to_the_deployment_that_made_it(proxy: Proxy) -> None:
    """No other can read it: it is signed with the name of its maker."""
    assert len(proxy.cloud.deployments("gpt-5")) > 1
    makers = set()
    for _ in range(4):
        answer = proxy.ask("POST", COMPACT, codex("gpt-5"))
        made = answer.headers["x-proxy-deployment"]
        go_on = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and now?"}]}
        body = {"model": "gpt-5", "input": [*answer.json["output"], go_on], "store": False}
        for path, asked in ((RESPONSES, body), (COMPACT, body), (RESPONSES, {**body, "stream": True})):
            again = proxy.ask("POST", path, asked)
            assert (200, made) == (again.status, again.headers["x-proxy-deployment"]), again.body
        makers.add(made)

    assert len(makers) > 1


@pytest.mark.parametrize("content", ["gAAAAABx", ""])
def test_a_compaction_of_somebody_else_is_refused(proxy: Proxy, content: str) -> None:
    compacted = {"type": "compaction", "id": "cmp_1", "encrypted_content": content}
    answer = proxy.ask("POST", RESPONSES, {"model": "gpt-5", "input": [compacted, *SAID]})

    assert (answer.status, answer.json["error"]["param"]) == (400, "input")
    assert "only the deployment that made it can read" in answer.json["error"]["message"]
    assert sent(proxy) == []
