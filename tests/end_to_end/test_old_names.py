"""The names that callers of the proxy's insides have used before keep working."""

import copy

import pytest

import proxy_server
import routing
from emulator.bedrock_converse import validation as converse
from emulator.claude_invoke import validation as claude
from emulator.gemini_generate import validation as gemini
from emulator.gemini_generate.request_parser import normalize
from emulator.models import MODELS_BY_NAME
from tests.support.running import Proxy

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]

CALLED = [
    {"role": "user", "content": ["Weather?", {"text": "Please"}]},
    {
        "role": "assistant",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "22C"},
]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
RULES = {
    "anthropic--claude-4.5-sonnet": converse.check,
    "anthropic--claude-3.5-sonnet": claude.check,
    "gemini-2.5-pro": lambda model, body: gemini.check(model, normalize(body)),
}
"""What SAP AI Core refuses of a body for each model."""


@pytest.mark.parametrize(
    ("name", "model", "paths", "holds"),
    [
        ("handle_claude_request", "anthropic--claude-4.5-sonnet", ("/converse", "/converse-stream"), "inferenceConfig"),
        (
            "handle_claude_request",
            "anthropic--claude-3.5-sonnet",
            ("/invoke", "/invoke-with-response-stream"),
            "system",
        ),
        (
            "handle_gemini_request",
            "gemini-2.5-pro",
            ("/models/gemini-2.5-pro:generateContent", "/models/gemini-2.5-pro:streamGenerateContent"),
            "contents",
        ),
        (
            "handle_default_request",
            "gpt-4.1",
            # A stream is asked for its usage, which the older version does not know.
            ("/chat/completions?api-version=2023-05-15", "/chat/completions?api-version=2024-12-01-preview"),
            "messages",
        ),
        ("handle_default_request", "gpt-5", ("/chat/completions?api-version=2024-12-01-preview",) * 2, "messages"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_handler_of_old_says_where_a_request_goes(
    proxy: Proxy, name: str, model: str, paths: tuple[str, str], holds: str, stream: bool
) -> None:
    routing.configure(proxy.gateway.router)
    payload = {"model": model, "messages": HELLO, "stream": stream, "max_tokens": 10}
    before = copy.deepcopy(payload)
    with pytest.warns(DeprecationWarning, match="route_request"):
        url, body, subaccount = getattr(proxy_server, name)(payload, model)

    assert before == payload
    assert url.endswith(paths[stream])
    assert holds in body
    assert subaccount in {"eu", "us"}


@pytest.mark.parametrize("model", RULES)
@pytest.mark.parametrize(
    "payload",
    [
        {"messages": HELLO},
        {"messages": HELLO[1:], "temperature": 0.5},
        {"messages": CALLED, "tools": TOOLS, "max_tokens": 10},
        {"messages": CALLED, "tools": TOOLS, "max_tokens": 10, "stream": True},
    ],
    ids=["prompted", "bare", "tools", "streamed"],
)
def test_what_is_routed_is_a_body_that_sap_ai_core_takes(proxy: Proxy, model: str, payload: dict) -> None:
    routing.configure(proxy.gateway.router)
    _, body, _, _ = routing.route_request(payload, model)

    RULES[model](MODELS_BY_NAME[model], body)


def test_a_missing_stream_means_none(proxy: Proxy) -> None:
    routing.configure(proxy.gateway.router)
    with pytest.warns(DeprecationWarning, match="route_request"):
        url, _, _ = proxy_server.handle_claude_request({"messages": HELLO}, "anthropic--claude-4.5-sonnet")

    assert url.endswith("/converse")


def test_urls_take_turns_over_subaccounts_and_deployments(proxy: Proxy) -> None:
    routing.configure(proxy.gateway.router)
    found = [routing.load_balance_url("gpt-4.1") for _ in range(8)]

    assert [subaccount for _, subaccount, _, _ in found] == ["eu", "us"] * 4 or [
        subaccount for _, subaccount, _, _ in found
    ] == ["us", "eu"] * 4
    assert len({url for url, _, _, _ in found}) == 4
    assert {(subaccount, group) for _, subaccount, group, _ in found} == {("eu", "default"), ("us", "team-a")}
    assert {model for _, _, _, model in found} == {"gpt-4.1"}
