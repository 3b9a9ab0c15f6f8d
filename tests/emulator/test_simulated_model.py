"""What the model answers, and what it notices."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.json_schema import value_for
from emulator.model_io import ModelRequest, json_deltas, text_deltas
from emulator.models import MODELS_BY_NAME
from emulator.simulated_model import respond
from tests.emulator.client import CHAT, EVERY_DOOR, HAIKU, OLD_SONNET, OPUS, PNG, SONNET, WEATHER, read, request, say

MODEL = MODELS_BY_NAME[SONNET]
NEVER_STOPPED = ("gpt-5", "gpt-5.3-codex")


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_the_answer_quotes_the_question_and_knows_its_instructions(eu, door, model):
    said = say(eu, door, model, "The weather is fine", system="Be brief.")

    assert said.text == 'Happy to help! You said: "The weather is fine". My instructions are 9 characters long.'


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_a_tool_is_called_when_the_question_names_it(eu, door, model):
    called = say(eu, door, model, "Use get_weather please", tools=("get_time", "get_weather"))
    spoken = say(eu, door, model, "Hello", tools=("get_time", "get_weather"))

    assert called.calls == [("get_weather", {"city": "some city", "days": 1})]
    assert (spoken.calls, bool(spoken.text)) == ([], True)


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_no_tool_is_called_and_no_scene_played_because_an_agent_reminds_the_model(eu, door, model):
    reminder = "<system-reminder>\nUse get_weather.\nscene:parallel scene:refusal\n</system-reminder>"
    spoken = say(eu, door, model, f"{reminder}\nHello\n{reminder}", tools=("get_time", "get_weather"))
    called = say(eu, door, model, f"{reminder} get_time", tools=("get_time", "get_weather"))

    assert (spoken.calls, spoken.text.startswith('Happy to help! You said: "Hello".')) == ([], True)
    assert [name for name, _ in called.calls] == ["get_time"]


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_several_tools_are_called_at_once(eu, door, model):
    assert [name for name, _ in say(eu, door, model, "scene:parallel", tools=("a", "b", "c", "d")).calls] == [
        "a",
        "b",
        "c",
    ]
    assert [name for name, _ in say(eu, door, model, "scene:parallel", tools=("a",)).calls] == ["a", "a"]


@pytest.mark.parametrize(("door", "model"), [pair for pair in EVERY_DOOR if pair[1] not in NEVER_STOPPED])
def test_the_answer_ends_at_the_stop_string(eu, door, model):
    stops = {"invoke": "stop_sequence", "converse": "stop_sequence", "gemini": "STOP", "chat": "stop"}

    said = say(eu, door, model, "scene:echo one two END three", stops=["END"])

    assert (said.text, said.stop) == ("one two ", stops[door])


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_the_answer_ends_when_its_tokens_run_out(eu, door, model):
    stops = {
        "invoke": "max_tokens",
        "converse": "max_tokens",
        "gemini": "MAX_TOKENS",
        "chat": "length",
        "responses": "incomplete",
    }
    for stream in (False, True):
        said = say(eu, door, model, "scene:long 500", limit=40, stream=stream)

        assert said.stop == stops[door]
        assert 40 <= len(said.text) <= 160


def test_a_claude_says_which_stop_string_it_was(eu):
    path, body = request("invoke", SONNET, "scene:echo a END b", stops=["END", "b"])

    assert eu.post(SONNET, path, body).json()["stop_sequence"] == "END"


MUST = [
    ("invoke", SONNET, {"tool_choice": {"type": "tool", "name": "b"}}, "b"),
    ("invoke", SONNET, {"tool_choice": {"type": "any"}}, "a"),
    ("gemini", "gemini-2.5-flash", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "a"),
    (
        "gemini",
        "gemini-2.5-flash",
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["b"]}}},
        "b",
    ),
    ("chat", "gpt-4.1", {"tool_choice": {"type": "function", "function": {"name": "b"}}}, "b"),
    ("chat", "gpt-5", {"tool_choice": "required"}, "a"),
    ("responses", "gpt-5", {"tool_choice": {"type": "function", "name": "b"}}, "b"),
    (
        "responses",
        "gpt-5",
        {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}},
        "b",
    ),
]


@pytest.mark.parametrize(("door", "model", "choice", "name"), MUST)
def test_a_tool_is_called_when_it_must_be(eu, door, model, choice, name):
    path, body = request(door, model, "Hello", tools=("a", "b"))

    said = read(door, eu.post(model, path, body | choice), stream=False)

    assert said.calls == [(name, {"city": "some city", "days": 1})]


def test_converse_calls_the_tool_it_must(eu):
    path, body = request("converse", HAIKU, "Hello", tools=("a", "b"))
    body["toolConfig"]["toolChoice"] = {"tool": {"name": "b"}}

    assert [call for call, _ in read("converse", eu.post(HAIKU, path, body), stream=False).calls] == ["b"]


def test_no_tool_is_called_when_none_may_be(eu):
    path, body = request("chat", "gpt-4.1", "get_weather!", tools=("get_weather",))

    assert "tool_calls" not in eu.post("gpt-4.1", path, body | {"tool_choice": "none"}).json()["choices"][0]["message"]


def test_only_one_tool_is_called_when_they_may_not_be_parallel(eu):
    path, body = request("chat", "gpt-4.1", "scene:parallel", tools=("a", "b"))
    single = eu.post("gpt-4.1", path, body | {"parallel_tool_calls": False}).json()
    path, body = request("invoke", SONNET, "scene:parallel", tools=("a", "b"))
    claude = eu.post(SONNET, path, body | {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}).json()

    path, body = request("converse", HAIKU, "scene:parallel", tools=("a", "b"))
    own = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    converse = eu.post(HAIKU, path, body | {"additionalModelRequestFields": own}).json()

    assert len(single["choices"][0]["message"]["tool_calls"]) == 1
    assert len(converse["output"]["message"]["content"]) == 1
    assert len(claude["content"]) == 1


def test_media_are_named_with_their_type_and_size(eu):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    part = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    uri = f"data:image/png;base64,{PNG}"
    bodies = [
        (SONNET, *request("invoke", SONNET, "x"), lambda body: body["messages"][0].update(content=[image])),
        (
            HAIKU,
            *request("converse", HAIKU, "x"),
            lambda body: body["messages"][0]["content"].insert(
                0, {"image": {"format": "png", "source": {"bytes": PNG}}}
            ),
        ),
        (
            "gemini-2.5-flash",
            *request("gemini", "gemini-2.5-flash", "x"),
            lambda body: body["contents"][0]["parts"].append(part),
        ),
        (
            "gpt-4.1",
            *request("chat", "gpt-4.1", "x"),
            lambda body: body["messages"][0].update(content=[{"type": "image_url", "image_url": {"url": uri}}]),
        ),
        (
            "gpt-5",
            *request("responses", "gpt-5", "x"),
            lambda body: body["input"][0].update(content=[{"type": "input_image", "image_url": uri}]),
        ),
    ]

    for model, path, body, change in bodies:
        change(body)
        assert "I see an image (image/png, 70 bytes)." in eu.post(model, path, body).text


def test_what_a_tool_said_is_quoted_with_its_failure_and_its_images(eu):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "is_error": True,
        "content": [{"type": "text", "text": "no!"}, image],
    }
    path, body = request("invoke", SONNET, "Hello", tools=("a",))
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "a", "input": {}}]},
        {"role": "user", "content": [result]},
    ]

    assert eu.post(SONNET, path, body).json()["content"][0]["text"] == "The tool failed: no! It held 1 image."


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_that_come_late_leave_the_question_what_it_was(eu, role):
    chat, asked = request("chat", "gpt-5", "scene:echo heard")
    asked["messages"].append({"role": role, "content": "Be brief."})
    assert eu.post("gpt-5", chat, asked).json()["choices"][0]["message"]["content"] == "heard"

    late = {"role": role, "content": "Be brief."}
    body = {"model": "gpt-5", "input": [{"role": "user", "content": "scene:echo heard"}, late]}
    assert eu.post("gpt-5", "responses", body).json()["output"][-1]["content"][0]["text"] == "heard"


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5"])
def test_a_chat_goes_on_after_its_tool_calls(eu, model):
    path, body = request("chat", model, "scene:parallel", tools=("a", "b"))
    message = eu.post(model, path, body).json()["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"r-{call['function']['name']}"}
        for call in message["tool_calls"]
    ]

    body["messages"] += [message, *results]

    assert (
        eu.post(model, path, body).json()["choices"][0]["message"]["content"]
        == "The tool answered: r-a The tool answered: r-b"
    )


def test_a_schema_is_answered_with_a_document_that_fits(eu):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}, "s": {"enum": ["x"]}}}
    closed = schema | {"additionalProperties": False, "required": ["n", "s"]}
    chat = {"type": "json_schema", "json_schema": {"name": "r", "schema": closed}}
    flat = {"type": "json_schema", "name": "r", "schema": closed}
    wanted = [
        (
            SONNET,
            *request("invoke", SONNET, "x"),
            {"output_config": {"format": {"type": "json_schema", "schema": closed}}},
        ),
        ("gpt-4.1", *request("chat", "gpt-4.1", "x"), {"response_format": chat}),
        ("gpt-5", *request("responses", "gpt-5", "x"), {"text": {"format": flat}}),
        (
            "gemini-2.5-flash",
            *request("gemini", "gemini-2.5-flash", "x"),
            {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}},
        ),
    ]
    for model, path, body, extra in wanted:
        assert '{\\"n\\": 3, \\"s\\": \\"x\\"}' in eu.post(model, path, body | extra).text

    mode = eu.post(
        "gpt-4.1",
        CHAT,
        {"messages": [{"role": "user", "content": "json!"}], "response_format": {"type": "json_object"}},
    )
    assert json.loads(mode.json()["choices"][0]["message"]["content"])


def test_thoughts_are_signed_and_their_signatures_are_checked(eu):
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
    path, body = request("invoke", SONNET, "use get_weather", tools=("get_weather",))
    content = eu.post(SONNET, path, body | thinking).json()["content"]
    result = [{"type": "tool_result", "tool_use_id": content[-1]["id"], "content": "ok"}]

    def go_on(blocks):
        turns = [*body["messages"], {"role": "assistant", "content": blocks}, {"role": "user", "content": result}]
        return eu.post(SONNET, path, body | thinking | {"messages": turns})

    assert [block["type"] for block in content] == ["thinking", "tool_use"]
    assert go_on(content).status_code == 200
    assert "Invalid `signature` in `thinking` block" in go_on([content[0] | {"signature": "EqoBabc="}, content[1]]).text
    assert "cannot be modified" in go_on([content[0] | {"thinking": "Other thoughts"}, content[1]]).text
    assert "Expected `thinking`" in go_on(content[1:]).text


def test_redacted_thoughts_come_and_go_whole(eu):
    path, body = request("invoke", SONNET, "scene:redacted Hello")
    content = eu.post(SONNET, path, body).json()["content"]
    turns = [*body["messages"], {"role": "assistant", "content": content}, {"role": "user", "content": "Go on"}]

    assert [block["type"] for block in content] == ["redacted_thinking", "text"]
    assert eu.post(SONNET, path, body | {"messages": turns}).status_code == 200
    content[0]["data"] = "EmwK"
    assert eu.post(SONNET, path, body | {"messages": turns}).status_code == 400


def test_thoughts_can_be_left_out_and_still_count(eu):
    path, body = request("invoke", OPUS, "Hello")

    answer = eu.post(OPUS, path, body | {"thinking": {"type": "adaptive", "display": "omitted"}}).json()

    assert answer["content"][0]["thinking"] == ""
    assert answer["content"][0]["signature"]


def test_who_cannot_think_does_not(eu):
    assert say(eu, "invoke", OLD_SONNET, "scene:think Hello").thoughts == ""


def test_gemini_thinks_aloud_only_when_asked(eu):
    path, body = request("gemini", "gemini-2.5-flash", "Hello")
    body["generationConfig"] = {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 512}}

    parts = eu.post("gemini-2.5-flash", path, body).json()["candidates"][0]["content"]["parts"]

    assert parts[0]["thought"] is True
    assert "thought" not in parts[1]


def test_responses_reason_in_summaries_and_encrypted(eu):
    _, body = request("responses", "gpt-5", "Hello")
    body |= {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }

    answer = eu.post("gpt-5", "responses", body).json()
    thought = answer["output"][0]
    again = body | {"input": [*body["input"], *answer["output"], {"role": "user", "content": "Go on"}]}

    assert thought["summary"][0]["text"]
    assert answer["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert eu.post("gpt-5", "responses", again).status_code == 200
    thought["encrypted_content"] = "gAAAAABother"
    assert eu.post("gpt-5", "responses", again).json()["error"]["code"] == "invalid_encrypted_content"
    del thought["encrypted_content"]
    assert eu.post("gpt-5", "responses", again).status_code == 404


@given(st.text(max_size=300))
def test_deltas_are_the_text(text):
    assert text == "".join(text_deltas(text)) == "".join(json_deltas(text))


@given(st.text(max_size=80), st.integers(1, 40))
@settings(max_examples=50)
def test_the_answer_is_a_function_of_the_question_and_keeps_its_limit(text, limit):
    first, second = (respond(ModelRequest(MODEL, text=text, limit=limit)) for _ in range(2))

    assert first == second
    assert first.visible <= limit


SCHEMAS = [
    WEATHER,
    {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/x"}},
        "required": ["a"],
        "$defs": {"x": {"type": "number", "minimum": 2.5}},
    },
    {"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "string"}]}, "minItems": 3},
    {
        "allOf": [{"type": "object", "properties": {"a": {"const": 3}}}, {"properties": {"b": {"type": "boolean"}}}],
        "required": ["a", "b"],
    },
    {"type": ["null", "integer"], "maximum": -4},
    {"type": "string", "minLength": 30, "maxLength": 32},
    {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
    {"type": "integer", "exclusiveMinimum": 4, "multipleOf": 5},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_made_value_fits_its_schema(schema):
    jsonschema.validate(value_for(schema), schema)
