"""What Gemini's models are asked is what Google takes, and what they cannot be told is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import gemini
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    CacheMark,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import FaultError
from dialects.gemini.request_renderer import SKIP_SIGNATURE
from tests.oracles.gemini import check_gemini_request

FLASH = profile_for("gemini-2.5-flash")
PRO = profile_for("gemini-2.5-pro")
THREE = profile_for("gemini-3.1-pro")
HELLO = Message(Role.USER, (Text("hi"),))
F = ToolSpec("f", "does f", {"type": "object", "properties": {"a": {"type": "string"}}})


def _ask(*parts, role=Role.USER, **fields):
    return Conversation("m", messages=(Message(role, parts),), **fields)


_texts = st.sampled_from(["a", " b", '{"a": 1}', '{"result": "x"}', "{}", "[1]", "{", '{"error": {"a": 1}}'])


@st.composite
def _histories(draw):
    """Conversations as a Gemini client could have had them."""
    messages, calls = [HELLO], 0
    for _ in range(draw(st.integers(0, 3))):
        said = draw(st.lists(st.sampled_from([Text("x"), Media(MediaKind.IMAGE, "image/png", "aWo=")]), max_size=2))
        thinking = [Thinking("hm", "CiQB", family=Family.GEMINI)] if draw(st.booleans()) and said else []
        count = draw(st.integers(0 if said else 1, 2))
        ids = [f"call_{calls + number + 1}" for number in range(count)]
        calls += count
        asked = [ToolCall(call, draw(st.sampled_from("fg")), '{"a":1}') for call in ids]
        messages.append(Message(Role.ASSISTANT, (*thinking, *said, *asked)))
        answers = [ToolResult(call, (Text(draw(_texts)),), draw(st.booleans())) for call in ids]
        messages.append(Message(Role.USER, (*answers, Text("and?"))))
    return tuple(messages)


def _plain(conversation: Conversation) -> Conversation:
    """Read JSON in results, so that only what it says counts."""
    text = repr(conversation)
    for spelled, plain in (('{"a": 1}', '{"a":1}'), ('{"result": "x"}', '{"result":"x"}')):
        text = text.replace(spelled, plain)
    return text.replace('{"error": {"a":1}}', '{"error":{"a":1}}')


@given(_histories(), st.sampled_from([None, 0.5]), st.sampled_from([(), (F,)]))
def test_what_is_rendered_is_understood_as_it_was_meant(messages, temperature, tools):
    conversation = Conversation(
        "gemini-2.5-flash",
        "gemini",
        (Text("s"),),
        messages,
        tools,
        ToolChoice(ToolMode.REQUIRED) if tools else None,
        Sampling(temperature=temperature, max_tokens=5),
        stream_usage=True,
    )

    rendered = gemini.render_request(conversation, FLASH)

    check_gemini_request(rendered.body)
    assert _plain(conversation) == _plain(gemini.parse_request({"model": "gemini-2.5-flash", **rendered.body}))


def test_the_ways_real_clients_speak_are_rendered_as_gemini_wants_them():
    conversation = Conversation(
        "m",
        "openai-chat",
        messages=(
            Message(Role.SYSTEM, (Text("first"),)),
            Message(Role.USER, (Text("a", CacheMark()), Text(""))),
            Message(Role.USER, (Text("b"),)),
            Message(Role.ASSISTANT, (Text(""), ToolCall("1", "f", ""), ToolCall("2", "g", "null"))),
            Message(Role.SYSTEM, (Text("late"),)),
            Message(Role.USER, (ToolResult("2", (Text("two"), Media(MediaKind.IMAGE, "", url="https://x/y"))),)),
            Message(Role.ASSISTANT, (Refusal("no"), Opaque("openai-chat", {"type": "audio"}))),
            Message(Role.USER, (Text("go"),)),
        ),
    )

    rendered = gemini.render_request(conversation, FLASH)

    check_gemini_request(rendered.body)
    assert rendered.dropped == ("audio", "cache_control")
    assert rendered.body["systemInstruction"] == {"parts": [{"text": "first"}]}
    assert rendered.body["contents"][2]["parts"][0]["functionResponse"]["response"].keys() == {"error"}
    assert rendered.body["contents"][2]["parts"][1:] == [
        {"functionResponse": {"name": "g", "response": {"result": "two"}}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/y"}},
        {"text": "<system>\nlate\n</system>"},
    ]


def test_thoughts_of_other_models_are_left_out_and_named_and_their_calls_are_marked():
    calls = (
        Thinking("hm", "Eq==", family=Family.CLAUDE),
        ToolCall("1", "f", "{}"),
        ToolCall("2", "f", "{}"),
    )
    signed = (Thinking("", "CiQB", family=Family.GEMINI), ToolCall("3", "f", "{}"))
    conversation = Conversation(
        "m",
        messages=(
            HELLO,
            Message(Role.ASSISTANT, calls[:2]),
            Message(Role.USER, (ToolResult("1", (Text("x"),)),)),
            Message(Role.ASSISTANT, (Text("done"),)),
            Message(Role.USER, (Text("now this"),)),
            Message(Role.ASSISTANT, calls),
            Message(Role.USER, (ToolResult("1", (Text("x"),)), ToolResult("2", (Text("x"),)))),
            Message(Role.ASSISTANT, signed),
            Message(Role.USER, (ToolResult("3", (Text("x"),)),)),
        ),
    )

    rendered = gemini.render_request(conversation, THREE)

    check_gemini_request(rendered.body)
    signatures = [
        [part.get("thoughtSignature") for part in content["parts"]]
        for content in rendered.body["contents"]
        if content["role"] == "model"
    ]
    assert signatures == [[None], [None], [SKIP_SIGNATURE, None], ["CiQB"]]
    assert rendered.dropped == ("thinking",)
    assert SKIP_SIGNATURE not in json.dumps(gemini.render_request(conversation, FLASH).body)


def test_signatures_stand_where_gemini_put_them():
    parts = [
        {"text": "one", "thought": True},
        {"text": "", "thoughtSignature": "AAAA"},
        {"text": "two", "thought": True},
        {"text": "x", "thoughtSignature": "BBBB"},
        {"text": "", "thoughtSignature": "CCCC"},
    ]

    conversation = gemini.parse_request({"contents": [{"parts": {"text": "hi"}}, {"role": "model", "parts": parts}]})

    assert gemini.render_request(conversation, FLASH).body["contents"][1]["parts"] == parts


@pytest.mark.parametrize(
    ("profile", "reasoning", "expected", "dropped"),
    [
        (FLASH, Reasoning(effort=Effort.NONE), {"thinkingBudget": 0}, ()),
        (PRO, Reasoning(effort=Effort.NONE), {"thinkingBudget": 128}, ("reasoning off",)),
        (FLASH, Reasoning(effort=Effort.MEDIUM, shown=False), {"thinkingBudget": 8192, "includeThoughts": False}, ()),
        (FLASH, Reasoning(effort=Effort.MAX), {"thinkingBudget": 24576}, ()),
        (PRO, Reasoning(effort=Effort.MAX), {"thinkingBudget": 32768}, ()),
        (FLASH, Reasoning(budget=2000), {"thinkingBudget": 2000, "includeThoughts": True}, ()),
        (FLASH, Reasoning(adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}, ()),
        (FLASH, Reasoning(adaptive=True, effort=Effort.LOW), {"thinkingBudget": 1024, "includeThoughts": True}, ()),
        (FLASH, Reasoning(), None, ()),
        (THREE, Reasoning(effort=Effort.NONE), {"thinkingLevel": "LOW"}, ("reasoning off",)),
        (THREE, Reasoning(effort=Effort.MEDIUM), {"thinkingLevel": "MEDIUM"}, ()),
        (profile_for("gemini-3-pro"), Reasoning(effort=Effort.MEDIUM), {"thinkingLevel": "HIGH"}, ()),
        (profile_for("gemini-3.5-flash"), Reasoning(effort=Effort.MINIMAL), {"thinkingLevel": "MINIMAL"}, ()),
        (THREE, Reasoning(budget=31999), {"thinkingLevel": "HIGH", "includeThoughts": True}, ()),
        (THREE, Reasoning(budget=1024), {"thinkingLevel": "LOW", "includeThoughts": True}, ()),
        (THREE, Reasoning(adaptive=True), {"includeThoughts": True}, ()),
        (profile_for("gemini-2.0-flash"), Reasoning(effort=Effort.HIGH), None, ("reasoning",)),
        (profile_for("gemini-2.0-flash"), Reasoning(effort=Effort.NONE), None, ()),
    ],
)
def test_a_model_is_told_how_hard_to_think_in_its_own_way(profile, reasoning, expected, dropped):
    rendered = gemini.render_request(_ask(Text("hi"), reasoning=reasoning), profile)

    check_gemini_request(rendered.body)
    assert rendered.body.get("generationConfig", {}).get("thinkingConfig") == expected
    assert dropped == rendered.dropped


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"output": OutputFormat()}, ()),
        ({"dialect": "gemini", "extra": {"labels": {"a": "b"}, "store": True}}, ("store",)),
        ({"user": "u", "cache_key": "k"}, ("prompt_cache_key", "user")),
        ({"extra": {"logit_bias": {}}, "dialect": "openai-chat"}, ("logit_bias",)),
        ({"sampling": Sampling(stop=tuple("abcdef"))}, ("stop",)),
        ({"sampling": Sampling(max_tokens=100_000)}, ("max_tokens",)),
        ({"tools": (F, Opaque("openai-responses", {"type": "web_search"}))}, ("tool web_search",)),
        ({"tools": (Opaque("x", {}),)}, ("tool unknown content",)),
        ({"tools": (ToolSpec("f", strict=True, cache=CacheMark()),)}, ("cache_control", "tools[].strict")),
        ({"tools": (F,), "tool_choice": ToolChoice(parallel=False)}, ("parallel_tool_calls",)),
        (
            {"tools": (ToolSpec("f", parameters={"properties": {"a": {"not": {}}}}),)},
            ("schema not",),
        ),
        ({"output": OutputFormat({"type": "object"}, "n", "d"), "tools": (F,)}, ("response_format",)),
        ({"output": OutputFormat(), "tools": (F,)}, ("response_format",)),
    ],
)
def test_what_gemini_does_not_take_is_named(fields, dropped):
    rendered = gemini.render_request(_ask(Text("hi"), **fields), FLASH)

    check_gemini_request(rendered.body)
    assert dropped == rendered.dropped


def test_penalties_are_kept_from_models_that_refuse_them():
    sampling = Sampling(presence_penalty=0.5, frequency_penalty=0.5, temperature=1.0)

    rendered = gemini.render_request(_ask(Text("hi"), sampling=sampling), profile_for("gemini-3.5-flash"))

    assert rendered.body["generationConfig"] == {"temperature": 1.0}
    assert rendered.dropped == ("frequency_penalty", "presence_penalty")


def test_an_attachments_name_and_detail_are_named_where_gemini_would_not_know_them():
    media = Media(MediaKind.IMAGE, "image/png", "aWo=", name="cat.png", detail="high", cache=CacheMark())

    rendered = gemini.render_request(_ask(media, Media(MediaKind.IMAGE, "image/png", "aWo=", detail="auto")), FLASH)

    assert rendered.dropped == ("cache_control", "file name", "image detail")


def test_a_schema_for_the_answer_goes_where_it_can():
    output = OutputFormat({"type": "object", "properties": {"a": {"const": "b"}}}, "n", "The answer.")

    alone = gemini.render_request(_ask(Text("hi"), output=output), FLASH).body
    with_tools = gemini.render_request(_ask(Text("hi"), output=output, tools=(F,)), THREE).body
    refused = gemini.render_request(_ask(Text("hi"), output=output, tools=(F,)), FLASH).body

    assert alone["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"a": {"enum": ["b"], "type": "string"}},
            "description": "The answer.",
        },
    }
    assert with_tools["generationConfig"] == alone["generationConfig"]
    assert "generationConfig" not in refused
    assert '"const":"b"' in refused["systemInstruction"]["parts"][-1]["text"]


@pytest.mark.parametrize("schema", [{"type": "object", "properties": {}}, {}])
def test_a_function_without_parameters_is_declared_without(schema):
    body = gemini.render_request(_ask(Text("hi"), tools=(ToolSpec("f", parameters=schema),)), FLASH).body

    assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


@pytest.mark.parametrize(
    ("conversation", "message"),
    [
        (_ask(Media(MediaKind.IMAGE, "image/png", "aWo=")), "image"),
        (_ask(Text("hi"), tools=(F,), tool_choice=ToolChoice(ToolMode.REQUIRED)), "tool_choice"),
        (Conversation("m"), "nothing"),
        (_ask(Opaque("openai-responses", {"type": "item_reference"})), "contains nothing"),
    ],
)
def test_what_would_change_the_meaning_is_refused(conversation, message):
    with pytest.raises(FaultError, match=message):
        gemini.render_request(conversation, profile_for("gemini-embedding"))


def test_turns_of_which_nothing_can_be_told_are_left_out_and_named():
    conversation = Conversation(
        "m",
        messages=(
            HELLO,
            Message(Role.ASSISTANT, (Thinking("hm"), ToolResult("x", (Text("y"),)))),
            Message(Role.USER, (Thinking("hm"), Text("and?"), Refusal("never"))),
            Message(Role.ASSISTANT, (ToolCall("1", "f", cache=CacheMark()),)),
            Message(Role.USER, (ToolResult("1", (Text("a"), Opaque("x", {}), Text("b")), cache=CacheMark()),)),
        ),
    )

    rendered = gemini.render_request(conversation, FLASH)

    assert rendered.dropped == ("cache_control", "thinking", "tool result", "unknown content")
    assert rendered.body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "user", "parts": [{"text": "and?"}, {"text": "never"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "a\nb"}}}]},
    ]


def test_a_schema_for_the_answer_may_lack_a_description():
    body = gemini.render_request(_ask(Text("hi"), output=OutputFormat({"type": "object"})), FLASH).body

    assert body["generationConfig"]["responseJsonSchema"] == {"type": "object"}


def test_a_model_that_cannot_call_is_not_given_tools():
    rendered = gemini.render_request(_ask(Text("hi"), tools=(F,)), profile_for("gemini-2.5-flash-image"))

    assert "tools" not in rendered.body
    assert rendered.dropped == ("tools",)
