"""Small schemas that would become large ones: what is written out for one request has a limit."""

import json

import pytest

from dialects import bedrock_converse, gemini
from dialects.adapt.schema_budget import MOST_WRITTEN, SchemaBudget
from dialects.adapt.schema_references import is_recursive, without_references
from dialects.adapt.schemas import for_gemini
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Message, OutputFormat, Role, Text, ToolSpec
from dialects.core.faults import FaultError, FaultKind

WIDE = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(1000)}}
SIZE = len(json.dumps(WIDE))


def referring(times, *, conjoined=False):
    """A schema that refers to a wide definition so many times."""
    reference = {"$ref": "#/$defs/wide"}
    node = {"allOf": [reference, {"title": "T"}]} if conjoined else reference
    return {"$defs": {"wide": WIDE}, "type": "object", "properties": {f"r{at}": node for at in range(times)}}


def conversation_with(*schemas, output=None):
    tools = tuple(ToolSpec(f"t{at}", "", schema) for at, schema in enumerate(schemas))
    return Conversation("m", messages=(Message(Role.USER, (Text("hi"),)),), tools=tools, output=output)


RENDERERS = [
    (bedrock_converse.render_request, "amazon--nova-pro", False),
    (gemini.render_request, "gemini-2.5-pro", True),
]


@pytest.mark.parametrize(("render", "model", "conjoined"), RENDERERS)
def test_the_tools_of_a_request_share_what_may_be_written_out(render, model, conjoined):
    few = MOST_WRITTEN // SIZE // 2
    half = referring(few, conjoined=conjoined)
    rendered = render(conversation_with(half, half), profile_for(model))

    assert len(json.dumps(rendered.body)) > 2 * few * SIZE
    with pytest.raises(FaultError, match=r"^invalid_request: parameters of tool 't2': .* 524288 characters") as caught:
        render(conversation_with(half, half, half), profile_for(model))
    assert (caught.value.fault.kind, caught.value.fault.status) == (FaultKind.INVALID_REQUEST, 400)


def test_the_schema_of_the_answer_counts_as_well():
    output = OutputFormat(referring(99, conjoined=True))
    with pytest.raises(FaultError, match="the schema of the answer"):
        gemini.render_request(conversation_with(output=output), profile_for("gemini-2.5-pro"))


def doubling(depth, wrap):
    """Definitions that hold the next one twice, so that all of them written out are 2 to the power of *depth*."""
    definitions = {
        f"d{at}": {"properties": {side: wrap({"$ref": f"#/$defs/d{at + 1}"}) for side in "ab"}} for at in range(depth)
    }
    return {**wrap({"$ref": "#/$defs/d0"}), "$defs": {**definitions, f"d{depth}": {"type": "string"}}}


@pytest.mark.parametrize("depth", [40, 90])
def test_definitions_that_double_at_every_step_come_to_an_end(depth):
    schema = doubling(depth, lambda reference: {"allOf": [reference, {"title": "T"}]})
    with pytest.raises(FaultError, match="the schema: with references resolved"):
        for_gemini(schema)


def test_a_schema_whose_references_stand_for_too_much_cannot_be_followed():
    assert not is_recursive(referring(3))
    assert is_recursive(referring(99))


def test_a_definition_costs_each_time_and_its_own_definitions_nothing():
    budget = SchemaBudget(40)
    budget.spend({"type": "string", "$defs": {"x": WIDE}}, "here")
    budget.spend({"type": "string"}, "here")
    with pytest.raises(FaultError, match="here"):
        budget.spend({"type": "string"}, "here")

    assert budget.is_spent


def test_within_the_budget_everything_is_written_out():
    written = without_references(referring(10))

    assert written.dropped == ()
    assert [*written.schema["properties"].values()] == [WIDE] * 10
