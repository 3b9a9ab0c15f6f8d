"""The neutral stream: its grammar, and how an answer is told in it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.conversation import (
    Completion,
    Family,
    Media,
    MediaKind,
    Opaque,
    Refusal,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from dialects.core.events import (
    BlockDelta,
    BlockStarted,
    BlockStopped,
    Failed,
    Finished,
    Started,
    UngrammaticalError,
    checked,
    fold,
    unfold,
)
from dialects.core.faults import Fault, FaultError, FaultKind

words = st.text(max_size=5)
parts = (
    st.builds(Text, words)
    | st.builds(Refusal, words)
    | st.builds(Thinking, words, words, words, st.none() | st.sampled_from(Family))
    | st.builds(ToolCall, words, words, words)
    | st.builds(Media, st.sampled_from(MediaKind), words)
    | st.just(Opaque("x", {}))
)
completions = st.builds(
    Completion,
    words,
    words,
    st.lists(parts, max_size=4).map(tuple),
    st.builds(Stop, st.sampled_from(StopReason), words, words),
    st.builds(Usage, *[st.integers(0, 9)] * 5),
)
FAULT = Fault(FaultKind.TIMEOUT, "slow")
END = Finished(Stop(), Usage())


@given(completions)
def test_an_answer_told_and_put_together_again_is_the_same(completion):
    assert fold(checked(unfold(completion))) == completion


def test_what_a_block_opens_with_is_not_lost():
    events = [
        Started("i", "m"),
        BlockStarted(0, Thinking("a", "s")),
        BlockDelta(0, "b"),
        BlockStopped(0, "t"),
        BlockStarted(1, ToolCall("i", "n", "{")),
        BlockDelta(1, "}"),
        BlockStopped(1),
        END,
    ]

    assert fold(events).parts == (Thinking("ab", "st"), ToolCall("i", "n", "{}"))


def test_a_failed_stream_is_an_error():
    with pytest.raises(FaultError) as error:
        fold([Started(), Failed(FAULT)])

    assert FAULT is error.value.fault


def test_a_model_gives_no_results():
    with pytest.raises(UngrammaticalError, match="ToolResult"):
        list(unfold(Completion(parts=(ToolResult("x"),))))


def test_a_block_that_never_started_cannot_stop():
    with pytest.raises(UngrammaticalError):
        fold([Started(), BlockStopped(0)])


@pytest.mark.parametrize(
    "events",
    [
        [Started(), END],
        [Failed(FAULT)],
        [Started(), Failed(FAULT)],
        [Started(), BlockStarted(0, Text()), Failed(FAULT)],
        [Started(), BlockStarted(0, Text()), BlockStopped(0), BlockStarted(1, Text()), BlockStopped(1), END],
    ],
)
def test_sentences_of_the_grammar(events):
    assert events == list(checked(events))


@pytest.mark.parametrize(
    "events",
    [
        [END],
        [BlockStarted(0, Text())],
        [Started(), Started()],
        [Started(), BlockDelta(0, "x")],
        [Started(), BlockStopped(0)],
        [Started(), BlockStarted(1, Text())],
        [Started(), BlockStarted(0, Text()), END],
        [Started(), BlockStarted(0, Text()), BlockDelta(0, "")],
        [Started(), BlockStarted(0, Text()), BlockDelta(1, "x")],
        [Started(), BlockStarted(0, Text()), BlockStopped(1)],
        [Started(), BlockStarted(0, Text()), BlockStopped(0), BlockStarted(0, Text())],
        [Started(), END, END],
        [Started(), Failed(FAULT), Failed(FAULT)],
    ],
)
def test_no_sentences_of_the_grammar(events):
    with pytest.raises(UngrammaticalError):
        list(checked(events))


def test_a_prompt_is_counted_before_the_answer():
    usage = Usage(1, 2, 3, 4, 2)
    first = next(unfold(Completion(usage=usage)))

    assert first == Started(usage=replace(usage, output=0, reasoning=0))
    assert (usage.prompt, usage.total) == (6, 10)
