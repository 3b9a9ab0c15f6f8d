"""What Nova is told of tools: less than others, and nothing to refer to."""

from dataclasses import replace

import pytest

from dialects import bedrock_converse as converse
from dialects.capabilities.models import profile_for
from dialects.core.conversation import CacheMark, Conversation, OutputFormat, Text, ToolSpec
from tests.dialects.anthropic_bodies import said
from tests.oracles.bedrock import check_converse_request

NOVA = profile_for("amazon--nova-pro")
ASKED = Conversation("nova", messages=(said(Text("hi")),))
NAME = {"type": "string"}
TREE = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
ROUND = {"type": "object", "properties": {"kids": {"type": "array", "items": {"type": "object"}}}}


def told(conversation):
    """What Nova is told of the only tool, and what it is not."""
    rendered = converse.render_request(conversation, NOVA)
    check_converse_request(rendered.body)
    [tool] = rendered.body["toolConfig"]["tools"]
    return tool["toolSpec"], rendered.dropped


def offered(parameters, description=""):
    return told(replace(ASKED, tools=(ToolSpec("f", description, parameters),)))


@pytest.mark.parametrize(
    ("parameters", "expected", "dropped"),
    [
        ({"type": "object"}, {"type": "object", "properties": {}}, ()),
        (
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "title": "Args",
                "properties": {"a": {"$ref": "#/$defs/Name"}},
                "required": ["a"],
                "additionalProperties": False,
                "$defs": {"Name": NAME},
            },
            {"type": "object", "properties": {"a": NAME}, "required": ["a"]},
            (),
        ),
        (
            {"$ref": "#/definitions/Args", "definitions": {"Args": {"type": "object", "properties": {"a": NAME}}}},
            {"type": "object", "properties": {"a": NAME}},
            (),
        ),
        (
            {"type": "object", "additionalProperties": NAME, "minProperties": 1, "patternProperties": {}},
            {"type": "object", "properties": {}},
            ("tools[].parameters.additionalProperties", "tools[].parameters.minProperties"),
        ),
        (
            {"type": "object", "properties": {"root": {"$ref": "#/$defs/Tree"}}, "$defs": {"Tree": TREE}},
            {
                "type": "object",
                "properties": {
                    "root": {"type": "object", "properties": {"kids": {"type": "array", "items": ROUND}}},
                },
            },
            ("tools[].parameters.$ref",),
        ),
    ],
)
def test_a_schema_says_all_it_can_in_the_words_nova_takes(parameters, expected, dropped):
    spec, lost = offered(parameters)

    assert spec["inputSchema"]["json"] == expected
    assert dropped == lost


@pytest.mark.parametrize(("own", "expected"), [("", "Of the schema."), ("Of the tool.", "Of the tool.")])
def test_a_tool_without_a_description_is_described_by_its_schema(own, expected):
    spec, _ = offered({"type": "object", "description": "Of the schema."}, own)

    assert spec["description"] == expected


def test_what_is_lost_of_an_answers_schema_is_named_as_such():
    schema = {"type": "object", "properties": {"root": {"$ref": "#/$defs/Tree"}}, "$defs": {"Tree": TREE}}
    _, dropped = told(replace(ASKED, output=OutputFormat(schema)))

    assert dropped == ("response_format.$ref",)


def test_nova_caches_no_tools():
    _, dropped = told(replace(ASKED, tools=(ToolSpec("f", cache=CacheMark()),)))

    assert dropped == ("cache_control",)
