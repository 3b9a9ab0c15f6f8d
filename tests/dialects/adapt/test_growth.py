"""No conversation and no schema makes an adaptation more than linear: 16 times as much takes about 16 times as long."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import pytest

from dialects.adapt import claude_limits, turn_order
from dialects.adapt.claude_tools import called_in, input_schema, json_tool, needs_json_tool, novas_schema
from dialects.adapt.json_root import JsonRoot, within_object
from dialects.adapt.media_turns import with_media_moved
from dialects.adapt.property_keys import PropertyKeys, property_keys_for, renamed_schema
from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.schema_references import is_recursive, without_references
from dialects.adapt.schemas import for_gemini, for_openai, from_google, keys_of_properties
from dialects.adapt.token_estimate import estimate_tokens
from dialects.adapt.tool_choice import check_choice
from dialects.adapt.tool_names import narrowed, tool_names_for, without_duplicates
from dialects.adapt.unasked_thinking import before_their_calls
from dialects.adapt.unsupported import approximate_or_reject
from dialects.capabilities.models import ODD_IN_NAMES, profile_for
from dialects.converters.short_forms import joined
from dialects.core.conversation import JSON, Conversation, OutputFormat, Text, ToolChoice, ToolMode, ToolSpec
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Event, Started
from dialects.core.faults import FaultError
from dialects.openai_common.request_parser import split_instructions
from dialects.openai_common.request_renderer import answered
from dialects.openai_common.strict_schemas import is_strict
from dialects.openai_common.tool_forms import InputText
from dialects.orchestration.limits import with_marks_moved
from gateway.requests.affinity import affinity_key
from tests.dialects.lengthening import CONVERSATIONS
from tests.support.growth import Case, must_all_be_linear

pytestmark = pytest.mark.repeats

ODD = profile_for("anthropic--claude-4.5-sonnet").odd_in_keys


def renamed(conversation: Conversation) -> None:
    keys, names = property_keys_for(conversation, ODD), tool_names_for(conversation, ODD_IN_NAMES)
    keys.to_model(names.to_model(conversation))


def chosen(conversation: Conversation) -> None:
    check_choice(replace(conversation, tool_choice=ToolChoice(ToolMode.NAMED, "f")), lambda _: False)


def thoughts_moved(conversation: Conversation) -> None:
    for message in conversation.messages:
        before_their_calls(message.parts)


def narrowed_to_all(conversation: Conversation) -> None:
    narrowed(conversation.tools, {tool.name for tool in conversation.tools if isinstance(tool, ToolSpec)}, "tools")


FUNCTIONS: Mapping[str, Callable[[Conversation], object]] = {
    "turns": turn_order.ordered,
    "answered calls": lambda conversation: answered(conversation.messages),
    "instructions": lambda conversation: split_instructions(conversation.messages),
    "names and keys": renamed,
    "duplicate tools": without_duplicates,
    "allowed tools": narrowed_to_all,
    "tool choice": chosen,
    "called tools": lambda conversation: called_in(conversation.messages),
    "approximations": approximate_or_reject,
    "media": lambda conversation: with_media_moved(conversation, str, set()),
    "unsupported parts": lambda conversation: claude_limits.without_unsupported_parts(conversation, "", thoughts=True),
    "cache marks": lambda conversation: claude_limits.with_limited_cache_marks(conversation, in_results=True),
    "moved marks": lambda conversation: with_marks_moved(conversation, set()),
    "thoughts": thoughts_moved,
    "tokens": estimate_tokens,
    "short forms": lambda conversation: joined(conversation, "\n"),
    "affinity": lambda conversation: affinity_key(conversation, {}),
}
"""Everything that goes over a whole conversation."""


@lru_cache(maxsize=3)
def conversation(kind: str, times: int) -> Conversation:
    return CONVERSATIONS[kind](times)


def refused_or(function: Callable[[Any], object], given: Any) -> None:
    with suppress(FaultError):
        function(given)


def adaptations(kind: str) -> Iterator[Case]:
    """Adapt long conversations of a kind."""
    for name, function in FUNCTIONS.items():
        yield Case(f"{name}: {kind}", 250, partial(conversation, kind), partial(refused_or, function))


# --- Schemas

OBJECT: JSON = {"type": "object"}


def nested(times: int, around: Callable[[JSON], JSON]) -> JSON:
    schema: JSON = {**OBJECT, "properties": {"$a": {"type": "string"}}}
    for _ in range(min(times, 60)):
        schema = around(schema)
    return schema


def wide(times: int) -> JSON:
    return {**OBJECT, "properties": {f"$p{i}": {"type": "string"} for i in range(times)}}


SCHEMAS: Mapping[str, Callable[[int], JSON]] = {
    "wide": lambda n: {**wide(n), "required": [f"$p{i}" for i in range(n)]},
    "wide and deep": lambda n: nested(20, lambda inner: {**wide(n // 20), "items": inner}),
    "wide below a tower of conjunctions": lambda n: nested(20, lambda inner: {"allOf": [inner, wide(n // 20)]}),
    "wide below a tower of choices": lambda n: nested(20, lambda inner: {"anyOf": [inner, wide(n // 20)]}),
    "conjunction": lambda n: {
        "allOf": [{**OBJECT, "properties": {f"$p{i}": {}}, "required": [f"p{i}"]} for i in range(n)]
    },
    "conjunction of references": lambda n: {
        "allOf": [{"$ref": f"#/$defs/d{i}"} for i in range(n)],
        "$defs": {f"d{i}": {"properties": {f"p{i}": {}}, "required": [f"p{i}"]} for i in range(n)},
    },
    "choice": lambda n: {"anyOf": [{**OBJECT, "properties": {"a": {"const": i}}, "required": ["a"]} for i in range(n)]},
    "choice of objects": lambda n: {"oneOf": [{**OBJECT, "properties": {f"p{i}": {}}} for i in range(n)]},
    "required by all": lambda n: {
        "anyOf": [{"required": [f"p{i}" for i in range(n)]}, {"required": [f"p{i}" for i in range(n)][::-1]}]
    },
    "chain of references": lambda n: {
        "$ref": "#/$defs/d0",
        "$defs": {f"d{i}": {"$ref": f"#/$defs/d{i + 1}", "properties": {f"p{i}": {}}} for i in range(n)},
    },
    "references to one definition": lambda n: {
        **OBJECT,
        "properties": {f"p{i}": {"$ref": "#/$defs/d"} for i in range(n)},
        "$defs": {"d": wide(3)},
    },
    "references into a list": lambda n: {
        **OBJECT,
        "properties": {f"p{i}": {"$ref": f"#/anyOf/{n - 1}"} for i in range(n)},
        "anyOf": [{**OBJECT, "title": str(i)} for i in range(n)],
    },
    "references without end": lambda n: {
        **OBJECT,
        "properties": {f"p{i}": {"$ref": "#"} for i in range(n)},
    },
    "enumeration": lambda n: {**OBJECT, "properties": {"a": {"enum": [*range(n), *map(str, range(n)), None]}}},
    "patterns": lambda n: {**OBJECT, "patternProperties": {f"^{i}": {"pattern": "a*" * 3} for i in range(n)}},
    "long keys": lambda n: {**OBJECT, "properties": {f"${i}" * 30: {} for i in range(n // 4)}},
    "keys that collide": lambda n: {**OBJECT, "properties": {f"{'$' * 70}{'a' * 70}{i}": {} for i in range(n // 4)}},
}
"""Large schemas, by what there is much of."""


def declared(schema: JSON) -> Conversation:
    return Conversation("m", tools=(ToolSpec("f", parameters=schema),), output=OutputFormat(schema))


ADAPTERS: Mapping[str, Callable[[JSON], object]] = {
    "Gemini": for_gemini,
    "Google": from_google,
    "OpenAI": lambda schema: (for_openai(schema, choices=False), for_openai(schema, choices=True)),
    "strict": is_strict,
    "Claude": input_schema,
    "Nova": lambda schema: novas_schema(ToolSpec("f", parameters=schema), SchemaBudget()),
    "references": without_references,
    "recursion": is_recursive,
    "JSON": lambda schema: (needs_json_tool(OutputFormat(schema), native=True), json_tool(OutputFormat(schema))),
    "root": within_object,
    "keys": lambda schema: (keys_of_properties([schema]), renamed_schema(schema, {"$p1": "p1"})),
    "tokens": lambda schema: estimate_tokens(declared(schema)),
}
"""Everything that goes over a whole schema."""


@lru_cache(maxsize=3)
def schema(kind: str, times: int) -> JSON:
    return SCHEMAS[kind](times)


def adapters(kind: str) -> Iterator[Case]:
    """Adapt large schemas of a kind."""
    for name, function in ADAPTERS.items():
        yield Case(f"{name}: {kind}", 120, partial(schema, kind), partial(refused_or, function))


# --- Texts that a filter reads piece by piece

TEXTS: Mapping[str, Callable[[int], str]] = {
    "keys": lambda n: '{"_a_1": 1, ' * (n // 10),
    "blanks after a key": lambda n: '{"_a_1"' + " " * n + ": 1}",
    "blanks around a value": lambda n: (" " * n).join(["", "{", '"value"', ":", "[1]", "}", ""]),
    "blanks around an input": lambda n: (" " * n).join(["", "{", '"input"', ":", '"x"', "}", ""]),
    "escapes": lambda n: '{"input": "' + "\\u00e9\\n" * (n // 8) + '"}',
    "brackets": lambda n: '{"value": ' + "[" * n + "]" * n + "}",
    "blanks only": lambda n: " " * n,
}
"""Long texts, by what is long in them."""
LENGTHS = {"blanks after a key": 6000, "blanks only": 6000}
"""The lengths of texts that are held back whole, and copied fast."""


class Pieces:
    """A reader of a stream in which each chunk is a piece of one text."""

    def __init__(self) -> None:
        self._has_begun = False

    def feed(self, data: bytes) -> list[Event]:
        delta = BlockDelta(0, data.decode())
        begun, self._has_begun = self._has_begun, True
        return [delta] if begun else [Started(), BlockStarted(0, Text()), delta]

    def finish(self) -> list[Event]:
        return [BlockStopped(0)]


def read_whole(adaptation: PropertyKeys | JsonRoot, data: bytes) -> None:
    reader = adaptation.reader(Pieces())
    reader.feed(data)
    reader.finish()


def read_in_pieces(pieces: list[str]) -> None:
    text = InputText()
    for piece in pieces:
        text.feed(piece)
    text.finish()


def filters() -> Iterator[Case]:
    """Filter long texts, which filters read by the character, or in pieces of one character."""
    whole = {"renamed keys": PropertyKeys({"$a": "_a_1"}, in_text=True), "a value": JsonRoot({})}
    for kind, build in TEXTS.items():
        for name, adaptation in whole.items():
            made = partial(encoded_text, build)
            yield Case(f"{name}: {kind}", LENGTHS.get(kind, 400), made, partial(read_whole, adaptation))
        yield Case(f"an input: {kind}", 200, partial(characters, build), read_in_pieces)


def encoded_text(build: Callable[[int], str], times: int) -> bytes:
    return build(times).encode()


def characters(build: Callable[[int], str], times: int) -> list[str]:
    return [*build(times)]


@pytest.mark.parametrize("cases", [pytest.param([*adaptations(kind)], id=kind) for kind in CONVERSATIONS])
def test_the_time_of_an_adaptation_grows_with_the_conversation(cases: list[Case]) -> None:
    must_all_be_linear(cases)


@pytest.mark.parametrize("cases", [pytest.param([*adapters(kind)], id=kind) for kind in SCHEMAS])
def test_the_time_of_an_adaptation_grows_with_the_schema(cases: list[Case]) -> None:
    must_all_be_linear(cases)


def test_the_time_of_a_filter_grows_with_its_pieces() -> None:
    must_all_be_linear(filters())
