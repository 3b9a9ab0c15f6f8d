"""Answers that are no object: what is asked for instead, and what the client is told."""

import json
from random import Random

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.adapt.claude_tools import JSON_TOOL, json_tool
from dialects.adapt.json_root import JsonRoot, is_object, json_root_for, within_object
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Completion, Conversation, OutputFormat, Refusal, Stop, Text, Thinking, ToolCall
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Event, Failed, Started, checked, fold, unfold
from dialects.core.faults import Fault, FaultKind
from dialects.interface import Envelope
from dialects.registry import CLIENTS
from dialects.translator import ClientRequest, HubTranslator, PassthroughTranslator, translator_for
from tests.dialects import golden, mangling

STEP = {"type": "object", "properties": {"say": {"type": "string"}}, "required": ["say"], "additionalProperties": False}
STEPS = {"type": "array", "items": STEP}
INSIDE = {"required": ["value"], "additionalProperties": False, "type": "object"}
TREE = {"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}

words = st.text(max_size=6) | st.text('"\\{}[],: ', max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
blanks = st.text(" \t\r\n", max_size=3)
pieces = st.lists(st.sampled_from(['{"value":', "{", '"', "value", ":", "}", ",", "[", "]", "\\", " ", "x", "1"]))
texts = pieces.map("".join) | st.text(max_size=12)


def conversation(schema):
    return Conversation("m", output=OutputFormat(schema))


class Said:
    """A reader that has read these events, some while bytes came and the rest at the end."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def feed(self, data: bytes) -> list[Event]:
        return self._events[: len(data)]

    def finish(self) -> list[Event]:
        return self._events[1:]


def told(events):
    reader = JsonRoot(STEPS).reader(Said(events))
    return list(checked([*reader.feed(b"."), *reader.finish()]))


def streamed(chunks, begins_with=""):
    """What is told of a text that comes in these pieces."""
    deltas = [BlockDelta(0, chunk) for chunk in chunks if chunk]
    events = [Started(), BlockStarted(0, Text(begins_with)), *deltas, BlockStopped(0)]
    return "".join(event.text for event in told(events) if isinstance(event, BlockDelta))


def whole(text):
    [part] = JsonRoot(STEPS).to_client(Completion(parts=(Text(text),))).parts
    return part.text


@given(values, st.tuples(*[blanks] * 6), st.booleans(), st.lists(st.integers(0, 999)))
def test_a_value_is_told_to_the_letter_wherever_its_stream_is_cut(value, gaps, ascii_only, places):
    said = json.dumps(value, ensure_ascii=ascii_only, indent=len(gaps[0]) or None)
    text = '{0}{{{1}"value"{2}:{3}{said}{4}}}{5}'.format(*gaps, said=said)

    assert said == whole(text)
    assert said == streamed(golden.cut(text, places))
    assert said == streamed(text)


@given(texts, st.lists(st.integers(0, 99)))
def test_any_text_is_told_the_same_wherever_it_is_cut(text, places):
    assert whole(text) == streamed(golden.cut(text, places)) == streamed(text) == streamed([], text)


@given(st.text().filter(lambda text: '"value"' not in text))
def test_what_is_no_such_object_is_told_as_it_is(text):
    assert text == whole(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"value": [1, 2', "[1, 2"),
        ('{"value": "a}\\"', '"a}\\"'),
        ('{"value": 12', "12"),
        ('{"value": ', ""),
        ('{"value"', '{"value"'),
        ('{"va lue": 1}', '{"va lue": 1}'),
        ('{"value": 1, "why": "so"}', '1, "why": "so"}'),
        ('{"why": "so", "value": 1}', '{"why": "so", "value": 1}'),
        ('{"value": 1} That is all.', "1 That is all."),
        ('{"value": 1 2}', "1 2"),
        ('{"value": [1]]}', "[1]]"),
        ("I cannot say that.", "I cannot say that."),
        ("", ""),
    ],
)
def test_what_is_cut_off_or_said_instead_still_arrives(text, expected):
    assert whole(text) == expected
    assert streamed(text) == expected


def test_only_words_are_searched_for_the_value():
    said = '{"value":1}'
    parts = (Thinking(said), Text(said), ToolCall("c", "f", said), Text(said), Refusal(said))
    expected = (Thinking(said), Text("1"), ToolCall("c", "f", said), Text("1"), Refusal(said))
    completion = Completion("i", "m", parts)

    assert JsonRoot(STEPS).to_client(completion).parts == expected
    assert fold(told(list(unfold(completion)))).parts == expected
    assert completion is JsonRoot().to_client(completion)


def test_what_was_held_back_arrives_before_a_failure():
    failed = Failed(Fault(FaultKind.STREAM_BROKEN, "gone"))
    events = [Started(), BlockStarted(0, Text()), BlockDelta(0, '{"val'), failed]

    assert events == told(events)


def test_nothing_is_said_that_says_nothing():
    """Until the value begins, another endpoint may answer instead."""
    events = told([Started(), BlockStarted(0, Text()), BlockDelta(0, '{"value": ['), BlockDelta(0, "1")])

    assert events[2:] == [BlockDelta(0, "["), BlockDelta(0, "1")]
    assert told([Started(), BlockStarted(0, Text()), BlockDelta(0, '{"va')])[2:] == []


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"description": "Anything."},
        {"type": "object"},
        STEP,
        {"properties": {"a": {}}},
        {"type": "object", "items": {}, "if": {}, "then": {}},
    ],
)
def test_an_object_is_asked_for_as_it_is(schema):
    asked = conversation(schema)
    way = json_root_for(asked, profile_for("amazon--nova-pro"))

    assert is_object(schema)
    assert asked is way.to_model(asked)
    assert (reader := Said([])) is way.reader(reader)


@pytest.mark.parametrize(
    "schema",
    [
        STEPS,
        {"items": {}},
        {"type": "string", "enum": ["a"]},
        {"enum": ["a"]},
        {"const": 1},
        {"anyOf": [STEP]},
        {**STEP, "oneOf": [{"required": ["say"]}]},
        {**STEP, "not": {"required": ["x"]}},
        {"allOf": [STEP]},
        {"$ref": "#/$defs/Step", "$defs": {"Step": STEP}},
        {**STEP, "type": ["object", "null"]},
    ],
)
def test_what_is_more_or_less_than_an_object_is_asked_for_within_one(schema):
    asked = conversation(schema)
    way = json_root_for(asked, profile_for("amazon--nova-pro"))
    inner = {name: value for name, value in schema.items() if name != "$defs"}

    assert not is_object(schema)
    assert {name: value for name, value in way.to_model(asked).output.schema.items() if name != "$defs"} == {
        **INSIDE,
        "properties": {"value": inner},
    }
    assert schema == asked.output.schema


@pytest.mark.parametrize("output", [None, OutputFormat()])
def test_without_a_schema_nothing_is_wrapped(output):
    assert json_root_for(Conversation("m", output=output), profile_for("amazon--nova-pro")) == JsonRoot()


def test_gemini_makes_lists_by_itself():
    assert json_root_for(conversation(STEPS), profile_for("gemini-2.5-pro")) == JsonRoot()


@pytest.mark.parametrize(
    ("schema", "fits", "misfits"),
    [
        (STEPS, [[], [{"say": "a"}]], [{}, [1]]),
        (TREE, [[], [[[]]]], [1, [[1]]]),
        ({"type": "array", "items": {"$ref": "#"}}, [[], [[[]]]], [1, [[1]]]),
        ({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/anyOf/0"}}]}, [None, [None]], [[1]]),
        (
            {"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/value"}]}, "$defs": {"value": STEP}},
            [[[{"say": "a"}]]],
            [[1], {"say": "a"}],
        ),
        ({"$ref": "#/definitions/a", "definitions": {"a": {"enum": [1]}}}, [1], [2]),
    ],
)
def test_a_value_fits_within_just_as_it_fits_alone(schema, fits, misfits):
    around = within_object(schema)
    jsonschema.Draft202012Validator.check_schema(around)
    validator = jsonschema.Draft202012Validator(around)

    assert [value for value in fits if not validator.is_valid({"value": value})] == []
    assert [value for value in misfits if validator.is_valid({"value": value})] == []
    assert not validator.is_valid({})


def test_a_reference_to_the_root_leads_to_a_definition():
    """OpenAI: "reference can only point to definitions defined at the top level of the schema"."""
    around = within_object({"type": "array", "items": {"$ref": "#"}})

    assert around["properties"] == {"value": {"$ref": "#/$defs/value"}}
    assert around["$defs"] == {"value": {"type": "array", "items": {"$ref": "#/$defs/value"}}}


def test_a_tool_that_answers_is_never_asked_for_less_than_the_schema():
    assert within_object(STEPS) == json_tool(OutputFormat(STEPS)).parameters


WAYS = [
    ("anthropic-messages", "anthropic--claude-3.5-sonnet", ToolCall("c", JSON_TOOL, '{"value": [{"say": "a}"}]}')),
    ("anthropic-messages", "anthropic--claude-4.5-sonnet", Text('{"value": [{"say": "a}"}]}')),
    ("openai-chat", "gpt-4.1", Text('{"value": [{"say": "a}"}]}')),
    ("openai-responses", "gpt-5.3-codex", Text('{"value": [{"say": "a}"}]}')),
]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("backend", "model", "said"), WAYS)
def test_every_client_is_told_the_value_wherever_the_network_cuts(client, backend, model, said):
    envelope = Envelope("tok", "m", 0, conversation(STEPS))
    completion = Completion("i", "m", (said,), Stop())
    data = CLIENTS[backend].writer(envelope).write(unfold(completion))
    request = ClientRequest(client, {}, envelope, may_pass=False)
    rng = Random(model)

    def relayed(chunks):
        relay = translator_for(request, backend, profile_for(model)).relay(mangling.SSE)
        return b"".join([*map(relay.feed, chunks), relay.finish()])

    expected = relayed([data])
    assert b"value" not in expected
    assert b"say" in expected
    for chunks in ([data[place : place + 1] for place in range(len(data))], *(mangling.chopped(data, rng),) * 3):
        assert relayed(chunks) == expected


@pytest.mark.parametrize(
    ("client", "backend", "model", "way"),
    [
        ("openai-chat", "openai-chat", "gpt-4.1", PassthroughTranslator),
        ("openai-chat", "openai-chat", "mistralai--mistral-large-instruct", HubTranslator),
        ("anthropic-messages", "anthropic-messages", "anthropic--claude-4.5-sonnet", PassthroughTranslator),
        ("anthropic-messages", "anthropic-messages", "anthropic--claude-3.5-sonnet", HubTranslator),
        ("gemini", "gemini", "gemini-2.5-pro", PassthroughTranslator),
    ],
)
def test_a_vendor_tells_its_own_clients_what_it_takes(client, backend, model, way):
    envelope = Envelope("tok", "m", 0, conversation(STEPS))

    assert isinstance(translator_for(ClientRequest(client, {}, envelope), backend, profile_for(model)), way)
