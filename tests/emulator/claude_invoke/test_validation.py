"""What Claude rejects, and in which words."""

import pytest

from tests.emulator.client import OLD_SONNET, OPUS, PNG, SONNET, request

THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
ADAPT = {"thinking": {"type": "adaptive"}}
MARK = {"cache_control": {"type": "ephemeral"}}
CALL = {"type": "tool_use", "id": "t1", "name": "a", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
TOOL = {"name": "a", "input_schema": {"type": "object"}}


def _user(*blocks):
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def _turns(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def _text(text, **more):
    return {"type": "text", "text": text, **more}


INVOKE = [
    (SONNET, {"model": "x"}, "model: Extra inputs are not permitted"),
    (SONNET, {"stream": True}, "stream: Extra inputs are not permitted"),
    (SONNET, {"context_management": {}}, "context_management: Extra inputs are not permitted"),
    (SONNET, {"max_tokens": None}, "max_tokens"),
    (SONNET, {"anthropic_version": "2023-06-01"}, "anthropic_version"),
    (SONNET, {"anthropic_beta": ["files-api-2025-04-14"]}, "invalid beta flag"),
    (SONNET, {"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
    (SONNET, {"temperature": 1.5}, "temperature: range: 0..1"),
    (SONNET, ADAPT, "adaptive thinking is not supported"),
    (SONNET, {"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
    (SONNET, THINK | {"max_tokens": 1024}, "`max_tokens` must be greater"),
    (SONNET, THINK | {"temperature": 0.5}, "may only be set to 1"),
    (SONNET, THINK | {"top_k": 5}, "`top_k` must be unset"),
    (SONNET, THINK | {"tools": [TOOL], "tool_choice": {"type": "any"}}, "Thinking may not be enabled"),
    (SONNET, {"output_config": {"effort": "low"}}, "does not support the effort parameter"),
    (OLD_SONNET, {"output_config": {"effort": "low"}}, "output_config: Extra inputs"),
    (OLD_SONNET, THINK, "does not support thinking"),
    (OPUS, {"temperature": 1}, "`temperature` is deprecated"),
    (OPUS, {"top_p": 0.9}, "`top_p` is deprecated"),
    (OPUS, THINK, '"thinking.type.enabled" is not supported'),
    (OPUS, _turns(("user", "a"), ("assistant", "b")), "does not support assistant message prefill"),
    (SONNET, {"messages": []}, "at least one message"),
    (SONNET, _turns(("assistant", "a")), "first message must use"),
    (SONNET, _turns(("critic", "a")), "Unexpected role"),
    (SONNET, _turns(("user", "a"), ("system", "b")), "role 'system' is not supported on this model"),
    (SONNET, {"metadata": {"user_id": "u"}}, "role 'system' is not supported on this model"),
    (SONNET, {"anthropic_beta": ["structured-outputs-2025-12-15"]}, "invalid beta flag"),
    (SONNET, {"anthropic_beta": ["thinking-token-count-2026-05-13"]}, "invalid beta flag"),
    (SONNET, _turns(("user", "")), "non-empty content"),
    (SONNET, _user(_text("")), "must be non-empty"),
    (SONNET, _user(_text(" \n")), "must contain non-whitespace"),
    (SONNET, {"system": [_text(" ")]}, "system: text content blocks must be non-empty"),
    (SONNET, _user({"type": "input_text", "text": "a"}), "does not match any of the expected tags"),
    (SONNET, _user(_text("a", foo=1)), "messages.0.content.0.text.foo: Extra inputs are not permitted"),
    (
        SONNET,
        _user(_text("a", cache_control={"type": "ephemeral", "scope": "global"})),
        "ephemeral.scope: Extra inputs",
    ),
    (
        SONNET,
        {"tools": [TOOL, TOOL | {"name": "b", "cache_control": {"type": "ephemeral", "scope": "global"}}]},
        "tools.1.custom.cache_control.ephemeral.scope: Extra inputs are not permitted",
    ),
    (SONNET, _user(*[_text("a", **MARK)] * 5), "A maximum of 4 blocks with cache_control may be provided. Found 5."),
    (
        SONNET,
        _user(_text("a", **MARK), _text("b", cache_control={"type": "ephemeral", "ttl": "1h"})),
        "must not come after a ttl='5m'",
    ),
    (SONNET, _user({"type": "image", "source": {"type": "url", "url": "https://x"}}), "is not supported"),
    (
        SONNET,
        _user({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": PNG}}),
        "media_type",
    ),
    (SONNET, _user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!"}}), "base64"),
    (SONNET, _user(RESULT), "unexpected `tool_use_id`"),
    (SONNET, _turns(("user", "a"), ("assistant", [CALL]), ("user", "b")), "without `tool_result` blocks"),
    (SONNET, _turns(("user", "a"), ("assistant", [CALL])), "without `tool_result` blocks"),
    (SONNET, _turns(("user", "a"), ("assistant", [CALL]), ("user", [_text("b"), RESULT])), "without `tool_result`"),
    (SONNET, _turns(("user", "a"), ("assistant", [CALL, CALL]), ("user", [RESULT])), "must be unique"),
    (SONNET, {"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    (SONNET, {"tools": [{"name": "a"}]}, "input_schema: Field required"),
    (SONNET, {"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "should match pattern"),
    (SONNET, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "'web_search_20250305'"),
    (SONNET, {"tools": [TOOL | {"input_examples": []}]}, "input_examples: Extra inputs are not permitted"),
    (SONNET, {"tool_choice": {"type": "any"}}, "while providing tools"),
    (SONNET, {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "b"}}, "not found in provided tools"),
    (SONNET, {"stop_sequences": [" "]}, "non-whitespace"),
    (
        SONNET,
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        "'additionalProperties' must be explicitly set to false",
    ),
]


@pytest.mark.parametrize(("model", "change", "words"), INVOKE)
def test_claude_refuses(eu, model, change, words):
    path, body = request("invoke", model, "Hello", limit=4000)

    answer = eu.post(model, path, body | change)

    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert answer.headers["x-amzn-errortype"] == "ValidationException"


@pytest.mark.parametrize("key", ["max_tokens", "anthropic_version"])
def test_claude_wants_what_it_needs(eu, key):
    path, body = request("invoke", SONNET, "Hello")
    del body[key]

    assert eu.post(SONNET, path, body).json() == {"message": f"{key}: Field required"}


@pytest.mark.parametrize(
    "beta",
    [
        "claude-code-20250219",
        "context-1m-2025-08-07",
        "interleaved-thinking-2025-05-14",
        "context-management-2025-06-27",
        "effort-2025-11-24",
        "mid-conversation-system-2026-04-07",
        "afk-mode-2026-01-31",
        "fine-grained-tool-streaming-2025-05-14",
    ],
)
def test_claude_takes_the_betas_that_bedrock_was_seen_to_take(eu, beta):
    path, body = request("invoke", SONNET, "Hello")

    assert eu.post(SONNET, path, body | {"anthropic_beta": [beta]}).status_code == 200


def test_claude_takes_what_it_knows(eu):
    path, body = request("invoke", SONNET, "Hello", limit=4000)
    extras = (
        THINK | {"anthropic_beta": ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"]},
        {"tools": [TOOL | MARK, {"type": "bash_20250124", "name": "bash"}], "temperature": 0.3, "top_k": 4},
        _user(*[_text("a", **MARK)] * 4),
        _turns(("user", "a"), ("user", "b"), ("assistant", "c")),
        {"system": [_text("Be brief", cache_control={"type": "ephemeral", "ttl": "1h"})]},
    )
    for extra in extras:
        assert eu.post(SONNET, path, body | extra).status_code == 200
    path, body = request("invoke", OPUS, "Hello")
    assert eu.post(OPUS, path, body | ADAPT | {"output_config": {"effort": "high"}}).status_code == 200
