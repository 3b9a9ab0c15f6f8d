"""Cached schemas: whoever asks is given what adapting the schema gives, whatever was cached before."""

from typing import Any

import pytest

from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.schema_cache import cached, cached_keys
from dialects.adapt.schemas import Adapted, for_gemini
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Message, Role, Text, ToolSpec
from dialects.core.faults import FaultError
from dialects.gemini.request_renderer import render_request

PATH = {"type": "object", "properties": {"path": {"type": "string", "minLength": 1}}, "required": ["path"]}
REFERRING = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}


class Adapter:
    """Marks schemas, and counts how many."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, schema: dict[str, Any], *about: str) -> Adapted:
        self.count += 1
        return Adapted({**schema, "title": "adapted"}, about)


def test_an_equal_schema_is_adapted_once_and_what_its_first_caller_does_to_it_is_not_seen():
    adapt = Adapter()
    first = cached(adapt, PATH, "about")
    first.schema["properties"]["path"]["type"] = "changed"

    assert cached(adapt, {**PATH}, "about") == Adapted({**PATH, "title": "adapted"})
    assert adapt.count == 1


@pytest.mark.parametrize("values", [(1, 1.0, True), (0, False, -0.0, None), ("1", 1)])
def test_values_that_python_takes_for_equal_are_different_schemas(values):
    adapt = Adapter()
    for value in values:
        told = cached(adapt, {"const": value}).schema["const"]

        assert (told, type(told)) == (value, type(value))


def test_the_order_of_properties_is_that_of_the_schema_that_is_given():
    turned = {name: PATH[name] for name in reversed(PATH)}

    assert list(cached(for_gemini, PATH).schema) == list(for_gemini(PATH).schema)
    assert list(cached(for_gemini, turned).schema) == list(for_gemini(turned).schema)


@pytest.mark.parametrize(
    "schema",
    [REFERRING, {"enum": ["x" * 9000]}, {"const": 2**70}, {"const": "half \ud83d"}],
    ids=["with references", "large", "a long integer", "half of a surrogate pair"],
)
def test_a_schema_that_is_large_or_refers_to_others_or_has_no_text_is_adapted_each_time(schema):
    adapt = Adapter()
    for _ in range(2):
        assert cached(adapt, schema, "about") == Adapted({**schema, "title": "adapted"}, ("about",))

    assert adapt.count == 2


def test_each_request_pays_for_what_the_references_of_its_schemas_stand_for():
    properties = {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}
    large = {"type": "object", "properties": properties, "$defs": {"a": {"description": "x" * 1000}}}
    for _ in range(2):
        budget = SchemaBudget(1500)
        cached(for_gemini, large, budget, "the schema")
        with pytest.raises(FaultError, match="have more than 1500 characters"):
            cached(for_gemini, large, budget, "the schema")


@pytest.mark.parametrize("extra", [{}, {"enum": ["x" * 9000]}, {"const": 2**70}])
def test_the_keys_of_properties_are_those_of_the_schema_and_all_within(extra):
    nested = {"items": {"properties": {"$odd": {}}}}
    schema = {**extra, "properties": {"path": nested}, "$defs": {"a": {"anyOf": [{"properties": {"deep": {}}}]}}}
    for _ in range(2):
        assert cached_keys(schema) == {"path", "$odd", "deep"}


def test_a_tool_that_comes_again_is_declared_the_same():
    tool = ToolSpec("read", parameters={**PATH, "not": {"required": ["x"]}})
    asked = Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), tools=(tool,))
    first, second = (render_request(asked, profile_for("gemini-2.5-pro")) for _ in range(2))

    assert first == second
    assert first.dropped == ("schema not",)
