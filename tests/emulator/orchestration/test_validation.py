"""What orchestration refuses, where it says the fault lies, and in which words."""

import pytest

from emulator.catalogue import orchestrated
from tests.emulator.client import OLD_SONNET, OPUS, SONNET
from tests.emulator.orchestration.completion import (
    GEMINI,
    GPT,
    NOVA,
    PATH,
    TOOL,
    body,
    chunks,
    message,
    modules,
    post,
    refused,
    user,
)

CALL = {"id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
CALLED = [user("a"), {"role": "assistant", "content": "", "tool_calls": [CALL]}]
BROKEN = [
    user("a"),
    {"role": "assistant", "content": "", "tool_calls": [CALL | {"function": {"name": "f", "arguments": "{"}}]},
    {"role": "tool", "tool_call_id": "t1", "content": "22"},
]
BLOCKS = [{"type": "text", "text": "22"}]
TEMPLATE = "config.modules.prompt_templating.prompt"

REQUEST_BODY = [
    (modules(GPT, [user([])]), f"[] is not of type 'string' - '{TEMPLATE}.template[0].content'"),
    (
        modules(GPT, [{"role": "assistant", "tool_calls": [CALL]}]),
        f"'content' is a required property - '{TEMPLATE}.template[0]'",
    ),
    (
        modules(GPT, [user([{"type": "text", "text": "a", "cache_control": None}])]),
        f"None is not of type 'object' - '{TEMPLATE}.template[0].content[0].cache_control'",
    ),
    (
        modules(GPT, tools=[TOOL, {"type": "custom", "custom": {"name": "x"}}]),
        f"'custom' is not one of ['function'] - '{TEMPLATE}.tools[1].type'",
    ),
    (modules(GPT, None), "Either a prompt template or messages_history must be provided."),
    (modules(GPT, []), f"[] should be non-empty - '{TEMPLATE}.template'"),
    (
        modules(GPT, [user("a") | {"name": "x"}]),
        f"Additional properties are not allowed ('name' was unexpected) - '{TEMPLATE}.template[0]'",
    ),
    (
        modules(GPT, tools=[TOOL | {"strict": True, "x": 1}]),
        f"Additional properties are not allowed ('strict', 'x' were unexpected) - '{TEMPLATE}.tools[0]'",
    ),
    (modules(GPT, [{"role": "critic", "content": "a"}]), "'critic' is not one of ['system', 'user', "),
    (modules(GPT, max_retries=6), "6 is greater than the maximum of 5 - 'config.modules.prompt_templating.model"),
    (modules(GPT, params=[]), "[] is not of type 'object'"),
    (modules(GPT, caching={}), "('caching' was unexpected) - 'config.modules'"),
    (
        modules(GPT, [user([{"type": "file", "file": {"file_data": "data:;base64,AA=="}}])]),
        "Invalid file_data format. MIME type is required in data URI",
    ),
]


@pytest.mark.parametrize(("configuration", "words"), REQUEST_BODY)
def test_a_body_that_does_not_fit_is_refused_with_the_place_of_its_fault(eu, configuration, words):
    error = refused(eu, configuration)

    assert error["location"] == "Request Body"
    assert words in error["message"].removeprefix("400 - Request Body: ")
    assert "intermediate_results" not in error


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"messages": []}, "('messages' was unexpected)"),
        ({"placeholder_values": {"x": 1}}, "1 is not of type 'string' - 'placeholder_values.x'"),
        ({"config": {"modules": []}}, "[] is not of type 'object' - 'config.modules'"),
        ({"config": {}}, "'modules' is a required property - 'config'"),
    ],
)
def test_nothing_unknown_stands_beside_the_configuration(eu, odd, words):
    answer = eu.post(None, PATH, body(modules(GPT)) | odd)

    assert (answer.status_code, words in answer.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"config": NaN}', b'{"config": "\xff"}'])
def test_what_is_no_json_object_is_a_fault_of_the_body(eu, raw):
    for path in (PATH, "v2/embeddings"):
        answer = eu.send("POST", None, path, data=raw)

        assert (answer.status_code, answer.json()["error"]["location"]) == (400, "Request Body")


LLM_MODULE = [
    (SONNET, {"params": {"temperature": 0.2, "top_p": 0.9}}, "`temperature` and `top_p` cannot both be specified"),
    (
        "anthropic--claude-4-sonnet",
        {"params": {"temperature": 0.2, "top_p": 0.9}},
        "`temperature` and `top_p` cannot both be specified",
    ),
    (OPUS, {"params": {"temperature": 0.2}}, "claude-opus-4-8 does not support temperature=0.2."),
    (OPUS, {"params": {"top_p": 0.95}}, "claude-opus-4-8 does not support top_p=0.95."),
    (OPUS, {"params": {"thinking": {"type": "enabled", "budget_tokens": 2048}}}, '"thinking.type.enabled" is not'),
    (SONNET, {"params": {"thinking": {"type": "adaptive"}}}, "adaptive thinking is not supported on this model"),
    (SONNET, {"params": {"seed": 1}}, "anthropic does not support parameters: ['seed'], for model=anthropic--"),
    (GPT, {"params": {"temperature": 0.5}}, "gpt-5 models (including gpt-5-codex) don't support temperature=0.5."),
    (GPT, {"params": {"max_tokens": 500}}, "Use 'max_completion_tokens' instead."),
    (GPT, {"params": {"prompt_cache_key": "k"}}, "openai does not support parameters: ['prompt_cache_key'], for model"),
    (SONNET, {"params": {"top_k": 5}}, "anthropic does not support parameters: ['top_k'], for model=anthropic--"),
    (SONNET, {"params": {"user": "u"}}, "anthropic does not support parameters: ['user'], for model=anthropic--"),
    (GPT, {"params": {"thinking": {}}}, "openai does not support parameters: ['thinking'], for model=gpt-5"),
    (
        "gpt-5.6-sol",
        {"params": {"tool_choice": "auto"}, "tools": [TOOL]},
        "openai does not support parameters: ['tool_choice'], for model=gpt-5.6-sol",
    ),
    (GEMINI, {"template": [{"role": "developer", "content": "a"}, user("b")]}, "Invalid role 'developer' in message"),
    (SONNET, {"template": [user(" ")]}, "text content blocks must contain non-whitespace text"),
    (SONNET, {"template": CALLED}, "`tool_use` ids were found without `tool_result` blocks"),
    (GPT, {"template": CALLED}, "must be followed by tool messages"),
    (NOVA, {"template": [{"role": "system", "content": "a"}]}, "must have length at least 1"),
    (
        SONNET,
        {"template": [*CALLED, {"role": "tool", "tool_call_id": "t1", "content": BLOCKS}], "tools": [TOOL]},
        "Tool message content must be a string for Anthropic harmonization. Received: list.",
    ),
    (
        SONNET,
        {"template": [user([{"type": "file", "file": {"file_data": "data:text/plain;base64,YQ=="}}])]},
        "only supports PDF documents. Please provide a valid PDF file.",
    ),
    (
        SONNET,
        {"template": [user([{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}])]},
        "Only base64-encoded images are supported.",
    ),
    *((model, {"template": BROKEN, "tools": [TOOL]}, "must be valid JSON") for model in (SONNET, GEMINI, NOVA)),
    (GEMINI, {"template": [{"role": "tool", "tool_call_id": "t9", "content": "22"}]}, "'t9' was not found"),
    ("gpt-0", {}, "Model gpt-0 in version latest not found."),
    (GPT, {"version": "1999"}, "Model gpt-5 in version 1999 not found."),
    (OLD_SONNET, {}, f"Model {OLD_SONNET} in version latest not found."),
    ("text-embedding-3-small", {}, "not found."),
]


@pytest.mark.parametrize(("model", "more", "words"), LLM_MODULE)
def test_what_a_model_does_not_take_is_refused_with_the_whole_prompt(eu, model, more, words):
    error = refused(eu, modules(model, **more))
    shown = more.get("template", [user("Hello")])

    assert error["location"] == "LLM Module"
    assert error["message"].startswith("400 - LLM Module: ")
    assert words in error["message"]
    assert error["intermediate_results"] == {"templating": shown}
    assert error["headers"]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (GPT, {"params": {"temperature": 1, "max_completion_tokens": 500, "stream_options": {"include_usage": True}}}),
        (OPUS, {"params": {"temperature": 1}}),
        (SONNET, {"params": {"reasoning_effort": "low", "stop": "END"}}),
        ("gpt-5.6-sol", {"tools": [TOOL]}),
        (GPT, {"params": {"tool_choice": "auto", "parallel_tool_calls": False}, "tools": [TOOL]}),
        (GPT, {"version": "2025-08-07"}),
        ("gpt-4o", {"version": "2024-08-06"}),
        (GEMINI, {"params": {"reasoning_effort": "low", "n": 2, "seed": 4}}),
        (SONNET, {"template": [{"role": "developer", "content": "a"}, user("b")]}),
        (GPT, {"template": [*CALLED, {"role": "tool", "tool_call_id": "t1", "content": BLOCKS}], "tools": [TOOL]}),
    ],
)
def test_what_a_model_takes_is_taken(eu, model, more):
    assert post(eu, modules(model, **more)).status_code == 200


def test_a_stream_of_a_model_that_is_not_on_the_list_is_refused_at_once(eu):
    for model in ("gemini-3.5-flash-lite", "gpt-5.6-luna"):
        error = refused(eu, modules(model), stream={})

        assert "Streaming is not supported for this model" in error["message"]
        assert message(eu, modules(model))["content"] == 'Happy to help! You said: "Hello".'


def test_what_a_model_refuses_stands_in_the_stream_that_has_begun(eu):
    first, error = chunks(eu, modules(GPT, params={"temperature": 0}))

    assert first["intermediate_results"] == {"templating": [user("Hello")]}
    assert error["error"]["code"] == 400
    assert error["error"]["location"] == "LLM Module"


def test_every_model_of_the_catalogue_that_allows_orchestration_answers_through_it(eu):
    listed = eu.get("/v2/lm/scenarios/foundation-models/models").json()["resources"]
    allowed = {
        each["model"]
        for each in listed
        if {"scenarioId": "orchestration", "executableId": "orchestration"} in each["allowedScenarios"]
        and each["versions"][0]["capabilities"] == ["text-generation"]
    }

    said = {model: message(eu, modules(model))["content"] for model in sorted(allowed)}

    assert allowed == {name for name, model in orchestrated().items() if not model.embeds}
    assert set(said.values()) == {'Happy to help! You said: "Hello".'}
