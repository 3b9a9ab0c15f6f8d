"""Reading in a thread of its own."""

import threading

import pytest

from dialects.faults import Fault, FaultError, FaultKind
from gateway.upstream.pump import Pump, Quiet
from tests.support.scripted import HANG, ScriptedUpstream

BROKEN = Fault(FaultKind.STREAM_BROKEN, "cut")


def taken(pump: Pump) -> bytes:
    whole = b""
    while (chunk := pump.take(5)) is not None:
        whole += chunk
    return whole


def test_what_goes_in_comes_out_in_order() -> None:
    chunks = [str(number).encode() for number in range(1000)]
    pump = Pump(lambda: ScriptedUpstream(chunks), room=3)

    assert "text/event-stream" == pump.content_type(5)
    assert b"".join(chunks) == taken(pump)


def test_a_fault_comes_after_what_was_read_before_it() -> None:
    pump = Pump(lambda: ScriptedUpstream([b"a", b"b", BROKEN]))
    assert pump.join(5)

    assert b"ab" == pump.take(5)
    with pytest.raises(FaultError, match="cut"):
        pump.take(5)


def test_a_connection_that_fails_says_so_instead_of_a_head() -> None:
    def fail() -> ScriptedUpstream:
        raise FaultError(Fault(FaultKind.UNREACHABLE, "no route"))

    pump = Pump(fail)

    with pytest.raises(FaultError, match="no route"):
        pump.content_type(5)


def test_nothing_within_the_time_given_is_quiet_and_not_an_end() -> None:
    upstream = ScriptedUpstream([HANG])
    pump = Pump(lambda: upstream)
    pump.content_type(5)

    with pytest.raises(Quiet):
        pump.take(0.01)
    pump.close()

    assert pump.join(5)
    assert 1 == upstream.closed


def test_no_head_within_the_time_given_is_quiet() -> None:
    opening = threading.Event()

    def open_late() -> ScriptedUpstream:
        opening.wait(5)
        return ScriptedUpstream([b"late"])

    pump = Pump(open_late)
    with pytest.raises(Quiet):
        pump.content_type(0.01)
    opening.set()

    assert b"late" == taken(pump)


def test_a_pump_closed_while_it_connects_closes_what_it_then_gets() -> None:
    opening = threading.Event()
    upstream = ScriptedUpstream([b"unwanted"])

    def open_late() -> ScriptedUpstream:
        opening.wait(5)
        return upstream

    pump = Pump(open_late)
    pump.close()
    opening.set()

    assert pump.join(5)
    assert 1 == upstream.closed
    assert pump.take(0) is None


def test_a_reader_that_falls_behind_holds_the_writer_up() -> None:
    read: list[bytes] = []

    class Counting(ScriptedUpstream):
        def __iter__(self):
            for chunk in super().__iter__():
                read.append(chunk)
                yield chunk

    pump = Pump(lambda: Counting([b"x"] * 50), room=4)
    pump.content_type(5)
    assert not pump.join(0.1)

    assert len(read) <= 5
    assert b"x" * 50 == taken(pump)


def test_closing_frees_a_pump_that_waits_for_room() -> None:
    upstream = ScriptedUpstream([b"x"] * 50)
    pump = Pump(lambda: upstream, room=1)
    pump.content_type(5)
    pump.close()

    assert pump.join(5)
    assert 1 == upstream.closed


def test_a_released_pump_reads_on_to_the_end_and_keeps_nothing() -> None:
    ended = threading.Event()

    class Ending(ScriptedUpstream):
        def __iter__(self):
            yield from super().__iter__()
            ended.set()

    pump = Pump(lambda: Ending([b"x"] * 50), room=1)
    pump.content_type(5)
    pump.release()

    assert pump.join(5)
    assert ended.is_set()


def test_a_released_pump_does_not_follow_an_answer_without_an_end() -> None:
    upstream = ScriptedUpstream([b"word", *[b": ping"] * 1000, HANG])
    pump = Pump(lambda: upstream, room=5)
    pump.content_type(5)
    pump.release()

    assert pump.join(5)
    assert 1 == upstream.closed
