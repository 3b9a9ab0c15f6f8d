"""What every reader promises, whatever its dialect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.conversation import Stop, Text, Thinking, ToolCall, Usage
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Failed, Finished, Started
from dialects.core.faults import Fault, FaultKind
from dialects.core.frame_reader import FrameReader
from dialects.framing.sse import Frame
from tests.dialects import golden


class Telegraph(FrameReader):
    """A dialect small enough to see through: one verb a message."""

    def read(self, message):
        match message:
            case {"start": id}:
                yield from self.start(id)
            case {"say": text, **more}:
                yield from self.extend(more.get("key", 0), Text(), text)
            case {"think": text}:
                yield from self.extend("t", Thinking(), text)
            case {"sign": text}:
                self.sign(text)
            case {"close": _}:
                yield from self.stop_block()
            case {"stop": _}:
                self.stop = Stop(raw="done")
            case {"end": _}:
                self.usage = Usage(1)
                yield from self.end()
            case {"fail": words}:
                yield from self.fail(Fault(FaultKind.OVERLOADED, words))
            case {"half": text}:
                yield from self.extend(0, Text(), text)
                raise KeyError(text)


class Broken:
    """A decoder of bytes that can hold no frame."""

    separator = b""

    def __init__(self, frames=()):
        self.frames = list(frames)

    def feed(self, data):
        if data == b"!":
            raise ValueError("no frames here")
        return self.frames

    def finish(self):
        raise ValueError("cut off")


def read(*lines, reader=None):
    data = b"".join(b"data: " + line.encode() + b"\n\n" for line in lines)
    return golden.read(reader or Telegraph(), [data])


def last_fault(events):
    assert isinstance(events[-1], Failed)
    return events[-1].fault


def test_blocks_left_open_are_closed():
    events = read('{"start":"i"}', '{"think":"a"}', '{"sign":"s"}', '{"sign":"t"}', '{"say":"b"}', '{"end":1}')

    assert events == [
        Started("i"),
        BlockStarted(0, Thinking()),
        BlockDelta(0, "a"),
        BlockStopped(0, "st"),
        BlockStarted(1, Text()),
        BlockDelta(1, "b"),
        BlockStopped(1),
        Finished(Stop(), Usage(1)),
    ]


def test_an_answer_nobody_announced_begins_by_itself():
    assert read('{"say":""}', '{"start":"late"}', '{"close":1}', '{"close":1}', '{"end":1}') == [
        Started(),
        BlockStarted(0, Text()),
        BlockStopped(0),
        Finished(Stop(), Usage(1)),
    ]
    assert isinstance(read('{"end":1}')[0], Started)


def test_a_known_stop_is_an_end_and_an_unknown_one_a_break():
    assert read('{"start":"i"}', '{"stop":1}')[-1] == Finished(Stop(raw="done"), Usage())
    assert FaultKind.STREAM_BROKEN is last_fault(read('{"start":"i"}')).kind
    assert "early" in last_fault(golden.read(Telegraph(), [])).message


@pytest.mark.parametrize("line", ["nonsense", "[1]", "{", '{"half":"a"}'])
def test_a_frame_that_makes_no_sense_ends_the_stream(line):
    events = read('{"start":"i"}', line, '{"say":"more"}')

    assert FaultKind.STREAM_BROKEN is last_fault(events).kind
    assert ("a" in line) == (BlockDelta(0, "a") in events)


def test_text_for_a_closed_block_would_tear_it_in_two():
    events = read('{"say":"a","key":1}', '{"say":"b","key":2}', '{"say":"c","key":1}')

    assert FaultKind.STREAM_BROKEN is last_fault(events).kind


def test_a_count_beyond_all_numbers_ends_the_stream():
    class Counter(Telegraph):
        def read(self, message):
            yield from self.extend(int(message["count"]), Text(), "a")

    assert FaultKind.STREAM_BROKEN is last_fault(read('{"count":1}', '{"count":1e400}', reader=Counter())).kind


def test_a_key_that_cannot_be_one_ends_the_stream():
    assert FaultKind.STREAM_BROKEN is last_fault(read('{"say":"a","key":[1]}')).kind


def test_after_the_end_nothing_is_read():
    reader = Telegraph()

    assert isinstance(reader.take(Frame('{"fail":"x"}'))[-1], Failed)
    assert reader.take(Frame('{"say":"x"}')) == []
    assert reader.finish() == []


def test_frames_that_say_nothing_are_skipped():
    class Polite(Telegraph):
        def loads(self, frame):
            return None if frame.data == "[DONE]" else super().loads(frame)

    reader = Polite()

    assert reader.take(Frame("")) == []
    assert reader.take(Frame("[DONE]")) == []
    assert reader.take(Frame('{"unknown":1}')) == []


def test_bytes_that_hold_no_frame_end_the_stream_once():
    reader = Telegraph(Broken())

    assert isinstance(reader.feed(b"!")[0], Failed)
    assert reader.feed(b"!") == []
    assert reader.finish() == []
    assert "cut off" in last_fault(Telegraph(Broken()).finish()).message


verbs = st.sampled_from(
    [
        *('{"start":"i"}', '{"say":"a"}', '{"say":"","key":1}', '{"think":"b"}', '{"sign":"s"}', '{"close":1}'),
        *('{"stop":1}', '{"end":1}', '{"fail":"x"}', '{"half":"c"}', "junk", ""),
    ]
)


@given(st.lists(verbs, max_size=10), golden.places)
def test_whatever_is_said_is_grammatical_and_does_not_depend_on_cuts(lines, places):
    data = b"".join(b"data: " + line.encode() + b"\n\n" for line in lines)

    assert golden.read(Telegraph(), golden.cut(data, places)) == golden.read(Telegraph(), [data])


def test_a_call_is_opened_with_its_name():
    class Caller(Telegraph):
        def read(self, message):
            yield from self.extend("c", ToolCall("i", "n"), message.get("text", ""))

    assert read('{"text":""}', '{"text":"{}"}', reader=Caller())[1:3] == [
        BlockStarted(0, ToolCall("i", "n")),
        BlockDelta(0, "{}"),
    ]
