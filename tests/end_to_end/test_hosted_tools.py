"""Tools that run at a provider: an optional one is named where a model lacks it, one that is insisted on is refused."""

import json
from typing import Any

import pytest

from tests.support.running import HttpAnswer, Proxy
from tests.support.talking import CHAT, HELLO, MESSAGES, RESPONSES, gemini_path, sent

CLAUDE, NOVA, GEMINI, GPT, CODEX = (
    "anthropic--claude-4.5-sonnet",
    "amazon--nova-pro",
    "gemini-2.5-pro",
    "gpt-4.1",
    "gpt-5.3-codex",
)
SCHEMA = {"type": "object", "properties": {}}
FUNCTIONS: dict[str, Any] = {
    "messages": {"name": "read", "input_schema": SCHEMA},
    "responses": {"type": "function", "name": "read", "parameters": SCHEMA},
    "chat": {"type": "function", "function": {"name": "read", "parameters": SCHEMA}},
    "gemini": {"functionDeclarations": [{"name": "read"}]},
}
MUST = {"messages": {"type": "any"}, "responses": "required", "chat": "required"}


def ask(proxy: Proxy, client: str, model: str, tools: list[Any], choice: Any = None, **fields: Any) -> HttpAnswer:
    """Ask a model something, with tools, in a client's dialect."""
    chosen = {} if choice is None else {"tool_choice": choice}
    match client:
        case "messages":
            body = {"model": model, "max_tokens": 200, "messages": HELLO, "tools": tools, **chosen, **fields}
            return proxy.ask("POST", MESSAGES, body, **{"anthropic-version": "2023-06-01"})
        case "chat":
            return proxy.ask("POST", CHAT, {"model": model, "messages": HELLO, "tools": tools, **chosen, **fields})
        case "responses":
            return proxy.ask("POST", RESPONSES, {"model": model, "input": "Hello", "tools": tools, **chosen, **fields})
        case _:
            contents = [{"role": "user", "parts": [{"text": "Hello"}]}]
            config = {"toolConfig": {"functionCallingConfig": {"mode": choice}}} if choice else {}
            body = {"contents": contents, "tools": tools, **config}
            return proxy.ask("POST", gemini_path(model, stream=bool(fields.get("stream"))), body)


def message_of(answer: HttpAnswer) -> str:
    """Why a request was refused; every dialect has it in the same place."""
    return str(answer.json["error"]["message"])


HOSTED = [
    # A client, a tool of its provider's, and how its clients insist on it.
    ("messages", {"type": "web_search_20250305", "name": "web_search"}, {"type": "tool", "name": "web_search"}),
    ("messages", {"type": "web_fetch_20250910", "name": "web_fetch"}, {"type": "tool", "name": "web_fetch"}),
    ("messages", {"type": "code_execution_20250825", "name": "code_execution"}, MUST["messages"]),
    ("responses", {"type": "web_search"}, {"type": "web_search"}),
    ("responses", {"type": "web_search_preview"}, "required"),
    ("responses", {"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "code_interpreter"}),
    ("responses", {"type": "image_generation"}, {"type": "image_generation"}),
    ("chat", {"type": "web_search"}, {"type": "web_search"}),
    ("chat", {"type": "web_search"}, "required"),
    ("gemini", {"googleSearch": {}}, "ANY"),
]
LACKING = [CLAUDE, NOVA, GPT, CODEX]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", LACKING)
@pytest.mark.parametrize(("client", "tool", "choice"), HOSTED)
def test_a_tool_the_model_lacks_cannot_be_insisted_on(
    wide_proxy: Proxy, client: str, tool: dict[str, Any], choice: Any, model: str, stream: bool
) -> None:
    answer = ask(wide_proxy, client, model, [tool], choice, stream=stream)

    assert answer.status == 400
    assert str(tool.get("type", "googleSearch")).removesuffix("_preview")[:9] in message_of(answer)
    assert sent(wide_proxy) == []


@pytest.mark.parametrize("model", LACKING)
@pytest.mark.parametrize(("client", "tool", "choice"), HOSTED)
def test_a_tool_the_model_lacks_is_named_where_it_is_only_offered(
    wide_proxy: Proxy, client: str, tool: dict[str, Any], choice: Any, model: str
) -> None:
    del choice
    answer = ask(wide_proxy, client, model, [FUNCTIONS[client], tool])
    [(_, reached)] = sent(wide_proxy)
    alone = ask(wide_proxy, client, model, [tool])

    for each in (answer, alone):
        assert each.status == 200, each.body
        assert f"tool {tool.get('type', 'googleSearch')}" in each.headers["x-proxy-dropped"]
    assert 'read"' in json.dumps(reached)


@pytest.mark.parametrize("model", LACKING)
@pytest.mark.parametrize("client", MUST)
def test_a_call_that_must_be_made_may_still_be_one_of_a_function(wide_proxy: Proxy, client: str, model: str) -> None:
    hosted = next(tool for each, tool, _ in HOSTED if each == client)
    answer = ask(wide_proxy, client, model, [FUNCTIONS[client], hosted], MUST[client])

    assert answer.status == 200, answer.body
    assert "read" in answer.body.decode()


@pytest.mark.parametrize("model", [*LACKING, GEMINI])
@pytest.mark.parametrize(
    ("client", "choice"),
    [
        ("messages", {"type": "tool", "name": "missing"}),
        ("responses", {"type": "function", "name": "missing"}),
        ("responses", {"type": "custom", "name": "missing"}),
        ("chat", {"type": "function", "function": {"name": "missing"}}),
        ("chat", {"type": "custom", "custom": {"name": "missing"}}),
    ],
)
def test_a_choice_names_a_tool_that_is_there(wide_proxy: Proxy, client: str, choice: Any, model: str) -> None:
    answer = ask(wide_proxy, client, model, [FUNCTIONS[client]], choice)

    assert answer.status == 400
    assert "missing" in message_of(answer)
