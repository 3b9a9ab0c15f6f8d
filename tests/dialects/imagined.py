"""Conversations and answers in neutral words, as hypothesis imagines them: such as people and models could have."""

from dataclasses import replace

from hypothesis import strategies as st

from dialects.core.conversation import (
    CacheMark,
    Completion,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
)

QUIRKS = (
    "data: {}",
    "'it''s'",
    '"\\n"',
    "\u2028x",
    "\u200bz",
    "🦜🏽",
    "[DONE]",
    "</system>",
    "a\r\nb",
    "\x00",
    "ﬁ\u0301",
)
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "description": "d"}},
    "required": ["a"],
    "additionalProperties": False,
}

words = st.sampled_from(QUIRKS) | st.text(min_size=1, max_size=8).filter(lambda text: text.strip() == text)
marks = st.none() | st.builds(CacheMark, st.sampled_from([None, "5m", "1h"]))
texts = st.builds(Text, words, marks)
images = st.builds(Media, st.just(MediaKind.IMAGE), st.just("image/png"), st.sampled_from(["aWk=", "aWo="]))
thoughts = st.builds(Thinking, words, st.sampled_from(["RXE=", "QUJD"]), family=st.sampled_from(Family))
arguments = st.sampled_from(["{}", '{"a":1}', '{"a":"\u2028"}', '{"b":[1.5,{"c":null}]}'])
tools = st.sampled_from(
    [(), (ToolSpec("f", "does f", SCHEMA),), (ToolSpec("f", "does f", SCHEMA), ToolSpec("g", "does g", SCHEMA))]
)
choices = st.builds(
    ToolChoice,
    st.sampled_from([ToolMode.AUTO, ToolMode.REQUIRED, ToolMode.REQUIRED, ToolMode.NONE]),
    parallel=st.sampled_from([None, True, False, False]),
) | st.just(ToolChoice(ToolMode.NAMED, "f"))
samplings = st.builds(
    Sampling,
    max_tokens=st.none() | st.integers(20_000, 30_000),
    temperature=st.sampled_from([None, 0.5, 1]),
    top_p=st.sampled_from([None, 0.5]),
    top_k=st.sampled_from([None, 5]),
    stop=st.lists(st.sampled_from(["END", "\n\nHuman:"]), max_size=2, unique=True).map(tuple),
    seed=st.sampled_from([None, 7]),
    presence_penalty=st.sampled_from([None, 0.5]),
    frequency_penalty=st.sampled_from([None, 0.5]),
)
reasonings = st.sampled_from(
    [
        None,
        Reasoning(Effort.NONE),
        Reasoning(Effort.LOW),
        Reasoning(Effort.HIGH, shown=True),
        Reasoning(budget=2000, shown=True),
        Reasoning(adaptive=True),
    ]
)
outputs = st.sampled_from([None, None, OutputFormat(), OutputFormat(SCHEMA, "r", "the answer", strict=True)])


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A conversation in which calls are answered in the next turn, and the user has the last word."""
    turns = [Message(Role.USER, tuple(draw(st.lists(texts | images, min_size=1, max_size=3))))]
    for number in range(draw(st.integers(0, 3))):
        ids = [f"call_{number}{place}" for place in range(draw(st.integers(0, 2)))]
        calls = [ToolCall(own, draw(st.sampled_from("fg")), draw(arguments)) for own in ids]
        said = draw(st.lists(texts, max_size=2)) or ([] if calls else [Text("well")])
        turns.append(Message(Role.ASSISTANT, (*draw(st.lists(thoughts, max_size=1)), *said, *calls)))
        answers = [ToolResult(own, (draw(texts),), draw(st.booleans())) for own in ids]
        turns.append(Message(Role.USER, (*answers, draw(texts))))
        if draw(st.integers(0, 4)) == 0:
            turns.append(Message(Role.SYSTEM, (draw(texts),)))
            turns.append(Message(Role.USER, (draw(texts),)))
    offered = draw(tools)
    return Conversation(
        model="m",
        system=tuple(draw(st.lists(texts, max_size=2))),
        messages=tuple(turns),
        tools=offered,
        tool_choice=draw(choices | choices | st.none()) if offered else None,
        sampling=draw(samplings),
        reasoning=draw(reasonings),
        output=draw(outputs),
        stream=draw(st.booleans()),
        user=draw(st.sampled_from(["", "u"])),
        cache_key=draw(st.sampled_from(["", "k"])),
    )


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """An answer: thoughts, words and calls in any order; a refusal is the last word."""
    said = draw(
        st.lists(texts.map(_unmarked) | thoughts | st.builds(ToolCall, _ids, st.just("f"), arguments), max_size=5)
    )
    said += draw(st.lists(st.builds(Refusal, words), max_size=1))
    ids = [part.id for part in said if isinstance(part, ToolCall)]
    reasons = [StopReason.TOOL_USE] if ids else [StopReason.END, StopReason.LENGTH, StopReason.FILTERED]
    fresh, cached, output = draw(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(2, 9)))
    usage = Usage(fresh, cached, 0, output, draw(st.integers(0, 2)))
    return Completion("i", "m", tuple(said), Stop(draw(st.sampled_from(reasons))), usage)


_ids = st.uuids().map(lambda own: f"call_{own.hex[:12]}")


def _unmarked(text: Text) -> Text:
    return replace(text, cache=None)
