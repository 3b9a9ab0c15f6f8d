"""Whether Claude on Bedrock would take a body: the types of Anthropic's own SDK decide, and rules they do not say."""

from typing import Any

from tests.oracles.openai import _errors
from tests.oracles.sdks import sdk

# What Bedrock takes of Anthropic's API, by what it refuses as "Extra inputs are not permitted".
_TOP = {
    "anthropic_beta",
    "anthropic_version",
    "context_management",
    "max_tokens",
    "messages",
    "output_config",
    "stop_sequences",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
}
# Bedrock's own, and what the newest SDK has no word for any more.
_UNTYPED = {"anthropic_version", "anthropic_beta", "context_management", "temperature", "top_p", "top_k"}


def check_messages_request(body: dict[str, Any]) -> None:
    """Raise `AssertionError` with the reason if this is no body for Claude's ``invoke``."""
    assert body.keys() <= _TOP, f"extra inputs: {body.keys() - _TOP}"
    assert body.get("anthropic_version") == "bedrock-2023-05-31", "anthropic_version"
    assert all(isinstance(beta, str) for beta in body.get("anthropic_beta", [])), "anthropic_beta"
    typed = {"model": "claude"} | {name: value for name, value in body.items() if name not in _UNTYPED}
    types = sdk("anthropic.types.beta" if body.get("anthropic_beta") else "anthropic.types").message_create_params
    wrong = list(_errors(typed, types.MessageCreateParamsNonStreaming, "body"))
    assert not wrong, "\n".join(wrong)
    _check_settings(body)
    _check_turns(body["messages"], {tool.get("name") for tool in body.get("tools", [])})
    _check_marks(body)


def _check_settings(body: dict[str, Any]) -> None:
    assert all(isinstance(body.get(name, 0), int | float) for name in ("temperature", "top_p", "top_k")), "a number"
    assert 0 <= body.get("temperature", 0) <= 1, "temperature"
    thinking, choice = body.get("thinking", {}), body.get("tool_choice", {})
    if thinking.get("type") in ("enabled", "adaptive"):
        assert choice.get("type") not in ("any", "tool"), "thinking goes with no forced tool"
        assert body.get("temperature") in (None, 1), "thinking goes with no temperature"
        assert "top_k" not in body, "thinking goes with no top_k"
    if thinking.get("type") == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"], "the budget must be less than the length"
    assert "tool_choice" not in body or body.get("tools"), "tool_choice without tools"
    assert all(stop.strip() for stop in body.get("stop_sequences", [])), "a blank stop sequence"


def _check_turns(messages: list[dict[str, Any]], offered: set[str]) -> None:
    assert messages, "messages is empty"
    assert messages[0]["role"] == "user", "the user begins"
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        assert message["role"] in ("user", "assistant"), f"{where}: {message['role']}"
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert blocks, f"{where} is empty"
        kinds = [block["type"] for block in blocks]
        assert not any(block["type"] == "text" and not block["text"].strip() for block in blocks), f"{where}: blank"
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        assert results == waiting, f"{where} answers {results}, not {waiting}"
        assert "tool_result" not in kinds[len(results) :], f"{where}: results come first"
        assert not any(block["type"] == "thinking" and not block["signature"] for block in blocks), f"{where}: unsigned"
        media = [block["source"] for block in blocks if block["type"] in ("image", "document")]
        assert not any(source["type"] in ("url", "file") for source in media), f"{where}: remote"
        calls = [block for block in blocks if block["type"] == "tool_use"]
        assert not calls or offered, "calls need tools"
        waiting = {call["id"] for call in calls}
    assert not waiting, f"calls without an answer: {waiting}"


def _check_marks(value: Any) -> None:
    assert str(value).count("'cache_control': {") <= 4, "more than four cache marks"
