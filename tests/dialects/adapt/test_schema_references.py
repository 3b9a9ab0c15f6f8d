"""Schemas without references: what they still say."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.adapt.schema_references import is_recursive, without_references
from dialects.adapt.schemas import MAX_DEPTH, Adapted
from dialects.core.faults import FaultError

NAME = {"type": "string"}
NODE = {
    "type": "object",
    "description": "A node.",
    "properties": {"name": NAME, "next": {"$ref": "#/$defs/Node"}},
    "required": ["name"],
}
OPEN = {"type": "object", "description": "A node."}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, {"type": "object"}),
        ({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": NAME}}, {"items": NAME}),
        ({"items": {"$ref": "#/definitions/a"}, "definitions": {"a": NAME}}, {"items": NAME}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": NAME}}, NAME),
        ({"$ref": "#/$defs/a", "title": "T", "$defs": {"a": {**NAME, "title": "A"}}}, {**NAME, "title": "T"}),
        ({"anyOf": [NAME, {"$ref": "#/anyOf/0"}]}, {"anyOf": [NAME, NAME]}),
        ({"items": {"$ref": "#/$defs/a~1b~0%20c"}, "$defs": {"a/b~ c": NAME}}, {"items": NAME}),
        ({"items": {"$defs": {"a": NAME}, "$ref": "#/items/$defs/a"}}, {"items": NAME}),
        ({"properties": {"$defs": NAME, "$ref": NAME}}, {"properties": {"$defs": NAME, "$ref": NAME}}),
    ],
)
def test_what_is_referred_to_is_written_out(schema, expected):
    assert without_references(schema) == Adapted(expected, ())
    assert not is_recursive(schema)


@pytest.mark.parametrize(
    "reference", ["#/$defs/b", "#/$defs/a/0", "#/anyOf/9", "#a", "other.json", "", "#/$defs/a/type"]
)
def test_what_is_not_there_is_left_open_and_named(reference):
    schema = {"anyOf": [{"$ref": reference, "title": "T"}], "$defs": {"a": NAME}}

    assert without_references(schema) == Adapted({"anyOf": [{"title": "T"}]}, ("$ref",))
    assert is_recursive(schema)


def test_a_definition_within_itself_is_written_out_twice_and_then_left_open():
    schema = {"type": "object", "properties": {"root": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": NODE}}
    once = {**NODE, "properties": {"name": NAME, "next": OPEN}}
    twice = {**NODE, "properties": {"name": NAME, "next": once}}

    assert Adapted({"type": "object", "properties": {"root": twice}}, ("$ref",)) == without_references(schema)
    assert is_recursive(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_a_schema_that_leads_into_itself_comes_to_an_end(schema):
    written = without_references(schema)

    assert written.dropped == ("$ref",)
    assert "$ref" not in json.dumps(written.schema)
    assert is_recursive(schema)


def test_definitions_that_refer_to_each_other_in_every_way_stay_readable():
    names = [f"d{number}" for number in range(30)]
    every = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    schema = {"type": "object", "properties": every, "$defs": {name: {"properties": every} for name in names}}
    written = without_references(schema)

    assert written.dropped == ("$ref",)
    assert len(json.dumps(written.schema)) < 50_000


def test_definitions_one_in_the_other_are_no_schema_nested_too_deeply():
    chain = {f"d{number}": {"items": {"$ref": f"#/$defs/d{number + 1}"}} for number in range(2 * MAX_DEPTH)}
    written = without_references({"items": {"$ref": "#/$defs/d0"}, "$defs": chain})

    assert written.dropped == ("$ref",)


def test_a_schema_nested_too_deeply_is_refused():
    deep = NAME
    for _ in range(MAX_DEPTH + 1):
        deep = {"items": deep}
    with pytest.raises(FaultError, match="nested more than"):
        without_references(deep)


def test_the_callers_schema_stays_as_it_is():
    schema = {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}
    before = json.dumps(schema)
    without_references(schema)

    assert before == json.dumps(schema)


_references = st.sampled_from(["#/$defs/a", "#/$defs/b", "#/properties/x"]).map(lambda to: {"$ref": to})
_schemas = st.recursive(
    _references | st.sampled_from([NAME, {"type": "integer"}, {"enum": [1, "a"]}, {}]),
    lambda inner: (
        st.builds(lambda one: {"type": "array", "items": one}, inner)
        | st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=2))
        | st.builds(lambda named: {"properties": named}, st.dictionaries(st.sampled_from("xy"), inner, max_size=2))
    ),
    max_leaves=4,
)
_instances = st.recursive(
    st.sampled_from([1, "a", None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=4,
)


@given(st.fixed_dictionaries({"a": _schemas, "b": _schemas, "x": _schemas}), st.lists(_instances, max_size=6))
def test_what_fits_a_schema_fits_what_is_written_and_if_nothing_is_left_open_nothing_else_does(schemas, instances):
    schema = {"properties": {"x": schemas["x"]}, "$defs": {"a": schemas["a"], "b": schemas["b"]}}
    written = without_references(schema)
    after = jsonschema.Draft202012Validator(written.schema)
    try:
        fits = [jsonschema.Draft202012Validator(schema).is_valid(instance) for instance in instances]
    except RecursionError:
        # A reference that leads to itself: jsonschema goes round for ever.
        return

    for instance, fitting in zip(instances, fits, strict=True):
        assert after.is_valid(instance) or not fitting
        assert written.dropped or fitting == after.is_valid(instance)
