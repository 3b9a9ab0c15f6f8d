"""Names that a model would refuse: what they become, and that the client never hears of it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.adapt.tool_names import ToolNames, arguments_of, call_id, fitting_name, lost_with, tool_names_for
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Completion,
    Conversation,
    Message,
    Opaque,
    Role,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.events import Event, fold, unfold
from dialects.registry import BACKENDS

TAKEN = {
    "gpt-4.1": r"[a-zA-Z0-9_-]{1,64}",
    "anthropic--claude-4.5-sonnet": r"[a-zA-Z0-9_-]{1,64}",
    "mistralai--mistral-large-instruct": r"[a-zA-Z0-9_-]{1,64}",
    "amazon--nova-pro": r"[a-zA-Z_][a-zA-Z0-9_]{0,63}",
    "cohere--command-a-reasoning": r"[a-zA-Z_][a-zA-Z0-9_]{0,63}",
    "gemini-2.5-flash": r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}",
}
"""What each vendor says of the names it takes."""
LONG = "mcp__plugin_everything_playwright__" + "browser_" * 8 + "console"
PLAIN = profile_for("gpt-4.1").odd_in_names

words = st.sampled_from(
    [
        LONG,
        LONG + "_2",
        "x" * 64,
        "x" * 65,
        "get weather",
        "get.weather",
        "get:weather",
        "get-weather",
        "7zip",
        "-",
        "ü",
        "\ud800",
    ]
)
names = words | st.text(min_size=1, max_size=140)


@st.composite
def tools(draw: st.DrawFn, odd: re.Pattern[str]) -> list[str]:
    """Names of the tools of one request; some are just what others would be called."""
    own = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    rivals = [fitting_name(name, odd) for name in own if draw(st.booleans())]
    return draw(st.permutations(list(dict.fromkeys([*own, *rivals, *(fitting_name(each, odd) for each in rivals)]))))


def conversation(offered: list[str], chosen: str = "") -> Conversation:
    """One in which each of these tools is offered, and was called."""
    calls = tuple(ToolCall(f"call_{place}", name, "{}") for place, name in enumerate(offered))
    return Conversation(
        "m",
        "anthropic-messages",
        messages=(
            Message(Role.USER, (Text("hi"),)),
            Message(Role.ASSISTANT, (Text("well"), *calls)),
            Message(Role.USER, tuple(ToolResult(call.id, (Text("done"),)) for call in calls)),
        ),
        tools=(*map(ToolSpec, offered), Opaque("anthropic-messages", {"type": "bash_20250124", "name": "bash"})),
        tool_choice=ToolChoice(ToolMode.NAMED, chosen or offered[0]),
    )


def approximate_or_reject(asked: Conversation) -> list[str]:
    """Every name a model is told."""
    calls = [part.name for part in asked.messages[1].parts if isinstance(part, ToolCall)]
    return [*(tool.name for tool in asked.tools if isinstance(tool, ToolSpec)), *calls, asked.tool_choice.name]


class Said:
    """A reader that has read this answer."""

    def __init__(self, completion: Completion) -> None:
        self._events = list(unfold(completion))

    def feed(self, data: bytes) -> list[Event]:
        return self._events[: len(data)]

    def finish(self) -> list[Event]:
        return self._events[1:]


def heard(names: ToolNames, completion: Completion) -> Completion:
    """What the client is streamed of an answer: one event, and when all is read the others."""
    reader = names.reader(Said(completion))
    return fold([*reader.feed(b"."), *reader.finish()])


@pytest.mark.parametrize("model", TAKEN)
@given(st.data())
def test_a_model_is_told_names_it_takes_and_two_tools_stay_two(model, data):
    odd = profile_for(model).odd_in_names
    asked = conversation(data.draw(tools(odd)))
    told = approximate_or_reject(tool_names_for(asked, odd).to_model(asked))

    assert [name for name in told if not re.fullmatch(TAKEN[model], name)] == []
    assert len(set(approximate_or_reject(asked))) == len(set(told))
    assert [told.index(name) for name in told] == [
        approximate_or_reject(asked).index(name) for name in approximate_or_reject(asked)
    ]


@pytest.mark.parametrize("model", TAKEN)
@given(st.data())
def test_the_client_hears_its_own_names_whole_and_streamed(model, data):
    odd = profile_for(model).odd_in_names
    asked = conversation(data.draw(tools(odd)))
    names = tool_names_for(asked, odd)
    said = Completion("i", "m", names.to_model(asked).messages[1].parts)

    assert asked.messages[1].parts == names.to_client(said).parts == heard(names, said).parts


@pytest.mark.parametrize("model", TAKEN)
@given(st.data())
def test_nothing_but_names_is_changed(model, data):
    odd = profile_for(model).odd_in_names
    asked = conversation(data.draw(tools(odd)))
    names = tool_names_for(asked, odd)
    back = ToolNames({sent: own for own, sent in names.sent.items()})

    assert asked == back.to_model(names.to_model(asked))


@pytest.mark.parametrize("model", TAKEN)
@given(st.data())
def test_names_that_are_taken_are_left_alone(model, data):
    odd = profile_for(model).odd_in_names
    fine = data.draw(st.lists(st.from_regex(TAKEN[model], fullmatch=True), min_size=1, max_size=5, unique=True))
    asked = conversation(fine)
    said = Completion(parts=asked.messages[1].parts)
    reader = Said(said)
    names = tool_names_for(asked, odd)

    assert names.sent == {}
    assert asked is names.to_model(asked)
    assert said is names.to_client(said)
    assert reader is names.reader(reader)


@given(tools(PLAIN), st.data())
def test_a_name_becomes_the_same_whatever_stands_beside_it(offered, data):
    """Caches of prompts stay warm, and a history agrees with what was streamed."""
    strange = [name for name in offered if name != fitting_name(name, PLAIN)]
    others = set(offered).difference(strange)
    alone = {name: fitting_name(name, PLAIN) for name in strange}
    sent = tool_names_for(conversation(data.draw(st.permutations(offered))), PLAIN).sent

    assert sent == tool_names_for(conversation(offered), PLAIN).sent
    assert {name for name in strange if alone[name] in others} == {n for n in strange if alone[n] != sent[n]}


def test_a_long_name_keeps_both_its_ends():
    assert re.fullmatch(r"mcp__plugin_everythi.*browser_console_[0-9a-f]{8}", fitting_name(LONG, PLAIN))
    assert len(fitting_name(LONG, PLAIN)) == 64
    assert re.fullmatch(r"get_weather_[0-9a-f]{8}", fitting_name("get weather", PLAIN))


def test_names_with_one_hash_stay_two_and_the_same_in_any_order():
    alike = [f"{'a' * 20}{number:09}{'z' * 36}" for number in (4, 42757)]
    sent = tool_names_for(conversation(alike), PLAIN).sent

    assert len({fitting_name(name, PLAIN) for name in alike}) == 1
    assert len(set(sent.values())) == 2
    assert fitting_name(alike[0], PLAIN) == sent[alike[0]]
    assert all(re.fullmatch(TAKEN["gpt-4.1"], name) for name in sent.values())


def test_a_tool_the_history_calls_is_told_even_if_it_is_offered_no_more():
    asked = replace(conversation([LONG]), tools=(ToolSpec("f"),), tool_choice=None)
    told = tool_names_for(asked, PLAIN).to_model(asked)

    assert ToolCall("call_0", fitting_name(LONG, PLAIN), "{}") == told.messages[1].parts[1]
    assert (asked.tools, None) == (told.tools, told.tool_choice)


def test_a_name_nobody_offered_goes_back_as_the_model_said_it():
    names = tool_names_for(conversation([LONG]), PLAIN)
    said = Completion("i", "m", (ToolCall("a", "invented", "{}"), ToolCall("b", LONG, "{}"), Text("x")))

    assert said.parts == names.to_client(said).parts == heard(names, said).parts


def test_no_name_is_left_to_be_refused():
    assert tool_names_for(conversation([""]), PLAIN).sent == {}


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        ({"type": "web_search"}, {"tool web_search"}),
        ({"googleSearch": {}}, {"tool googleSearch"}),
        ({}, {"tool unknown content"}),
        ({"type": "namespace", "name": "n", "tools": [{"name": "f"}, {"type": "function", "name": "g"}]}, set()),
        ({"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "f"}]}, set()),
        ({"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}, {"tool web_search"}),
        ({"type": "namespace", "name": "n", "tools": [{"type": "namespace", "name": "m"}]}, {"tool namespace"}),
        ({"type": "namespace", "name": "n", "tools": ["f"]}, {"tool unknown content"}),
        ({"type": "namespace", "tools": [{"name": "f"}]}, {"tool namespace"}),
    ],
)
def test_a_tool_that_cannot_be_carried_is_named_by_its_type(payload, names):
    assert names == lost_with(Opaque("openai-responses", payload))


@given(st.text(), st.text(), st.sampled_from([40, 64]))
def test_ids_of_calls_fit_and_stay_apart(one, other, longest):
    one, other = f"{one}{'x' * longest}", f"{other}{'x' * longest}"

    assert longest == len(call_id(one, longest))
    assert (one == other) is (call_id(one, longest) == call_id(other, longest))


@pytest.mark.parametrize("id", ["a", "x" * 40, "é b\n"])
def test_an_id_that_fits_is_kept_whatever_its_letters(id):
    assert id == call_id(id, 40)
    assert call_id(id, 40, PLAIN) == call_id(call_id(id, 40, PLAIN), 40, PLAIN)


def strings(value):
    """All strings in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


@pytest.mark.parametrize(
    ("arguments", "expected", "lost"),
    [
        ("", {}, set()),
        ("null", {}, set()),
        ('{"a": "x"}', {"a": "x"}, set()),
        ('{"a": "x', {"arguments": '{"a": "x'}, {"broken arguments"}),
        ('{"a": NaN}', {"arguments": '{"a": NaN}'}, {"broken arguments"}),
        ("[" * 100_000, {"arguments": "[" * 100_000}, {"broken arguments"}),
        ("[1]", {"arguments": [1]}, {"broken arguments"}),
        ("3", {"arguments": 3}, {"broken arguments"}),
    ],
)
def test_arguments_that_are_no_object_stand_under_one_key_and_are_named(arguments, expected, lost):
    dropped: set[str] = set()

    assert arguments_of(ToolCall("c", "f", arguments), dropped) == expected
    assert lost == dropped


@pytest.mark.parametrize(
    ("backend", "model", "lost"),
    [
        ("anthropic-messages", "anthropic--claude-4.5-sonnet", ("broken arguments",)),
        ("bedrock-converse", "anthropic--claude-4.5-sonnet", ("broken arguments",)),
        ("bedrock-converse", "amazon--nova-pro", ("broken arguments",)),
        ("gemini", "gemini-2.5-pro", ("broken arguments",)),
        ("openai-chat", "gpt-4.1", ()),
        ("openai-responses", "gpt-5.3-codex", ()),
        ("orchestration", "gpt-5", ()),
    ],
)
def test_a_call_that_was_cut_off_does_not_end_the_conversation(backend, model, lost):
    asked = conversation(["f"])
    call = ToolCall("call_0", "f", '{"city": "Par')
    turns = (asked.messages[0], Message(Role.ASSISTANT, (call,)), asked.messages[2])
    asked = replace(asked, messages=turns, tools=(ToolSpec("f"),), tool_choice=None)
    rendered = BACKENDS[backend].render_request(asked, profile_for(model))

    assert '{"city": "Par' in list(strings(rendered.body))
    assert lost == rendered.dropped
