"""What clients set beside the conversation: a limit that holds, names of requests, and text that was cut in two."""

import json
from typing import Any

import pytest

from tests.support.running import HttpAnswer, Proxy
from tests.support.talking import CHAT, DIALECTS, HELLO, MESSAGES, RESPONSES, gemini_path, request_of, sent

CLAUDES = ["anthropic--claude-3.5-sonnet", "anthropic--claude-4.5-sonnet", "anthropic--claude-4.6-sonnet"]
LIMIT = 1000


def limited(spelling: str, model: str) -> tuple[str, dict[str, Any]]:
    """Ask to think hard in few tokens, in one of the spellings of a limit."""
    chat = {"model": model, "messages": HELLO, "reasoning_effort": "high"}
    match spelling:
        case "max_tokens" | "max_completion_tokens":
            return CHAT, {**chat, spelling: LIMIT}
        case "max_output_tokens":
            return RESPONSES, {"model": model, "input": "Hello", "reasoning": {"effort": "high"}, spelling: LIMIT}
        case "maxOutputTokens":
            config = {"maxOutputTokens": LIMIT, "thinkingConfig": {"thinkingBudget": 9000}}
            contents = [{"role": "user", "parts": [{"text": "Hello"}]}]
            return gemini_path(model, stream=False), {"contents": contents, "generationConfig": config}
        case _:
            thinking = {"type": "enabled", "budget_tokens": 9000}
            return MESSAGES, {"model": model, "messages": HELLO, "thinking": thinking, "max_tokens": LIMIT}


@pytest.mark.parametrize("model", [*CLAUDES, "gemini-2.5-pro"])
@pytest.mark.parametrize(
    "spelling", ["max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "messages"]
)
def test_a_callers_limit_holds_whatever_he_asks_to_think(wide_proxy: Proxy, spelling: str, model: str) -> None:
    path, body = limited(spelling, model)
    told = wide_proxy.ask("POST", path, body)

    assert told.status == 200, told.body
    [(_, body)] = sent(wide_proxy)
    inference = body.get("inferenceConfig") or body.get("generationConfig") or body
    assert inference.get("maxTokens", inference.get("maxOutputTokens", inference.get("max_tokens"))) == LIMIT
    upstream = json.dumps(body)
    named = any(word in told.headers.get("x-proxy-dropped", "") for word in ("thinking", "reasoning"))
    kept = '"adaptive"' in upstream or '"thinkingBudget": 9000' in upstream
    assert named is not kept


def ask(proxy: Proxy, dialect: str, model: str, *, stream: bool = False) -> HttpAnswer:
    path, body = request_of(dialect, model, stream=stream)
    return proxy.ask("POST", path, body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["gpt-4.1", "anthropic--claude-4.5-sonnet", "unknown--model"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_is_named_where_its_client_looks(proxy: Proxy, dialect: str, model: str, stream: bool) -> None:
    headers = ask(proxy, dialect, model, stream=stream).headers

    assert headers["x-request-id"]
    assert (headers["x-request-id"] if dialect == "messages" else None) == headers.get("request-id")


@pytest.mark.parametrize("limit", [{}, {"max_tokens": None}], ids=["missing", "null"])
@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "gpt-4.1"])
def test_a_client_of_anthropics_that_names_no_limit_is_told_in_anthropics_words(
    proxy: Proxy, model: str, limit: dict[str, Any]
) -> None:
    told = proxy.ask("POST", MESSAGES, {"model": model, "messages": HELLO, **limit})

    assert told.status == 400
    error = {"type": "invalid_request_error", "message": "max_tokens: Field required"}
    assert json.loads(told.body) == {"type": "error", "error": error}
    assert told.headers["request-id"]
    assert sent(proxy) == []


def test_a_prompt_is_counted_without_a_limit(proxy: Proxy) -> None:
    told = proxy.ask("POST", f"{MESSAGES}/count_tokens", {"model": "gpt-4.1", "messages": HELLO})

    assert told.status == 200
    assert json.loads(told.body)["input_tokens"] > 0


@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "gpt-4.1", "gpt-5.3-codex", "gemini-2.5-flash"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_half_an_emoji_ends_no_conversation(proxy: Proxy, dialect: str, model: str) -> None:
    path, body = request_of(dialect, model, stream=False, text="cut \ud83d here")
    told = proxy.ask("POST", path, body)

    assert told.status == 200, told.body
    assert "cut \ufffd here" in json.dumps(sent(proxy)[0][1], ensure_ascii=False)
    assert "cut \ufffd here" in json.dumps(json.loads(told.body), ensure_ascii=False)
