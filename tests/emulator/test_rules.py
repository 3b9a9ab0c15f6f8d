"""What is refused, in whose words."""

import pytest

from tests.emulator.client import CHAT, HAIKU, OLD_SONNET, OPUS, PNG, SONNET, request

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
    (SONNET, _turns(("system", "a")), "Unexpected role"),
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

    assert 400 == answer.status_code
    assert words in answer.json()["message"]
    assert "ValidationException" == answer.headers["x-amzn-errortype"]


@pytest.mark.parametrize("key", ["max_tokens", "anthropic_version"])
def test_claude_wants_what_it_needs(eu, key):
    path, body = request("invoke", SONNET, "Hello")
    del body[key]

    assert eu.post(SONNET, path, body).json() == {"message": f"{key}: Field required"}


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
        assert 200 == eu.post(SONNET, path, body | extra).status_code
    path, body = request("invoke", OPUS, "Hello")
    assert 200 == eu.post(OPUS, path, body | ADAPT | {"output_config": {"effort": "high"}}).status_code


SPEC = {"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}}
USE = {"toolUse": {"toolUseId": "t1", "name": "a", "input": {}}}
DONE = {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}]}}
TOOLS = {"toolConfig": {"tools": [SPEC]}}
A = [{"text": "a"}]

CONVERSE = [
    (HAIKU, {"model": "x"}, "extraneous key [model]"),
    (HAIKU, {"stream": True}, "extraneous key [stream]"),
    (HAIKU, {"inferenceConfig": {"topK": 5}}, "extraneous key [topK]"),
    (HAIKU, _turns(("user", [{"text": "a", "cache_control": {"type": "ephemeral"}}])), "[cache_control]"),
    (HAIKU, _turns(("assistant", A)), "must start with a user message"),
    (HAIKU, _turns(("user", A), ("user", A)), "must alternate"),
    (HAIKU, _turns(("user", [])), "is empty"),
    (HAIKU, _turns(("user", "a")), "is empty"),
    (HAIKU, _turns(("user", [{"text": " "}])), "is blank"),
    (HAIKU, {"system": [{"text": ""}]}, "is blank"),
    (HAIKU, _turns(("user", [{"text": "a", "image": {}}])), "exactly one of"),
    (HAIKU, _turns(("user", A), ("assistant", [USE]), ("user", [DONE])), "toolConfig field must be defined"),
    (HAIKU, _turns(("user", A), ("assistant", [USE]), ("user", A)) | TOOLS, "Expected toolResult blocks"),
    (HAIKU, _turns(("user", A), ("assistant", [USE]), ("user", [*A, DONE])) | TOOLS, "must come before"),
    (HAIKU, _turns(("user", A), ("assistant", A), ("user", [DONE])) | TOOLS, "exceeds the number"),
    (HAIKU, {"toolConfig": {"tools": []}}, "at least 1"),
    (HAIKU, {"toolConfig": {"tools": [SPEC], "toolChoice": {"tool": {"name": "b"}}}}, "is not defined"),
    (HAIKU, {"toolConfig": {"tools": [SPEC, SPEC]}}, "duplicate"),
    (HAIKU, _turns(("user", [{"image": {"format": "bmp", "source": {"bytes": PNG}}}])), "enum value set"),
    (
        HAIKU,
        _turns(("user", [*A, {"document": {"format": "pdf", "name": "a.pdf", "source": {"bytes": PNG}}}])),
        "file name may only",
    ),
    (
        HAIKU,
        _turns(("user", [{"document": {"format": "pdf", "name": "a", "source": {"bytes": PNG}}}])),
        "must also contain a text block",
    ),
    (HAIKU, {"system": [{"text": "a"}, *[{"cachePoint": {"type": "default"}}] * 5]}, "maximum number of cachePoint"),
    (HAIKU, {"additionalModelRequestFields": {"foo": 1}}, "foo: Extra inputs are not permitted"),
    (HAIKU, {"additionalModelRequestFields": {"anthropic_beta": ["x"]}}, "invalid beta flag"),
    (HAIKU, {"additionalModelRequestFields": ADAPT}, "adaptive thinking is not supported"),
    (HAIKU, {"inferenceConfig": {"temperature": 0.1, "topP": 0.1}}, "cannot both be specified"),
    (OPUS, {"inferenceConfig": {"temperature": 0.1}}, "`temperature` is deprecated"),
    (
        HAIKU,
        _turns(
            ("user", A),
            ("assistant", [{"reasoningContent": {"reasoningText": {"text": "a", "signature": "b"}}}, *A]),
            ("user", A),
        ),
        "Invalid `signature`",
    ),
    ("amazon--nova-pro", {"additionalModelRequestFields": {"top_k": 5}}, "top_k: Extra inputs"),
]


@pytest.mark.parametrize(("model", "change", "words"), CONVERSE)
def test_converse_refuses(eu, model, change, words):
    path, body = request("converse", model, "Hello")

    answer = eu.post(model, path, body | change)

    assert 400 == answer.status_code
    assert words in answer.json()["message"]
    assert "ValidationException" == answer.headers["x-amzn-errortype"]


def _gemini_tool(**schema):
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", **schema}}]}]}


def _contents(*turns):
    return {"contents": [{"role": role, "parts": list(parts)} for role, *parts in turns]}


FLASH, NEW_FLASH, PRO = "gemini-2.5-flash", "gemini-3.5-flash", "gemini-2.5-pro"
ASKED = ("user", {"text": "a"})
CALLED = ("model", {"functionCall": {"name": "f", "args": {}}})
ANSWERED = ("user", {"functionResponse": {"name": "f", "response": {"result": "ok"}}})

GEMINI = [
    (FLASH, {"model": "x"}, 'Unknown name "model"'),
    (FLASH, {"stream": True}, 'Unknown name "stream"'),
    (FLASH, {"contents": []}, "at least one contents"),
    (FLASH, _contents(("system", {"text": "a"})), "valid role"),
    (FLASH, _contents(("user",)), "at least one parts"),
    (FLASH, _contents(("user", {"text": ""})), "empty text parameter"),
    (FLASH, _contents(("user", {"image_url": "x"})), 'Unknown name "imageUrl"'),
    (
        FLASH,
        _contents(ASKED, CALLED, ("user", {"functionResponse": {"id": "1", "name": "f", "response": {}}})),
        "Unknown name \"id\" at 'contents[2].parts[0].function_response'",
    ),
    (FLASH, _contents(ASKED, CALLED, ASKED), "number of function response parts"),
    (FLASH, _gemini_tool(properties={"a": {"const": 1}}), 'Unknown name "const"'),
    (FLASH, _gemini_tool(properties={"a": {"$ref": "#/x"}}), 'Unknown name "$ref"'),
    (FLASH, _gemini_tool(properties={"a": {"type": "boolean", "enum": [True]}}), "(TYPE_STRING), true"),
    (FLASH, _gemini_tool(properties={"a": {"type": ["string", "null"]}}), "cannot start list"),
    (FLASH, {"generationConfig": {"maxTokens": 5}}, 'Unknown name "maxTokens"'),
    (FLASH, {"generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens value of 0"),
    (FLASH, {"generationConfig": {"stopSequences": list("abcdef")}}, "stop sequences"),
    (FLASH, {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "Thinking level is not supported"),
    (PRO, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, "only works in thinking mode"),
    (PRO, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 64}}}, "between 128 and 32768"),
    (FLASH, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 30_000}}}, "between 1 and 24576"),
    (FLASH, {"generationConfig": {"responseSchema": {"type": "object"}}}, "requires response_mime_type"),
    (
        FLASH,
        _gemini_tool() | {"generationConfig": {"responseMimeType": "application/json"}},
        "Function calling with a response mime type",
    ),
    (FLASH, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "without function_declarations"),
    (
        FLASH,
        _gemini_tool() | {"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}},
        "not ANY",
    ),
    (NEW_FLASH, _contents(ASKED, CALLED, ANSWERED), "missing a thought_signature"),
    (NEW_FLASH, _contents(ASKED, (*CALLED[:1], CALLED[1] | {"thoughtSignature": "YWJj"}), ANSWERED), "not valid"),
]


@pytest.mark.parametrize(("model", "change", "words"), GEMINI)
def test_gemini_refuses(eu, model, change, words):
    path, body = request("gemini", model, "Hello")

    answer = eu.post(model, path, body | change)
    error = answer.json()["error"]

    assert (400, 400, "INVALID_ARGUMENT") == (answer.status_code, error["code"], error["status"])
    assert words in error["message"]


def test_gemini_3_knows_its_own_signatures_and_the_word_that_skips_them(eu):
    path, body = request("gemini", NEW_FLASH, "use f and g", tools=("f", "g"))
    body["contents"][0]["parts"][0]["text"] = "scene:parallel"
    content = eu.post(NEW_FLASH, path, body).json()["candidates"][0]["content"]
    answers = [{"functionResponse": {"name": name, "response": {"result": "ok"}}} for name in ("f", "g")]
    first, second = content["parts"]

    def go_on(signature):
        turns = [*body["contents"], {"role": "model", "parts": [first | {"thoughtSignature": signature}, second]}]
        return eu.post(NEW_FLASH, path, body | {"contents": [*turns, {"role": "user", "parts": answers}]}).status_code

    assert "thoughtSignature" in first
    assert "thoughtSignature" not in second
    assert 200 == go_on(first["thoughtSignature"])
    assert 200 == go_on(first["thoughtSignature"].replace("+", "-").replace("/", "_"))
    assert 200 == go_on("skip_thought_signature_validator")
    assert 200 == go_on("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")
    assert 400 == go_on("anything else")


def test_gemini_3_asks_for_signatures_of_the_current_turn_only(eu):
    path, body = request("gemini", NEW_FLASH, "Hello")

    past = _contents(ASKED, CALLED, ANSWERED, ("model", {"text": "b"}), ASKED)

    assert 200 == eu.post(NEW_FLASH, path, body | past).status_code


def test_gemini_reads_snake_case_and_lone_objects(eu):
    body = {
        "contents": {"role": "user", "parts": {"text": "use my_tool"}},
        "system_instruction": {"parts": {"text": "Be brief"}},
        "tools": [
            {
                "function_declarations": [
                    {"name": "my_tool", "parameters": {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}}
                ]
            }
        ],
        "safety_settings": {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"},
        "generation_config": {"max_output_tokens": 100, "thinking_config": {"thinking_budget": -1}},
    }

    part = eu.post(FLASH, f"models/{FLASH}:generateContent", body).json()["candidates"][0]["content"]["parts"][0]

    assert {"name": "my_tool", "args": {"a_b": "some a_b"}} == part["functionCall"]


FUNCTION = {"type": "function", "function": {"name": "f"}}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
SAID = {"role": "user", "content": "a"}


def _called(called, answered):
    calls = CALLS | {"tool_calls": [CALLS["tool_calls"][0] | {"id": called}]}
    return {"messages": [SAID, calls, {"role": "tool", "tool_call_id": answered, "content": "a"}]}


def _item(**fields):
    return {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", **fields}


CHATS = [
    ("gpt-5", {"max_tokens": 5}, "max_tokens", "unsupported_parameter"),
    ("gpt-5", {"temperature": 0.2}, "temperature", "unsupported_value"),
    ("gpt-5", {"top_p": 0.2}, "top_p", "unsupported_value"),
    ("gpt-5", {"logprobs": True}, "logprobs", "unsupported_parameter"),
    ("gpt-5", {"reasoning_effort": "none"}, "reasoning_effort", "unsupported_value"),
    ("gpt-5", {"stop": "END"}, "stop", "unsupported_parameter"),
    ("gpt-5", {"stop": []}, "stop", "unsupported_parameter"),
    ("gpt-4.1", {"stop": list("abcde")}, "stop", "array_above_max_length"),
    ("gpt-4.1", {"reasoning_effort": "low"}, None, None),
    ("gpt-4.1", {"top_k": 5}, None, None),
    ("gpt-4.1", {"stream_options": {"include_usage": True}}, "stream_options", None),
    ("gpt-4.1", {"messages": []}, "messages", "empty_array"),
    ("gpt-4.1", {"messages": [{"role": "model", "content": "a"}]}, "messages[0].role", "invalid_value"),
    (
        "gpt-4.1",
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
    ),
    (
        "gpt-4.1",
        {"messages": [SAID, {"role": "tool", "tool_call_id": "c1", "content": "a"}]},
        "messages.[1].role",
        None,
    ),
    ("gpt-4.1", {"messages": [SAID, CALLS, SAID]}, "messages.[2].role", None),
    ("gpt-4.1", {"messages": [SAID, CALLS]}, "messages.[2].role", None),
    ("gpt-4.1", {"messages": [{"role": "user", "content": None}]}, "messages.[0].content", None),
    (
        "gpt-4.1",
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}]}
            ]
        },
        "messages[0].content[0]",
        "invalid_base64",
    ),
    ("gpt-4.1", {"tools": []}, "tools", "empty_array"),
    ("gpt-4.1", {"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type", "invalid_value"),
    ("gpt-4.1", {"tool_choice": "auto"}, "tool_choice", None),
    (
        "gpt-4.1",
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
        None,
    ),
    ("gpt-4.1", {"response_format": {"type": "json_object"}}, "messages", None),
    (
        "gpt-4.1",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "r", "strict": True, "schema": {"type": "object"}},
            }
        },
        "response_format",
        None,
    ),
    ("gpt-4.1", {"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ("gpt-4.1", {"metadata": {"a": "b"}}, "metadata", None),
    ("gpt-4.1", {"user": "u" * 65}, "user", "string_above_max_length"),
    ("gpt-4.1", _called("c" * 41, "c1"), "messages[1].tool_calls[0].id", "string_above_max_length"),
    ("gpt-4.1", _called("c1", "c" * 41), "messages[2].tool_call_id", "string_above_max_length"),
]


@pytest.mark.parametrize(("model", "change", "param", "code"), CHATS)
def test_azure_refuses(eu, model, change, param, code):
    answer = eu.post(model, CHAT, {"messages": [SAID]} | change)
    error = answer.json()["error"]

    assert 400 == answer.status_code
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


RESPONSES = [
    ({"input": []}, "missing_required_parameter"),
    ({"messages": []}, "unknown_parameter"),
    ({"temperature": 0.1}, "unsupported_value"),
    ({"max_output_tokens": 5}, "integer_below_min_value"),
    ({"include": ["everything"]}, "invalid_value"),
    ({"include": ["message.output_text.logprobs"]}, "unsupported_parameter"),
    ({"previous_response_id": "resp_x"}, "previous_response_not_found"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "a"}]}, None),
    ({"input": [_item()]}, None),
    ({"input": [_item(call_id="c" * 65)]}, "string_above_max_length"),
    ({"user": "u" * 65}, "string_above_max_length"),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "invalid_value"),
    ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}, SAID]}, "invalid_value"),
]


@pytest.mark.parametrize(("change", "code"), RESPONSES)
def test_responses_refuses(eu, change, code):
    answer = eu.post("gpt-5", "responses", {"input": "a"} | change)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("kind", ["custom", "web_search", "file_search", "code_interpreter", "mcp", "local_shell"])
def test_ai_core_lets_only_functions_through(eu, kind):
    answer = eu.post("gpt-5", "responses", {"input": "a", "tools": [{"type": kind, "name": "x"}]})

    assert 400 == answer.status_code
    assert answer.json() == {
        "error": "BadRequest",
        "message": f"The following tools are not allowed for model 'gpt-5': {kind}",
    }


@pytest.mark.parametrize(
    ("model", "path", "body"),
    [
        ("text-embedding-3-small", "embeddings?api-version=1", {"input": []}),
        ("text-embedding-3-small", "embeddings?api-version=1", {"input": "a", "dimensions": 9999}),
        ("text-embedding-3-small", "embeddings?api-version=1", {"input": "a", "task": "x"}),
        ("nvidia--llama-3.2-nv-embedqa-1b", "embeddings", {"input": "a", "model": "x"}),
        ("amazon--titan-embed-text", "invoke", {"inputText": ["a", "b"]}),
        ("amazon--titan-embed-text", "invoke", {"inputText": "a", "model": "x"}),
        ("gemini-embedding", "models/gemini-embedding:predict", {"instances": [{"content": "a"}, {"content": "b"}]}),
        (None, "v2/completion", {"config": {}}),
        (None, "v2/completion", {"config": {"modules": {"prompt_templating": {"prompt": {}, "model": {"name": "x"}}}}}),
    ],
)
def test_embeddings_and_orchestration_refuse_what_they_cannot_read(eu, model, path, body):
    assert 400 == eu.post(model, path, body).status_code


def test_nonsense_is_refused_in_the_familys_words_and_never_breaks_the_server(eu):
    for model, path in (
        (SONNET, "invoke"),
        (HAIKU, "converse"),
        (FLASH, f"models/{FLASH}:generateContent"),
        ("gpt-4.1", CHAT),
        ("gpt-5", "responses"),
        ("text-embedding-3-small", "embeddings?api-version=1"),
        (None, "v2/completion"),
    ):
        nonsense = [b"", b"{", b"[]", b'"x"', b"\xff"]
        key = {"converse": "messages", CHAT: "messages", "responses": "input"}.get(path, "contents")
        nonsense += [
            b'{"%s": %s}' % (key.encode(), value) for value in (b"1", b"[1]", b'[{"role": 5}]', b"{}", b"null")
        ]
        for raw in nonsense:
            answer = eu.send("POST", model, path, data=raw)
            assert 400 == answer.status_code, (path, raw, answer.text)
            assert answer.json()
