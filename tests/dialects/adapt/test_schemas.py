"""Schemas keep their meaning, or say what they lost."""

import json

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialects.adapt.schemas import (
    MAX_DEPTH,
    Adapted,
    answer_for_openai,
    for_gemini,
    for_openai,
    from_google,
    has_parameters,
    object_root,
    walked,
)
from dialects.core.faults import FaultError
from emulator.errors import ErrorResponse
from emulator.openai_common.functions import validate_function


@pytest.mark.parametrize(
    ("google", "expected"),
    [
        ({"type": "OBJECT"}, {"type": "object"}),
        ({"type": "TYPE_UNSPECIFIED", "ref": "#/defs/A"}, {"$ref": "#/defs/A"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        ({"type": ["STRING", "NULL"], "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["STRING", 3], "nullable": True}, {"type": ["string", 3, "null"]}),
        ({"any_of": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"type": "ARRAY", "min_items": "1", "maxItems": 3, "items": {"type": "INTEGER", "format": "int32"}},
            {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "integer", "format": "int32"}},
        ),
        ({"type": "STRING", "maxLength": "many"}, {"type": "string", "maxLength": "many"}),
        ({"type": "STRING", "example": "x"}, {"type": "string", "examples": ["x"]}),
        (
            {"type": "OBJECT", "properties": {"any_of": {"type": "STRING"}, "type": {"type": "NUMBER"}}},
            {"type": "object", "properties": {"any_of": {"type": "string"}, "type": {"type": "number"}}},
        ),
    ],
)
def test_a_schema_of_googles_is_read_as_json_schema(google, expected):
    assert from_google(google) == expected


@pytest.mark.parametrize(
    ("schema", "expected", "dropped"),
    [
        ({"$schema": "x", "$id": "y", "examples": [1], "type": "string"}, {"type": "string"}, ()),
        ({"const": "a"}, {"enum": ["a"], "type": "string"}, ()),
        ({"const": 3, "type": "integer"}, {"enum": [3], "type": "integer"}, ()),
        ({"const": True}, {"type": "boolean"}, ("enum",)),
        ({"enum": [True, False]}, {"type": "boolean"}, ()),
        ({"enum": ["a", None], "type": "string"}, {"enum": ["a"], "type": ["string", "null"]}, ()),
        ({"enum": [None]}, {"type": "null"}, ()),
        ({"enum": ["a", 1]}, {"enum": ["a", 1], "type": ["integer", "string"]}, ()),
        ({"enum": ["a", [1]]}, {}, ("enum",)),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}, ()),
        ({"type": "integer", "exclusiveMaximum": 2.5}, {"type": "integer", "maximum": 2}, ()),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0}, ("exclusiveMinimum",)),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, {"type": "number", "minimum": 0}, ()),
        ({"oneOf": [{"type": "string"}, True]}, {"anyOf": [{"type": "string"}, {}]}, ()),
        (
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "prefixItems": [{"type": "string"}]},
            (),
        ),
        ({"type": "array"}, {"type": "array", "items": {}}, ()),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}, ()),
        ({"properties": {"a": True}}, {"properties": {"a": {}}}, ()),
        (
            {"type": "object", "propertyNames": {"pattern": "x"}, "additionalProperties": False},
            {"type": "object", "additionalProperties": False},
            ("propertyNames",),
        ),
        (
            {"definitions": {"A": {"const": 1}}, "properties": {"a": {"$ref": "#/definitions/A", "title": "A"}}},
            {"$defs": {"A": {"enum": [1], "type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/A"}}},
            (),
        ),
        (
            {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"type": "string"}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}},
            (),
        ),
        (
            {
                "required": ["a"],
                "allOf": [
                    {"$ref": "#/$defs/A"},
                    {"properties": {"b": {"type": "string"}}, "required": ["a", "b"]},
                    {"$ref": "#/$defs/Missing"},
                ],
                "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}}},
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["a", "b"],
                "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}}},
            },
            (),
        ),
    ],
)
def test_gemini_is_told_a_schema_in_the_words_it_takes(schema, expected, dropped):
    assert Adapted(expected, dropped) == for_gemini(schema)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf"])
def test_a_definition_that_holds_itself_many_times_comes_to_an_end(keyword):
    node = {keyword: [{"$ref": "#/$defs/A"}] * 20, "properties": {"a": {}}}
    endless = {**node, "$defs": {"A": node}}

    assert for_gemini(endless).schema["properties"] == {"a": {}}
    assert object_root(endless).schema["properties"] == {"a": {}}


def test_a_schema_nested_without_end_is_refused_in_words():
    schema: dict = {}
    for _ in range(MAX_DEPTH + 2):
        schema = {"items": schema}

    with pytest.raises(FaultError, match="nested"):
        from_google(schema)


def test_a_value_of_any_depth_may_be_listed_and_is_dropped():
    value = json.loads("[" * 900 + "]" * 900)

    assert for_gemini({"enum": [value, "a"]}).dropped == ("enum",)
    assert for_gemini({"enum": [True, False]}).dropped == ()


def test_a_choice_at_the_root_becomes_one_object():
    schema = {
        "anyOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": {"type": "string"}}, "required": ["b"]}],
        "$defs": {"A": {"properties": {"a": {"type": "integer"}}}},
    }

    expected = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        "$defs": schema["$defs"],
    }
    assert object_root(schema) == Adapted(expected, ("anyOf",))


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "expected", "dropped"),
    [
        (
            {"oneOf": [{"properties": {"kind": {"const": "a"}}}, {"properties": {"kind": {"const": "b"}}}]},
            {"properties": {"kind": {"anyOf": [{"const": "a"}, {"const": "b"}]}}},
            ("oneOf",),
        ),
        (
            {
                "required": ["id"],
                "anyOf": [
                    {"properties": {"a": TEXT, "b": TEXT}, "required": ["a", "b"]},
                    {"properties": {"b": TEXT}, "required": ["b"]},
                    {"type": "null"},
                ],
            },
            {"properties": {"a": TEXT, "b": TEXT}, "required": ["id", "b"]},
            ("anyOf",),
        ),
        (
            {"properties": {"a": TEXT}, "anyOf": [{"properties": {"a": NUMBER}}]},
            {"properties": {"a": TEXT}},
            ("anyOf",),
        ),
        (
            {"anyOf": [{"oneOf": [{"properties": {"a": TEXT}}, {"allOf": [{"properties": {"b": NUMBER}}]}]}, True]},
            {"properties": {"a": TEXT, "b": NUMBER}},
            ("anyOf", "oneOf"),
        ),
        (
            {"const": {}, "enum": [{}], "not": {}, "title": "t"},
            {"title": "t", "properties": {}},
            ("const", "enum", "not"),
        ),
        ({"$ref": "#"}, {"properties": {}}, ("$ref",)),
    ],
)
def test_what_stands_at_the_root_is_said_in_one_object(schema, expected, dropped):
    assert Adapted({"type": "object", **expected}, dropped) == object_root(schema)


def test_references_at_the_root_are_followed():
    defs = {"A": {"$ref": "#/$defs/B"}, "B": {"allOf": [{"$ref": "#/$defs/C"}]}, "C": {"properties": {"c": TEXT}}}
    schema = {"$ref": "#/$defs/A", "title": "t", "$defs": defs}

    expected = {"title": "t", "$defs": defs, "type": "object", "properties": {"c": TEXT}}
    assert object_root(schema) == Adapted(expected)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": {"a": TEXT}}, {"properties": {"a": TEXT}, "type": "object"}),
        ({"type": ["object", "null"], "properties": None}, {"type": "object", "properties": {}}),
        ({"allOf": [{"properties": {"a": TEXT}}]}, {"properties": {"a": TEXT}, "type": "object"}),
        (
            {"properties": {"a": {"type": ["array", "null"]}, "b": {"anyOf": [{"type": "array", "minItems": 1}]}}},
            {
                "type": "object",
                "properties": {
                    "a": {"type": ["array", "null"], "items": {}},
                    "b": {"anyOf": [{"type": "array", "minItems": 1, "items": {}}]},
                },
            },
        ),
        (
            {"properties": {"a": {"type": "array", "items": [TEXT]}, "b": {"type": "array", "prefixItems": [TEXT]}}},
            {
                "type": "object",
                "properties": {
                    "a": {"type": "array", "prefixItems": [TEXT], "items": {}},
                    "b": {"type": "array", "prefixItems": [TEXT], "items": {}},
                },
            },
        ),
    ],
)
def test_openai_is_told_a_schema_as_it_takes_it(schema, expected):
    assert for_openai(schema, choices=False) == Adapted(expected)


def test_a_choice_at_the_root_is_kept_where_it_is_taken():
    choice = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}

    assert Adapted({**choice, "type": "object", "properties": {}}) == for_openai(choice, choices=True)
    assert for_openai(choice, choices=False).dropped == ("anyOf",)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, False),
        ({"type": "object", "properties": {}}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, False),
        ({"properties": {"a": {}}}, True),
        ({"additionalProperties": {"type": "string"}}, True),
        ({"$ref": "#/$defs/A"}, True),
    ],
)
def test_a_function_without_parameters_is_known_as_such(schema, expected):
    assert expected is has_parameters(schema)


_kinds = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
_values = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""])
_leaves = st.fixed_dictionaries(
    {},
    optional={
        "type": _kinds,
        "const": _values,
        "enum": st.lists(_values, min_size=1, max_size=3),
        "minimum": st.integers(-2, 2),
        "exclusiveMinimum": st.integers(-2, 2),
        "uniqueItems": st.booleans(),
        "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
    },
)
_schemas = st.recursive(
    _leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": _kinds,
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)
_instances = st.recursive(
    _values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@given(_schemas, st.lists(_instances, max_size=6))
def test_what_gemini_is_told_is_a_schema(schema, instances):
    adapted = for_gemini(schema)

    jsonschema.Draft202012Validator.check_schema(adapted.schema)
    assert adapted == for_gemini(schema), "the caller's schema was changed"
    assert for_gemini(adapted.schema).schema == adapted.schema, "adapting twice changes nothing more"


@given(_schemas, st.booleans())
def test_openai_takes_what_it_is_told_and_only_what_it_refuses_is_changed(schema, choices):
    """The emulator knows by itself what is refused."""
    adapted = for_openai(schema, choices=choices)

    validate_function({"name": "f", "parameters": adapted.schema}, "tools[0]", choices=choices)
    jsonschema.Draft202012Validator.check_schema(adapted.schema)
    try:
        validate_function({"name": "f", "parameters": schema}, "tools[0]", choices=choices)
    except ErrorResponse:
        return
    assert json.dumps(schema or {"type": "object", "properties": {}}) == json.dumps(adapted.schema)
    assert adapted.dropped == ()


_flat = st.fixed_dictionaries(
    {},
    optional={
        "type": _kinds,
        "const": _values,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "oneOf": st.lists(_leaves, min_size=1, max_size=1),
        "properties": st.dictionaries(st.sampled_from("ab"), _leaves, max_size=2),
    },
)


@given(_flat, st.lists(_instances, max_size=6))
@example({"oneOf": [{"minimum": 0, "enum": [None, 0]}]}, [None])
def test_what_satisfies_a_schema_satisfies_what_gemini_is_told(schema, instances):
    before = jsonschema.Draft202012Validator(schema)
    after = jsonschema.Draft202012Validator(walked(for_gemini(schema).schema, _as_google_reads_it))

    assert all(after.is_valid(instance) for instance in instances if before.is_valid(instance))


def _as_google_reads_it(node):
    """Google's enumerations hold words and numbers alone: null may stand beside them where the type says so."""
    return {**node, "enum": [*node["enum"], None]} if "enum" in node and "null" in node.get("type", ()) else node


@given(
    st.recursive(
        _values,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "enum",
                        "anyOf",
                        "allOf",
                        "properties",
                        "items",
                        "nullable",
                        "$ref",
                        "required",
                        "$defs",
                        "minItems",
                        "const",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_at_all_breaks_the_adaptations(value):
    schema = {"allOf": [value], "properties": value, "items": value, "enum": value, "type": value, "required": value}

    for adapt in (from_google, for_gemini, object_root, answer_for_openai):
        adapt(schema)
    for choices in (False, True):
        for_openai(schema, choices=choices)
