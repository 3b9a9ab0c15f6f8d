"""Schemas of tools and of answers that Azure OpenAI refuses."""

import pytest

from tests.emulator.client import CHAT

CHAT_BODY = {"messages": [{"role": "user", "content": "a"}]}
WHOLE = {"type": "object", "properties": {}}
REFUSED = [
    ({"type": "object"}, "In context=(), object schema missing properties."),
    ({"anyOf": [WHOLE]}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
    ({"type": ["object", "null"], "properties": {}}, "schema must be a JSON Schema of 'type: \"object\"'"),
    (WHOLE | {"properties": {"xs": {"type": "array"}}}, "In context=('properties', 'xs'), array schema missing items."),
    (
        WHOLE | {"properties": {"x": {"anyOf": [{"type": "string"}, {"type": ["string", "array"]}]}}},
        "In context=('properties', 'x', 'anyOf', '1', 'type', '1'), array schema missing items.",
    ),
    (WHOLE | {"$defs": {"A": {"type": "array", "prefixItems": [{}]}}}, "In context=('$defs', 'A'), array schema"),
]
ROOTS = [{"oneOf": [WHOLE]}, {"anyOf": [WHOLE]}, {"allOf": [WHOLE]}, {"enum": [{}]}, {"const": {}}, {"not": {}}]
FINE = [
    {},
    WHOLE,
    WHOLE | {"properties": {"x": {"type": "object"}, "xs": {"type": "array", "items": {}}, "type": {"const": "array"}}},
]


def asked(model, schema):
    function = {"name": "f", "parameters": schema}
    if model == "gpt-4.1":
        return CHAT, CHAT_BODY | {"tools": [{"type": "function", "function": function}]}
    return "responses", {"input": "a", "tools": [{"type": "function", **function}]}


@pytest.mark.parametrize(("schema", "words"), REFUSED)
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5"])
def test_a_tool_wants_an_object_with_properties_and_arrays_of_something(eu, model, schema, words):
    answer = eu.post(model, *asked(model, schema))
    error = answer.json()["error"]

    assert (answer.status_code, error["code"]) == (400, "invalid_function_parameters")
    assert f"Invalid schema for function 'f': {words}" in error["message"]


@pytest.mark.parametrize("choice", ROOTS)
def test_a_choice_at_the_root_is_for_responses_of_gpt_5_alone(eu, choice):
    refused = eu.post("gpt-4.1", *asked("gpt-4.1", WHOLE | choice))

    assert refused.status_code == 400
    assert "not have 'oneOf'/'anyOf'/'allOf'/'enum'/'const'/'not' at the top level." in refused.text
    assert eu.post("gpt-5", *asked("gpt-5", WHOLE | choice)).status_code == 200


@pytest.mark.parametrize("schema", FINE)
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5"])
def test_other_schemas_are_taken(eu, model, schema):
    assert eu.post(model, *asked(model, schema)).status_code == 200


def test_an_answer_wants_arrays_of_something_too(eu):
    form = {"name": "r", "schema": WHOLE | {"properties": {"xs": {"type": "array"}}}}
    chat = {"response_format": {"type": "json_schema", "json_schema": form}}
    text = {"text": {"format": {"type": "json_schema", **form}}}

    for answer in (eu.post("gpt-4.1", CHAT, CHAT_BODY | chat), eu.post("gpt-5", "responses", {"input": "a"} | text)):
        assert answer.status_code == 400
        assert "Invalid schema for response_format 'r': In context=('properties', 'xs'), array schema" in answer.text
