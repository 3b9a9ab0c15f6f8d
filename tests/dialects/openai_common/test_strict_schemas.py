"""Schemas that a GPT is held to: which they are, for clients that are promised it and for tools that ask for it."""

import jsonschema
import pytest

from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Message, OutputFormat, Role, Text, ToolSpec
from dialects.openai_common.strict_schemas import is_strict
from dialects.registry import BACKENDS
from emulator.errors import ErrorResponse
from emulator.openai_common.functions import validate_response_format

WORD = {"type": "string"}


def an_object(named=None, **more):
    named = {"a": WORD} if named is None else named
    return {"type": "object", "properties": named, "required": [*named], "additionalProperties": False} | more


def nested(depth):
    return an_object({"a": nested(depth - 1)}) if depth else WORD


STRICT = [
    an_object(),
    an_object({}),
    an_object({"a": {"type": ["string", "null"], "description": "d", "title": "t"}}),
    an_object({"a": {"type": "array", "items": WORD}, "b": {"type": "integer", "enum": [1, 2]}}),
    an_object({"a": {"anyOf": [WORD, {"type": "null"}, {"$ref": "#/$defs/B"}]}}, **{"$defs": {"B": an_object()}}),
    an_object({"a": {"$ref": "#"}}, **{"$schema": "http://json-schema.org/draft-07/schema#"}),
    an_object({"a": {"$ref": "#/definitions/B"}}, definitions={"B": {"type": "string", "const": "x"}}),
    nested(5),
    an_object({str(number): WORD for number in range(100)}),
]
LOOSE = [
    {},
    {"type": "array", "items": WORD},
    {"$ref": "#/$defs/B", "$defs": {"B": an_object()}},
    {"anyOf": [an_object()]},
    an_object(additionalProperties=True),
    an_object(additionalProperties=WORD),
    an_object(required=[]),
    an_object(required=None),
    an_object({"a": WORD, "b": WORD}, required=["a"]),
    an_object(required=["a", "b"]),
    an_object(minProperties=1),
    an_object(oneOf=[]),
    an_object({"a": {"type": "string", "minLength": 1}}),
    an_object({"a": {"type": "string", "pattern": "x"}}),
    an_object({"a": {"type": "string", "items": WORD}}),
    an_object({"a": {"type": "strange"}}),
    an_object({"a": {"type": [7]}}),
    an_object({"a": {"enum": ["x"]}}),
    an_object({"a": {"type": "string", "enum": []}}),
    an_object({"a": {"type": "string", "enum": "x"}}),
    an_object({"a": {"type": "string", "enum": [{}]}}),
    an_object({"a": {"type": "array"}}),
    an_object({"a": {"type": "array", "items": True}}),
    an_object({"a": {"type": "object"}}),
    an_object({"a": {"allOf": [WORD]}}),
    an_object({"a": {"anyOf": [{"anyOf": [WORD]}]}}),
    an_object({"a": {"anyOf": [WORD], "type": "string"}}),
    an_object({"a": {"$ref": "#/$defs/B", "description": "d"}}, **{"$defs": {"B": WORD}}),
    an_object({"a": {"$ref": "https://example.org"}}),
    an_object({"a": True}),
    an_object(**{"$defs": {"B": {"type": "string", "format": "date"}}}),
    an_object(**{"$defs": []}),
    nested(6),
    an_object({str(number): WORD for number in range(101)}),
    an_object({"a": {"type": "string", "enum": [str(number) for number in range(501)]}}),
    an_object({"x" * 15_001: WORD}),
]


@pytest.mark.parametrize("schema", STRICT)
def test_a_closed_object_that_requires_all_can_be_kept_and_the_service_takes_it(schema):
    assert is_strict(schema)
    validate_response_format({"type": "json_schema", "json_schema": wanted(schema)}, "response_format", "")


def wanted(schema):
    return {"name": "n", "strict": True, "schema": schema}


@pytest.mark.parametrize("schema", LOOSE)
def test_nothing_else_can_be_kept(schema):
    assert not is_strict(schema)


@pytest.mark.parametrize("number", [4, 6, 7, 8, 9, 12, 13, 17, 27])
def test_the_service_refuses_to_keep_a_model_to_a_loose_schema(number):
    with pytest.raises(ErrorResponse):
        validate_response_format({"type": "json_schema", "json_schema": wanted(LOOSE[number])}, "text.format", "")


WAYS = [("openai-chat", profile_for("gpt-4.1")), ("openai-responses", profile_for("gpt-5.3-codex"))]
VENDORS = ["anthropic-messages", "gemini"]


def asked(dialect, schema=None, tools=(), strict=None):
    output = OutputFormat(schema, strict=strict) if schema is not None else None
    return Conversation("m", dialect, messages=(Message(Role.USER, (Text("hi"),)),), output=output, tools=tools)


def answer_by(backend, profile, conversation):
    rendered = BACKENDS[backend].render_request(conversation, profile)
    wanted = rendered.body.get("response_format", {}).get("json_schema") or rendered.body["text"]["format"]
    return wanted["schema"], wanted.get("strict"), rendered.dropped


@pytest.mark.parametrize(("backend", "profile"), WAYS)
@pytest.mark.parametrize("dialect", VENDORS)
@pytest.mark.parametrize("schema", STRICT)
def test_an_answer_that_is_promised_is_kept_to_its_schema(backend, profile, dialect, schema):
    assert answer_by(backend, profile, asked(dialect, schema)) == (schema, True, ())


@pytest.mark.parametrize(("backend", "profile"), WAYS)
@pytest.mark.parametrize("dialect", VENDORS)
def test_a_promise_that_cannot_be_kept_is_named(backend, profile, dialect):
    schema = an_object({"a": {"type": "string", "minLength": 2}})

    assert answer_by(backend, profile, asked(dialect, schema)) == (schema, None, ("response_format.strict",))


@pytest.mark.parametrize(("backend", "profile"), WAYS)
@pytest.mark.parametrize("strict", [None, False, True])
@pytest.mark.parametrize("schema", [an_object(), an_object(minProperties=1)])
def test_clients_of_openai_are_kept_to_what_they_say(backend, profile, strict, schema):
    conversation = asked("openai-chat", schema, strict=strict)

    assert (schema, strict, ()) == answer_by(backend, profile, conversation)


OPEN = {
    "type": "object",
    "propertyOrdering": ["b", "z", 7, "a"],
    "properties": {"a": {"type": "object", "properties": {"c": WORD}, "required": ["c"], "examples": [{}]}, "b": WORD},
    "required": ["a", "b"],
}


@pytest.mark.parametrize(("backend", "profile"), WAYS)
def test_what_only_annotates_is_left_out_and_objects_that_nobody_opened_are_closed(backend, profile):
    schema, strict, dropped = answer_by(backend, profile, asked("gemini", OPEN))

    assert (strict, dropped) == (True, ())
    assert [*schema["properties"]] == ["b", "a"]
    assert is_strict(schema)
    for value in ({"a": {"c": "x"}, "b": "y"}, {"a": {"c": 1}, "b": "y"}, {"b": "y"}):
        fits = jsonschema.Draft202012Validator(OPEN).is_valid(value)
        assert fits == jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(("backend", "profile"), WAYS)
@pytest.mark.parametrize(
    ("dialect", "schema", "strict", "kept", "dropped"),
    [
        ("anthropic-messages", an_object(), True, True, ()),
        ("anthropic-messages", an_object(), None, False, ()),
        ("anthropic-messages", an_object({"a": WORD}, required=[]), True, False, ("tools[].strict",)),
        ("openai-chat", an_object({"a": WORD}, required=[]), True, True, ()),
        ("openai-chat", an_object(), False, False, ()),
    ],
)
def test_a_tool_is_kept_to_its_schema_if_its_client_asks_and_the_model_can(
    backend, profile, dialect, schema, strict, kept, dropped
):
    conversation = asked(dialect, tools=(ToolSpec("f", "", schema, strict=strict),))
    rendered = BACKENDS[backend].render_request(conversation, profile)
    [tool] = rendered.body["tools"]
    declared = tool.get("function", tool)

    assert (kept, dropped) == (bool(declared.get("strict")), rendered.dropped)
    assert schema == declared["parameters"]
