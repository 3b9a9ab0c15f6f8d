"""Schemas that each vendor refuses for what stands outermost."""

import pytest

from tests.emulator.client import HAIKU, SONNET, request

NOVA, FORM = "amazon--nova-pro", "json_schema"
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.mark.parametrize("key", ["$defs", "definitions", "$schema", "title", "additionalProperties", "$ref"])
def test_nova_knows_three_keywords(eu, key):
    path, body = request("converse", NOVA, "a")

    def offer(schema):
        spec = {"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}
        return eu.post(NOVA, path, body | {"toolConfig": {"tools": [spec]}})

    answer = offer(OBJECT | {key: False})

    assert offer(OBJECT).status_code == 200
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert f"#/toolConfig/tools/0/toolSpec/inputSchema/json: extraneous key [{key}]" in answer.json()["message"]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ({"type": "array", "items": {"type": "string"}}, "got 'type: \"array\"'"),
        ({"$ref": "#/$defs/A", "$defs": {"A": OBJECT}}, "got 'type: \"None\"'"),
        (OBJECT | {"additionalProperties": False, "anyOf": []}, "at the top level"),
        (OBJECT | {"additionalProperties": False}, ""),
    ],
)
def test_openai_answers_with_objects(eu, schema, wrong, strict):
    flat = {"name": "r", "schema": schema, "strict": strict}
    asked = [
        (*request("chat", "gpt-4.1", "a"), "gpt-4.1", {"response_format": {"type": FORM, FORM: flat}}),
        (*request("responses", "gpt-5", "a"), "gpt-5", {"text": {"format": {"type": FORM, **flat}}}),
    ]
    for path, body, model, form in asked:
        answer = eu.post(model, path, body | form)

        assert (400 if wrong else 200) == answer.status_code
        assert not wrong or wrong in answer.json()["error"]["message"]


@pytest.mark.parametrize("key", ["anyOf", "oneOf", "allOf"])
def test_claude_takes_no_choice_at_the_root_of_a_tool(eu, key):
    def offer(schema):
        tool = {"name": "f", "input_schema": schema}
        spec = {"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}
        yield eu.post(SONNET, *also("invoke", SONNET, {"tools": [tool]}))
        yield eu.post(HAIKU, *also("converse", HAIKU, {"toolConfig": {"tools": [spec]}}))

    def also(door, model, more):
        path, body = request(door, model, "a")
        return path, body | more

    within = {"type": "object", "properties": {"a": {key: [OBJECT]}}}
    what = "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
    expected = [what, f"The model returned the following errors: {what}"]

    assert [answer.status_code for answer in offer(within)] == [200, 200]
    assert [answer.json()["message"] for answer in offer(OBJECT | {key: [OBJECT]})] == expected


@pytest.mark.parametrize("key", ["$filter", "", "a b", "x" * 65, "größe"])
def test_claude_takes_no_property_whose_key_has_odd_letters(eu, key):
    def offer(named):
        for at, schema in enumerate([{"properties": named}, {"properties": {"a": {"items": {"properties": named}}}}]):
            tool = {"name": "f", "input_schema": {"type": "object", **schema}}
            spec = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", **schema}}}}
            for door, model, more in (
                ("invoke", SONNET, {"tools": [tool]}),
                ("converse", HAIKU, {"toolConfig": {"tools": [spec]}}),
            ):
                path, body = request(door, model, str(at))
                yield eu.post(model, path, body | more)

    what = "tools.0.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'"
    told = [what, f"The model returned the following errors: {what}"]

    assert [answer.json()["message"] for answer in offer({key: {"type": "string"}})] == told * 2
    fine = {"a.b-C_9": {"default": {"properties": {key: 1}}, "enum": [{"properties": {key: 1}}]}}
    assert [answer.status_code for answer in offer(fine)] == [200] * 4


def test_claude_answers_to_no_schema_that_holds_itself(eu):
    path, body = request("invoke", SONNET, "a")
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "additionalProperties": False}

    def ask(inner):
        schema = {"type": "array", "items": {"$ref": "#/$defs/Node"}, "$defs": {"Node": inner}}
        return eu.post(SONNET, path, body | {"output_config": {"format": {"type": FORM, "schema": schema}}})

    assert "Recursive schemas are not supported" in ask(node).json()["message"]
    assert ask(node | {"properties": {}}).status_code == 200
