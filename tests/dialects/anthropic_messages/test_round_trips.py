"""Anthropic's messages: what is written is understood as it was meant."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import anthropic_messages as messages
from dialects.core.conversation import (
    CacheMark,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Reasoning,
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
from tests.dialects.anthropic_bodies import SONNET_46, passed_request, rendered, said

words = st.text(min_size=1, max_size=8).filter(lambda value: value.strip() == value)
marks = st.none() | st.builds(CacheMark, st.none() | st.sampled_from(["5m", "1h"]))
parts = st.builds(Text, words) | st.builds(Media, st.just(MediaKind.IMAGE), st.just("image/png"), st.just("aWk="))
thoughts = st.builds(Thinking, words, words, family=st.just(Family.CLAUDE)) | st.builds(
    Thinking, redacted=words, family=st.just(Family.CLAUDE)
)


@st.composite
def conversations(draw):
    """Conversations that Anthropic messages can say in full."""
    turns = [said(*draw(st.lists(parts, min_size=1, max_size=3)))]
    for number in range(draw(st.integers(0, 3))):
        ids = [f"t{number}{index}" for index in range(draw(st.integers(0, 2)))]
        calls = [ToolCall(one, "f", '{"a":1}') for one in ids]
        turns.append(
            said(
                *draw(st.lists(thoughts, min_size=len(ids[:1]), max_size=2)),
                *draw(st.lists(st.builds(Text, words), min_size=1, max_size=2)),
                *calls,
                role=Role.ASSISTANT,
            )
        )
        answers = [ToolResult(one, (draw(parts),), draw(st.booleans())) for one in ids]
        turns.append(said(*answers, *draw(st.lists(parts, min_size=1, max_size=2))))
    tools = (ToolSpec("f", "d", {"type": "object", "properties": {}}, cache=draw(marks)),)
    return Conversation(
        model="m",
        dialect="anthropic-messages",
        system=tuple(draw(st.lists(st.builds(Text, words, marks), max_size=2))),
        messages=tuple(turns),
        tools=tools,
        tool_choice=draw(st.none() | st.just(ToolChoice(ToolMode.AUTO, parallel=False))),
        sampling=Sampling(draw(st.integers(40000, 50000)), stop=tuple(draw(st.lists(words, max_size=2)))),
        reasoning=draw(
            st.none()
            | st.just(Reasoning(adaptive=True, shown=True))
            | st.just(Reasoning(Effort.LOW, budget=2000, shown=True))
            | st.just(Reasoning(Effort.HIGH, for_answer=True))
        ),
    )


@given(conversations())
@settings(max_examples=50)
def test_what_is_written_is_understood_as_it_was_meant(conversation):
    written = rendered(conversation, SONNET_46)
    again = messages.parse_request(written.body | {"model": "m"})

    assert written.dropped == ()
    assert replace(again, extra={}) == conversation
    assert again.extra == {"anthropic_version": "bedrock-2023-05-31"}


@given(conversations())
@settings(max_examples=30)
def test_forwarding_what_was_written_changes_nothing(conversation):
    written = rendered(conversation, SONNET_46).body

    assert passed_request(written, SONNET_46).body == written
