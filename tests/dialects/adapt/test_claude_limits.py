"""What Claude insists on: thinking, length, drawing, turns and tools."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.adapt import claude_limits, claude_tools, turn_order
from dialects.adapt.attachments import check, image_type, text_of
from dialects.adapt.claude_limits import AcceptedSettings, RequestedSettings, reconcile
from dialects.adapt.token_estimate import estimate_tokens
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import FaultError

HAIKU_3 = profile_for("anthropic--claude-3-haiku")
SONNET_4 = profile_for("anthropic--claude-4-sonnet")
SONNET_45 = profile_for("anthropic--claude-4.5-sonnet")
SONNET_46 = profile_for("anthropic--claude-4.6-sonnet")
OPUS_47 = profile_for("anthropic--claude-4.7-opus")
ADAPTIVE, OFF = {"type": "adaptive"}, {"type": "disabled"}


def enabled(budget):
    return {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    ("profile", "wish", "planned"),
    [
        (SONNET_4, RequestedSettings(100), AcceptedSettings(100)),
        (SONNET_4, RequestedSettings(), AcceptedSettings(16384)),
        (HAIKU_3, RequestedSettings(9000), AcceptedSettings(4096, dropped=frozenset({"max_tokens"}))),
        (SONNET_4, RequestedSettings(100, enabled(2000)), AcceptedSettings(100, dropped=frozenset({"thinking"}))),
        (SONNET_4, RequestedSettings(1000, ADAPTIVE, "high"), AcceptedSettings(1000, dropped=frozenset({"thinking"}))),
        (
            SONNET_4,
            RequestedSettings(3000, enabled(9000)),
            AcceptedSettings(3000, enabled(1500), dropped=frozenset({"thinking.budget_tokens"})),
        ),
        (
            SONNET_46,
            RequestedSettings(2048, enabled(2048), "high"),
            AcceptedSettings(2048, enabled(1024), "high", dropped=frozenset({"thinking.budget_tokens"})),
        ),
        (SONNET_4, RequestedSettings(3000, enabled(10)), AcceptedSettings(3000, enabled(1024))),
        (SONNET_4, RequestedSettings(60000, ADAPTIVE, "low"), AcceptedSettings(60000, enabled(4096))),
        (SONNET_4, RequestedSettings(60000, ADAPTIVE, "odd"), AcceptedSettings(60000, enabled(16384))),
        (SONNET_4, RequestedSettings(9, OFF), AcceptedSettings(9, OFF)),
        (HAIKU_3, RequestedSettings(9, OFF), AcceptedSettings(9)),
        (HAIKU_3, RequestedSettings(9, ADAPTIVE, "high"), AcceptedSettings(9, dropped=frozenset({"thinking"}))),
        (
            SONNET_4,
            RequestedSettings(9, None, "high"),
            AcceptedSettings(9, dropped=frozenset({"output_config.effort"})),
        ),
        (SONNET_4, RequestedSettings(9, ADAPTIVE, forced=True), AcceptedSettings(9, dropped=frozenset({"thinking"}))),
        (
            SONNET_4,
            RequestedSettings(9, enabled(1024), unsigned_calls=True),
            AcceptedSettings(9, dropped=frozenset({"thinking"})),
        ),
        (SONNET_46, RequestedSettings(9, enabled(1024), unsigned_calls=True), AcceptedSettings(9, ADAPTIVE, "low")),
        (SONNET_46, RequestedSettings(9, ADAPTIVE, "xhigh"), AcceptedSettings(9, ADAPTIVE, "high")),
        (OPUS_47, RequestedSettings(9, ADAPTIVE, "xhigh"), AcceptedSettings(9, ADAPTIVE, "xhigh")),
        (OPUS_47, RequestedSettings(9, enabled(4096)), AcceptedSettings(9, ADAPTIVE, "low")),
        (OPUS_47, RequestedSettings(9, enabled(9000)), AcceptedSettings(9, ADAPTIVE, "medium")),
        (OPUS_47, RequestedSettings(9, enabled(31999)), AcceptedSettings(9, ADAPTIVE)),
        (OPUS_47, RequestedSettings(9, temperature=1, top_p=1), AcceptedSettings(9)),
        (
            OPUS_47,
            RequestedSettings(9, temperature=0, top_p=0.5, top_k=1),
            AcceptedSettings(9, dropped=frozenset({"temperature", "top_p", "top_k"})),
        ),
        (
            SONNET_45,
            RequestedSettings(9, temperature=0, top_p=0.5),
            AcceptedSettings(9, temperature=0, dropped=frozenset({"top_p"})),
        ),
        (SONNET_45, RequestedSettings(9, top_p=0.5, top_k=3), AcceptedSettings(9, top_p=0.5, top_k=3)),
        (SONNET_4, RequestedSettings(9, temperature=0, top_p=0.5), AcceptedSettings(9, temperature=0, top_p=0.5)),
        (
            SONNET_4,
            RequestedSettings(9, temperature=2),
            AcceptedSettings(9, temperature=1, dropped=frozenset({"temperature above 1"})),
        ),
    ],
)
def test_what_is_wished_is_reconciled_with_what_the_model_takes(profile, wish, planned):
    assert planned == reconcile(wish, profile)


def test_thinking_fits_into_the_longest_answer():
    capped = replace(SONNET_4, max_output=4000)

    assert AcceptedSettings(4000, enabled(2000)) == reconcile(RequestedSettings(None, enabled(20000)), capped)
    assert AcceptedSettings(
        4000, enabled(2000), dropped=frozenset({"max_tokens", "thinking.budget_tokens"})
    ) == reconcile(RequestedSettings(9000, enabled(5000)), capped)


@given(
    st.builds(
        RequestedSettings,
        st.none() | st.integers(1, 200_000),
        st.sampled_from([None, ADAPTIVE, OFF, enabled(1), enabled(50_000), {"type": "between_tools"}]),
        st.sampled_from([None, "low", "xhigh", "odd"]),
        st.none() | st.floats(0, 2),
        st.none() | st.floats(0, 1),
        st.none() | st.integers(1, 9),
        st.booleans(),
        st.booleans(),
    ),
    st.sampled_from([HAIKU_3, SONNET_4, SONNET_45, SONNET_46, OPUS_47]),
)
def test_no_wish_leads_to_a_plan_that_claude_refuses(wish, profile):
    made = reconcile(wish, profile)
    thinking = made.thinking or {}

    assert thinking.get("budget_tokens", 0) < made.max_tokens <= (wish.max_tokens or made.max_tokens)
    assert not (claude_limits.is_on(made.thinking) and (wish.forced or made.temperature is not None or made.top_k))
    assert made.temperature is None or made.temperature <= 1
    assert profile.effort or made.effort is None


def said(role, *parts):
    return Message(role, parts)


U, A, S = Role.USER, Role.ASSISTANT, Role.SYSTEM
HI = said(U, Text("hi"))


def ordered(*messages):
    return turn_order.ordered(Conversation("m", system=(Text("s"),), messages=messages))


def test_system_messages_find_their_place():
    system, messages = ordered(said(S, Text("first"), Refusal("odd")), HI, said(S, Text("late"), Refusal("odd")))

    assert system == (Text("s"), Text("first"))
    assert messages == (said(U, Text("hi"), Text("<system>\nlate\n</system>"), Refusal("odd")),)


def test_turns_alternate_and_the_user_begins():
    _, messages = ordered(said(A, Text("hello")), said(A, Text(" "), Text("there")), HI, HI, said(A), HI)

    assert [message.role for message in messages] == [U, A, U]
    assert messages[1].parts == (Text("hello"), Text("there"))


def test_results_come_first_and_answer_every_call():
    calls = said(A, ToolCall("a", "f"), ToolCall("b", "f"), ToolCall("c", "f"))
    first, second = ToolResult("c", (Text("1"),)), ToolResult("a", (Text("2"),))
    _, messages = ordered(HI, calls, said(U, Text("by the way"), first), said(U, second, second, ToolResult("x")))

    assert messages[2].parts == (
        second,
        ToolResult("b", (Text(turn_order.NO_RESULT),), is_error=True),
        first,
        Text("by the way"),
        Text("2"),
        Text("(an empty tool result)"),
    )


def test_a_call_at_the_end_is_answered_too():
    _, messages = ordered(HI, said(A, ToolCall("a", "f")))

    assert messages[2] == said(U, ToolResult("a", (Text(turn_order.NO_RESULT),), is_error=True))


def test_nothing_said_is_nothing_to_answer():
    with pytest.raises(FaultError, match="nothing to answer"):
        ordered(said(U, Text(" ")))


@pytest.mark.parametrize("id", ["a", "b c", "ü", "", "x" * 65, "x" * 64 + "y"])
def test_ids_become_legal_and_stay_different(id):
    legal = claude_tools.call_id(id)

    assert 0 < len(legal) <= 64
    assert legal.isascii()
    assert (legal == id) == (id == "a")


def test_unsigned_calls_are_noticed():
    call, thought = ToolCall("a", "f"), Thinking("t", "s")

    assert not claude_limits.unsigned_calls((HI,))
    assert not claude_limits.unsigned_calls((HI, said(A, Text("x")), HI))
    assert claude_limits.unsigned_calls((HI, said(A, call), HI))
    assert not claude_limits.unsigned_calls((HI, said(A, thought, call), HI))


@pytest.mark.parametrize(
    ("schema", "native"),
    [
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}}, True),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "object"}}}, False),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"minimum": 1}]}}, False),
        ({"$defs": {"a": {"type": "object", "additionalProperties": False}}, "$ref": "#/$defs/a"}, True),
        ({"$defs": 3}, True),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}}, False),
        ({"items": {"$ref": "#"}}, False),
    ],
)
def test_which_schemas_claudes_own_json_mode_takes(schema, native):
    assert native != claude_tools.needs_json_tool(OutputFormat(schema), native=True)
    assert claude_tools.needs_json_tool(OutputFormat(schema), native=False)
    assert not claude_tools.needs_json_tool(None, native=True)


def test_the_tool_for_json_says_what_is_wanted():
    named = claude_tools.json_tool(OutputFormat({"type": "object", "properties": {"a": {}}}, "recipe"))

    assert named.description == "Give the answer. recipe"
    assert named.parameters == {"type": "object", "properties": {"a": {}}}


def test_attachments():
    picture = Media(MediaKind.IMAGE, "image/JPG", data="aWk=", detail="high")

    assert check(picture, SONNET_4) == {"image detail"}
    assert check(replace(picture, detail="auto"), SONNET_4) == set()
    assert image_type(picture, SONNET_4) == "image/jpeg"
    assert text_of(Media(MediaKind.DOCUMENT, "text/markdown; charset=utf-8", data="/w==")) == "\ufffd"
    assert text_of(Media(MediaKind.DOCUMENT, "application/pdf", data="/w==")) is None
    with pytest.raises(FaultError, match=r"image, but model anthropic--claude-4-sonnet cannot fetch"):
        check(replace(picture, mime="", url="https://x"), SONNET_4)
    with pytest.raises(FaultError, match="does not support it"):
        check(picture, replace(SONNET_4, images=False))


def test_tokens_are_estimated_for_everything_that_is_read():
    image, pdf = Media(MediaKind.IMAGE, "image/png", data="a"), Media(MediaKind.DOCUMENT, "application/pdf", data="a")
    conversation = Conversation(
        "m",
        system=(Text("x" * 35),),
        messages=(
            said(U, image, pdf, Media(MediaKind.DOCUMENT, "text/plain", data="x" * 140), Opaque("x", {})),
            said(A, Thinking("x" * 7), Refusal("x" * 7), ToolCall("a", "x" * 7, "x" * 7)),
            said(U, ToolResult("a", (Text("x" * 7),))),
        ),
        tools=(ToolSpec("x" * 7, "x" * 7, {}), Opaque("x", {})),
        output=OutputFormat({}),
    )
    prompt = 10 + 3 * 4 + 1500 + 1500 + 30 + 1 + 2 + 2 + 12 + 4 + 12 + 2

    assert estimate_tokens(conversation) == prompt + 300 + 12 + 4 + 1 + 1
    assert estimate_tokens(replace(conversation, output=OutputFormat({"a": 1}))) == estimate_tokens(conversation) + 2
    assert (
        estimate_tokens(
            Conversation("m", messages=(said(U, Media(MediaKind.VIDEO, "video/mp4", data="x" * 1_000_000)),))
        )
        == 754
    )
