"""Keys of properties that a model would refuse: what they become, and that the client never hears of it."""

import json
import re
from dataclasses import replace
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.adapt.property_keys import KeyRenamer, OtherKeys, PropertyKeys, property_keys_for, renamed_schema
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Completion,
    Conversation,
    Message,
    Opaque,
    OutputFormat,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
)
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Event, Failed, Started, checked, fold, unfold
from dialects.core.faults import Fault, FaultKind
from tests.dialects import golden

CLAUDES = profile_for("anthropic--claude-4.5-sonnet").odd_in_keys
TAKEN = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""What Anthropic says of the keys it takes."""
ODD = (
    "$filter",
    "@odata.type",
    "filter[name]",
    "größe",
    "",
    "a b",
    "x" * 65,
    "$ref",
    "a/b~c%",
    '"',
    "\\",
    "\n",
)
FINE = ("a", "properties", "required", "type", "_filter_8c9e7a34", "x" * 64)
NAMES = {"_filter_8c9e7a34": "$filter", "_odata.type_ba52deb5": "@odata.type", "_0": '"\\'}
OTHER = OtherKeys(NAMES)

seeds = st.integers(0, 2**32)
cuts = st.lists(st.integers(0, 999))


def spec(schema: dict[str, Any]) -> Conversation:
    return Conversation("m", tools=(ToolSpec("f", "", schema), Opaque("openai-responses", {"type": "web_search"})))


def sent_for(schema: dict[str, Any]) -> PropertyKeys:
    return property_keys_for(spec(schema), CLAUDES)


def key(rng: Random) -> str:
    odd = "".join(rng.choices('ab$@ ü"\\/~%\n', k=rng.randrange(5)))
    return rng.choice((*ODD, *FINE, odd))


def schema_for(rng: Random, depth: int = 3) -> dict[str, Any]:
    """A schema of an object, with others within or referred to, or of words."""
    match rng.choice(("object", "object", "words", "list", "choice", "named") if depth else ("words",)):
        case "object":
            named = {key(rng): schema_for(rng, depth - 1) for _ in range(rng.randrange(4))}
            required = [each for each in named if rng.random() < 0.5]
            return {"type": "object", "properties": named, "required": required, "additionalProperties": False}
        case "list":
            return {"type": "array", "items": schema_for(rng, depth - 1)}
        case "choice":
            return {"anyOf": [schema_for(rng, depth - 1), {"type": "integer"}]}
        case "named":
            return {"$ref": "#/$defs/Thing"}
        case _:
            return {"enum": ["w", {key(rng): "v"}, 1]}


def whole_schema(rng: Random) -> dict[str, Any]:
    """A schema of a tool's arguments, with a definition to refer to."""
    named = {key(rng): schema_for(rng) for _ in range(rng.randrange(1, 5))}
    inner = {key(rng): {"enum": ["w", 1]} for _ in range(rng.randrange(3))}
    thing = {"type": "object", "properties": inner, "required": [*inner]}
    return {"type": "object", "properties": named, "required": [*named][:2], "$defs": {"Thing": thing}}


def arguments_for(rng: Random, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Arguments that a schema takes, or nearly."""
    match schema:
        case {"$ref": _}:
            return arguments_for(rng, root["$defs"]["Thing"], root)
        case {"anyOf": schemas}:
            return arguments_for(rng, rng.choice(schemas), root)
        case {"type": "array", "items": items}:
            return [arguments_for(rng, items, root) for _ in range(rng.randrange(3))]
        case {"enum": values}:
            return rng.choice([*values, "other"]) if rng.random() < 0.2 else values[0]
        case {"properties": named}:
            return {each: arguments_for(rng, inner, root) for each, inner in named.items() if rng.random() < 0.9}
        case _:
            return 7


def asked(seed: int) -> tuple[dict[str, Any], Any]:
    """A schema, and arguments that somebody was called with."""
    rng = Random(seed)
    schema = whole_schema(rng)
    return schema, arguments_for(rng, schema, schema)


def properties_in(schema: Any) -> set[str]:
    match schema:
        case {"properties": {**named}, **others}:
            inner = [properties_in(each) for each in named.values()]
            return {*named, *(key for each in inner for key in each), *properties_in(others)}
        case {"enum": _}:
            return set()
        case dict():
            return {key for each in schema.values() for key in properties_in(each)}
        case list():
            return {key for each in schema for key in properties_in(each)}
        case _:
            return set()


def with_keys(value: Any, names: dict[str, str]) -> Any:
    """Rename the keys of a value."""
    match value:
        case dict():
            return {names.get(key, key): with_keys(inner, names) for key, inner in value.items()}
        case list():
            return [with_keys(inner, names) for inner in value]
        case _:
            return value


def is_valid(value: Any, schema: Any) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@given(seeds)
def test_claude_is_told_keys_it_takes_and_two_properties_stay_two(seed):
    schema, _ = asked(seed)
    sent = sent_for(schema)
    told = renamed_schema(schema, sent.sent)

    assert [key for key in properties_in(told) if not TAKEN.fullmatch(key)] == []
    assert len(properties_in(schema)) == len(properties_in(told))
    assert {key for key in properties_in(schema) if TAKEN.fullmatch(key)} <= properties_in(told)


@given(seeds)
def test_arguments_fit_the_schema_that_is_told_if_they_fit_the_clients(seed):
    schema, said = asked(seed)
    sent = sent_for(schema).sent

    assert is_valid(said, schema) == is_valid(with_keys(said, sent), renamed_schema(schema, sent))


@given(seeds, cuts, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_the_client_hears_its_own_keys_whole_and_streamed(seed, places, ascii_only, indent):
    schema, said = asked(seed)
    sent = sent_for(schema)
    text = json.dumps(with_keys(said, sent.sent), ensure_ascii=ascii_only, indent=indent)
    [whole] = sent.to_client(Completion(parts=(ToolCall("c", "f", text),))).parts

    assert said == json.loads(whole.arguments)
    assert whole == streamed(sent, ToolCall("c", "f"), golden.cut(text, places))


@given(seeds)
def test_calls_so_far_say_the_keys_that_are_declared(seed):
    schema, said = asked(seed)
    sent = sent_for(schema)
    before = (Thinking("hm"), ToolCall("c", "f", json.dumps(said)), ToolCall("d", "f", '{"cut'))
    told = sent.to_model(replace(spec(schema), messages=(Message(Role.ASSISTANT, before),)))
    [message] = told.messages

    assert with_keys(said, sent.sent) == json.loads(message.parts[1].arguments)
    assert (before[0], before[2]) == (message.parts[0], message.parts[2])


def streamed(sent: PropertyKeys, block: Any, chunks: Any, ending: Event | None = None) -> Any:
    """What a client is streamed of a block that comes in these pieces."""

    class Said:
        def feed(self, _: bytes) -> list[Event]:
            return [Started(), BlockStarted(0, block), *(BlockDelta(0, chunk) for chunk in chunks if chunk)]

        def finish(self) -> list[Event]:
            return [ending or BlockStopped(0)]

    reader = sent.reader(Said())
    events = list(checked([*reader.feed(b""), *reader.finish()]))
    return fold(events).parts[0] if ending is None else events


@given(
    st.lists(st.sampled_from(['"', "\\", "_filter_8c9e7a34", "_fil", ":", " ", "u005f", "{", "}", ",", "u", "0", "é"]))
)
def test_no_text_depends_on_where_it_is_cut_and_none_is_lost(pieces):
    def renamed(chunks: list[str]) -> str:
        renamer = KeyRenamer(OTHER)
        return "".join(map(renamer.feed, chunks)) + renamer.finish()

    text = "".join(pieces)
    assert renamed([text]) == renamed([*text]) == renamed(pieces)
    if '"_filter_8c9e7a34"' not in text.replace("\\u005f", "_"):
        assert text == renamed([text])


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ('{"_filter_8c9e7a34":1}', '{"$filter":1}'),
        ('{ "_filter_8c9e7a34" \n: "x" }', '{ "$filter" \n: "x" }'),
        (r'{"\u005ffilter_8c9e7a34":1}', '{"$filter":1}'),
        (r'{"\u005Ffilter_8c9e7a3\u0034":1}', '{"$filter":1}'),
        ('{"_0":1}', r'{"\"\\":1}'),
        ('{"a":"_filter_8c9e7a34"}', '{"a":"_filter_8c9e7a34"}'),
        ('{"a":["_filter_8c9e7a34", "_filter_8c9e7a34"]}', '{"a":["_filter_8c9e7a34", "_filter_8c9e7a34"]}'),
        (r'{"a":"\"_filter_8c9e7a34\":"}', r'{"a":"\"_filter_8c9e7a34\":"}'),
        ('{"_filter_8c9e7a34x":1,"_filter":2,"":3}', '{"_filter_8c9e7a34x":1,"_filter":2,"":3}'),
        (r'{"_fil\\":1,"_filter_8c9e7a34":"\\"}', r'{"_fil\\":1,"$filter":"\\"}'),
        (r'{"_fil\"ter_8c9e7a34":1,"_filter_8c9e7a34":2}', r'{"_fil\"ter_8c9e7a34":1,"$filter":2}'),
        (r'{"_fil\u":1,"_filter_8c9e7a34":2}', r'{"_fil\u":1,"$filter":2}'),
        ('{"_filter_8c9e7a34', '{"_filter_8c9e7a34'),
        ('{"_filter_8c9e7a34"', '{"_filter_8c9e7a34"'),
        (r'{"_filter\u00', r'{"_filter\u00'),
        (
            '{"b":{"_filter_8c9e7a34":{"_odata.type_ba52deb5":[{"_filter_8c9e7a34":0}]}}}',
            '{"b":{"$filter":{"@odata.type":[{"$filter":0}]}}}',
        ),
    ],
)
def test_keys_are_renamed_and_nothing_else(said, heard):
    renamer = KeyRenamer(OTHER)

    assert heard == "".join(map(renamer.feed, said)) + renamer.finish()


def test_only_what_may_be_a_key_is_held_back():
    renamer = KeyRenamer(OTHER)

    assert [renamer.feed(piece) for piece in ("{", '"_fil', "x", " and more", '":', '"')] == [
        "{",
        "",
        '"_filx',
        " and more",
        '":',
        "",
    ]


def test_a_stream_that_fails_says_all_it_had_said():
    sent = sent_for({"type": "object", "properties": {"$filter": {}}})
    failed = Failed(Fault(FaultKind.STREAM_BROKEN, "cut"))
    events = streamed(sent, ToolCall("c", "f", '{"_fil'), ["ter"], failed)

    assert "".join(event.text for event in events if isinstance(event, BlockDelta)) == '{"_filter'
    assert failed is events[-1]


REFERRING = {
    "type": "object",
    "properties": {
        "$filter": {"type": "string"},
        "@b/c": {"$ref": "#/properties/%24filter"},
        "d": {"$ref": "#/properties/@b~1c"},
        "e": {"$ref": "#/$defs/properties/properties/$filter"},
        "f": {"$ref": "https://example.org/properties/$filter"},
    },
    "required": ["$filter", 7],
    "dependentRequired": {"$filter": ["@b/c"]},
    "dependentSchemas": {"$filter": {"required": ["@b/c"]}},
    "propertyOrdering": ["@b/c", "$filter"],
    "default": {"$filter": {"$filter": [{"@b/c": 1}]}},
    "examples": [{"$filter": "$filter"}],
    "$defs": {"properties": {"type": "object", "properties": {"$filter": {"title": "its own"}}}},
}


def test_whatever_refers_to_a_property_refers_to_its_other_key():
    sent = sent_for(REFERRING).sent
    other, second = sent["$filter"], sent["@b/c"]
    told = renamed_schema(REFERRING, sent)

    assert [other, second, "d", "e", "f"] == [*told["properties"]]
    assert told["properties"][second]["$ref"] == f"#/properties/{other}"
    assert told["properties"]["d"]["$ref"] == f"#/properties/{second}"
    assert told["properties"]["e"]["$ref"] == f"#/$defs/properties/properties/{other}"
    assert told["properties"]["f"]["$ref"] == "https://example.org/properties/$filter"
    assert told["required"] == [other, 7]
    assert {other: [second]} == told["dependentRequired"]
    assert told["dependentSchemas"] == {other: {"required": [second]}}
    assert [second, other] == told["propertyOrdering"]
    assert told["default"] == {other: {other: [{second: 1}]}}
    assert told["examples"] == [{other: "$filter"}]


def test_a_title_says_what_the_client_calls_a_property():
    told = renamed_schema(REFERRING, sent_for(REFERRING).sent)

    assert next(iter(told["properties"].values())) == {"title": "$filter", "type": "string"}
    assert next(iter(told["$defs"]["properties"]["properties"].values())) == {"title": "its own"}
    assert told["properties"]["d"].keys() == {"$ref"}


def test_a_key_that_another_property_has_is_not_taken():
    schema = {"type": "object", "properties": {"$filter": {}}}
    first = sent_for(schema).sent["$filter"]
    both = sent_for({"type": "object", "properties": {"$filter": {}, first: {}}}).sent

    assert both.keys() == {"$filter"}
    assert first != both["$filter"]


def test_a_key_that_stands_in_a_value_that_may_come_back_is_not_taken():
    value = {"enum": [{"_filter_8c9e7a34": 1}, {"a": [{"_filter_8c9e7a34": 2}]}]}
    sent = sent_for({"type": "object", "properties": {"$filter": {"type": "string"}, "a": value}}).sent

    assert "_filter_8c9e7a34" not in sent.values()


def test_a_key_is_the_same_in_every_turn_and_for_every_tool():
    one = sent_for({"type": "object", "properties": {"$filter": {}, "$top": {}}}).sent
    two = sent_for({"type": "object", "properties": {"a": {"properties": {"$filter": {}}}}}).sent

    assert one["$filter"] == two["$filter"]


def test_an_answer_to_a_schema_is_told_in_the_clients_keys_and_other_texts_as_they_are():
    schema = {"type": "object", "properties": {"$filter": {"type": "string"}}}
    conversation = Conversation("m", output=OutputFormat(schema))
    sent = property_keys_for(conversation, CLAUDES)
    told = sent.to_model(conversation)
    [other] = told.output.schema["properties"]
    said = Text(f'{{"{other}":"x"}}')

    assert sent.to_client(Completion(parts=(said,))).parts == (Text('{"$filter":"x"}'),)
    assert streamed(sent, Text(), [said.text[:4], said.text[4:]]) == Text('{"$filter":"x"}')
    assert (said,) == sent_for(schema).to_client(Completion(parts=(said,))).parts
    assert said == streamed(sent_for(schema), Text(), [said.text])


@pytest.mark.parametrize("model", ["gpt-4.1", "gemini-2.5-flash", "amazon--nova-pro", "mistralai--mistral-small"])
def test_models_that_take_any_key_are_told_the_clients(model):
    conversation = spec(REFERRING)
    sent = property_keys_for(conversation, profile_for(model).odd_in_keys)
    answer = Completion(parts=(ToolCall("c", "f", '{"$filter":1}'),))

    assert (conversation, answer) == (sent.to_model(conversation), sent.to_client(answer))
    assert sent.sent == {}


def test_an_answer_that_is_no_call_is_left_alone():
    sent = sent_for(REFERRING)
    parts = (Text('{"_filter_8c9e7a34":1}'), Thinking("t", "s"), Opaque("anthropic-messages", {"type": "x"}))

    assert parts == sent.to_client(Completion(parts=parts)).parts
    assert parts == fold(golden_events(sent, Completion(parts=parts))).parts


def golden_events(sent: PropertyKeys, completion: Completion) -> list[Event]:
    class Said:
        def feed(self, _: bytes) -> list[Event]:
            return list(unfold(completion))

        def finish(self) -> list[Event]:
            return []

    return sent.reader(Said()).feed(b"")
