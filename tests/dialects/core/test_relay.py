"""The seam: bytes of a backend in, bytes for a client out, and what was seen of them."""

import pytest

from dialects.core.conversation import Media, MediaKind, Opaque, Refusal, Stop, Text, Thinking, ToolCall, Usage
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Failed, Finished, Started
from dialects.core.faults import Fault, FaultKind
from dialects.core.relay import Observation, PassthroughRelay, TranslatingRelay
from dialects.framing.sse import SSEDecoder
from tests.dialects.core.test_frame_reader import Broken, Telegraph

FAULT = Fault(FaultKind.TIMEOUT, "slow")


class Scribe:
    """A client that writes down the names of events."""

    def write(self, events):
        return b"".join(type(event).__name__.encode() + b" " for event in events)


def lines(*said):
    return b"".join(b"data: " + line.encode() + b"\n\n" for line in said)


def passthrough(decoder=None):
    return PassthroughRelay(
        Telegraph(),
        decoder or SSEDecoder(),
        lambda frame, usage: frame.encode(),
        lambda fault, name: f"{name}!{fault.kind.value}".encode(),
    )


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (Text(), False),
        (Text("x"), True),
        (Refusal(), False),
        (Refusal("x"), True),
        (Thinking(), False),
        (Thinking("x"), True),
        (Thinking(redacted="x"), True),
        (ToolCall("i", "n"), True),
        (Media(MediaKind.IMAGE, "image/png"), True),
        (Opaque("x", {}), True),
    ],
)
def test_what_a_client_can_see_commits(block, says):
    seen = Observation()
    seen.observe([Started("i", "m", Usage(1)), BlockStarted(0, block)])

    assert (seen.id, seen.usage, seen.committed) == ("i", Usage(1), says)
    seen.observe([BlockStopped(0)])
    assert says == seen.committed
    seen.observe([BlockDelta(0, "x")])
    assert seen.committed


def test_an_end_commits_and_a_failure_does_not():
    finished, failed = Observation(), Observation()
    finished.observe([Finished(Stop(raw="x"), Usage(2))])
    failed.observe([Failed(FAULT, Usage(3))])

    assert (finished.committed, finished.over, finished.stop, finished.usage) == (True, True, Stop(raw="x"), Usage(2))
    assert (failed.committed, failed.over, failed.fault, failed.usage) == (False, True, FAULT, Usage(3))


def test_a_translation_reads_one_and_writes_the_other():
    relay = TranslatingRelay(Telegraph(), Scribe())

    assert relay.feed(lines('{"say":"a"}', '{"stop":1}')) == b"Started BlockStarted BlockDelta "
    assert relay.finish() == b"BlockStopped Finished "
    assert relay.abort(FAULT) == b""


def test_a_translation_says_that_it_broke_off():
    relay = TranslatingRelay(Telegraph(), Scribe())

    assert relay.abort(FAULT) == b"Failed "
    assert FAULT is relay.seen.fault


def test_passed_frames_go_by_as_they_came_and_are_watched():
    relay = passthrough()
    said = lines('{"start":"i"}', '{"say":"a"}', '{"end":1}')

    assert relay.feed(said) + relay.finish() == said
    assert relay.seen.committed
    assert relay.seen.usage == Usage(1)
    assert relay.abort(FAULT) == b""


def test_after_the_end_nothing_is_passed():
    relay = passthrough()
    said = lines('{"start":"i"}', '{"end":1}')

    assert said == relay.feed(said + lines("junk", '{"say":"a"}')) + relay.finish()


def test_the_last_frame_may_lack_its_newline():
    relay = passthrough()

    assert relay.feed(b'data: {"end":1}') == b""
    assert relay.finish() == lines('{"end":1}')


def test_a_failure_in_a_passed_stream_is_said_in_our_own_words_once():
    relay = passthrough()

    assert relay.feed(lines('{"start":"i"}', '{"fail":"x"}', '{"more":1}')) == lines('{"start":"i"}') + b"i!overloaded"
    assert relay.finish() == b""


def test_a_passed_stream_that_ends_too_early_says_so():
    relay = passthrough()

    assert relay.feed(lines('{"start":"i"}')) + relay.finish() == lines('{"start":"i"}') + b"i!stream_broken"


def test_a_passed_stream_that_is_broken_off_says_so():
    relay = passthrough()

    assert relay.abort(FAULT) == b"!timeout"
    assert relay.abort(FAULT) == b""


def test_bytes_that_hold_no_frame_are_a_failure_of_a_passed_stream():
    at_once, at_the_end = passthrough(Broken()), passthrough(Broken())

    assert at_once.feed(b"!") == b"!stream_broken"
    assert at_the_end.finish() == b"!stream_broken"
