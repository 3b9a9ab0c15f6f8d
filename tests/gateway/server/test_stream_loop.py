"""Many streams in one loop: what comes goes out at once, and what befalls one of them befalls no other."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dialects.core.faults import FaultError
from gateway.requests.lifetime import Lifetime
from gateway.server.watch import Watch
from tests.gateway.server import streams
from tests.gateway.server.streams import END, MUCH, POLLS, WRITE_TIMEOUT, Body, Stage, Stream, Unpacking, told_first
from tests.support.processes import until


@pytest.fixture(params=POLLS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(watch=Watch(POLLS[request.param]()))
    yield stage
    stage.close()


# Passing on


def test_what_an_upstream_sends_goes_to_its_client_at_once(stage: Stage) -> None:
    one, other = stage.begin(), stage.begin()
    stage.turn()
    heard = []
    for word in (b"a", b"b", b"c"):
        one.upstream.send(word)
        stage.turn()
        heard.append((one.heard, other.heard))

    assert heard == [(b"a", b""), (b"b", b""), (b"c", b"")]
    assert not stage.tells()


def test_what_had_come_before_the_hand_over_is_passed_on_first(stage: Stage) -> None:
    stream = stage.begin()
    stream.upstream.send(b"early")
    stage.turn()

    assert stream.heard == b"early"


@pytest.mark.parametrize("before", [b"", b"last"], ids=["alone", "with-the-last-words"])
def test_the_end_of_an_upstream_ends_the_response_once_and_is_watched_no_more(stage: Stage, before: bytes) -> None:
    stream = stage.begin()
    stage.turn()
    stream.upstream.send(before)
    stream.upstream.close()
    for _ in range(3):
        stage.turn()

    assert stream.heard == before + END
    assert stream.ends == [True]
    assert stage.watched == 0
    assert stream.response.connection.waits_to_send


def test_a_body_that_ends_with_its_last_words_needs_no_end_of_its_upstream(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    stream.upstream.send(b"last.")
    stage.turn()

    assert (stream.heard, stream.ends, stage.watched) == (b"last.|", [True], 0)


def test_a_body_that_was_over_when_it_was_handed_over_ends_at_once(stage: Stage) -> None:
    stream = stage.begin()
    stream.upstream.send(b"all.")
    stage.turn()

    assert (stream.heard, stream.ends, stage.watched) == (b"all.|", [True], 0)


def test_all_pieces_of_what_has_come_are_passed_on_without_another_word_of_the_upstream(stage: Stage) -> None:
    stream = stage.begin(Unpacking)
    stage.turn()
    stream.upstream.send(b"ab")
    stage.turn()

    assert stream.heard == b"ababab"
    stream.upstream.send(b"c")
    stage.turn()
    assert stream.heard == b"ccc"


def test_a_thread_of_its_own_passes_on_what_any_thread_adds_until_it_is_closed(stage: Stage) -> None:
    early = stage.begin()
    stage.loop.start()
    late = stage.begin()
    for each in (early, late):
        each.upstream.send(b"word")
        each.client.setblocking(True)
        each.client.settimeout(10)

    assert [each.client.recv(10) for each in (early, late)] == [b"word"] * 2
    stage.loop.close()
    assert until(lambda: "streams" not in {thread.name for thread in threading.enumerate()})
    assert stage.loop._wake_writer.fileno() < 0
    stage.begin()


def test_however_many_are_added_before_a_turn_none_is_forgotten(stage: Stage) -> None:
    for _ in range(2_000):
        stage.loop._wake()
    streams = [stage.begin() for _ in range(3)]
    for each in streams:
        each.upstream.send(b"word")
    stage.turn()

    assert [each.heard for each in streams] == [b"word"] * 3


# Descriptors


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "kept"])
def test_a_descriptor_that_serves_another_stream_is_watched_for_that_one(stage: Stage, closes: bool) -> None:
    """The next stream has the number of the one before: of a new connection, or of one that was kept."""
    following: list[Stream] = []
    ours, theirs = stage.pair()

    class Ending(Body):
        def gives(self, data: bytes, *, ends: bool = False) -> bytes:
            said = super().gives(data, ends=ends)
            if self.is_over and not following:
                if closes:
                    stage.sockets.append(streams.replaced(self.socket, ours))
                following.append(stage.begin(upstream=stage.sockets[-1] if closes else self.socket))
            return said

    first = stage.begin(Ending)
    stage.turn()
    first.upstream.send(b"done.")
    stage.turn()
    stage.turn()
    (theirs if closes else first.upstream).send(b"next")
    stage.turn()

    assert (first.heard, first.ends) == (b"done.|", [True])
    assert (following[0].heard, following[0].ends) == (b"next", [])


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_of_two_things_told_at_once_the_second_finds_the_stream_over(stage: Stage, first: str) -> None:
    stream, other = stage.begin(), stage.begin()
    stage.turn()
    told_first(stage, stream.response.connection if first == "client" else stream.body.socket)
    stream.client.close()
    stream.upstream.send(b"last.")
    other.upstream.send(b"word")
    stage.turn()
    stage.turn()

    assert stream.ends == [False]
    assert (other.heard, stage.watched) == (b"word", 2)


def test_a_client_that_is_told_to_send_when_there_is_nothing_has_not_left(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    told_first(stage, stream.body.socket, lambda: stream.response.connection.recv(1))
    stream.client.send(b"G")
    stage.loop.run_once()
    stage.loop._watch = stage.loop._watch._real  # type: ignore[attr-defined]
    stream.upstream.send(b"word")
    stage.turn()

    assert (stream.heard, stream.ends) == (b"word", [])


# Clients that do not read


def test_the_upstream_of_a_client_that_does_not_read_is_not_read_and_others_go_on(stage: Stage) -> None:
    stalled, other = stage.begin(), stage.begin()
    stage.turn()
    stage.block(stalled)
    stalled.upstream.send(b"later.")
    for _ in range(3):
        stage.turn()
    other.upstream.send(b"word")
    stage.turn()

    assert other.heard == b"word"
    assert not stage.tells()
    assert stalled.body.socket.recv(100, socket.MSG_PEEK) == b"later."


@pytest.mark.parametrize("kind", [Body, Unpacking])
def test_a_client_that_reads_again_gets_every_byte_in_order(stage: Stage, kind: type[Body]) -> None:
    stream = stage.begin(kind)
    stage.turn()
    words = b"".join(b"%07d " % number for number in range(7_000))
    told, got = words[: stream.upstream.send(words)], b""
    stage.turn()
    while heard := stream.heard:
        got += heard
        stage.turn()

    assert (told if kind is Body else told * 3)[: len(got)] == got
    assert len(got) == len(told) * (1 if kind is Body else 3)
    assert b"end." in stage.carry(stream, b"end.")
    assert stream.ends == [True]


def test_pieces_are_not_unpacked_for_a_client_that_does_not_read(stage: Stage) -> None:
    stream = stage.begin(Unpacking)
    stage.turn()
    stream.upstream.send(MUCH)
    stage.turn()

    assert len(stream.body.stock) == 2
    stream.body.stock = [b"b", b"a"]
    while heard := stream.heard:
        last = heard
        stage.turn()
    assert last.endswith(b"ab")
    stream.upstream.send(b"c")
    stage.turn()
    assert stream.heard == b"ccc"


def test_a_client_that_takes_nothing_for_too_long_is_left(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    stage.block(stream)
    stage.turn(WRITE_TIMEOUT - 0.01)
    assert stream.ends == []
    stage.turn(0.3)

    assert (stream.ends, stage.watched) == ([False], 0)


def test_a_client_that_takes_a_little_now_and_then_is_kept(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    stage.block(stream)
    stream.upstream.send(b"x" * 1000 + b".")
    turns = 0
    while not stream.ends:
        stage.turn(WRITE_TIMEOUT - 1)
        stream.client.recv(5000)
        stage.turn()
        turns += 1

    assert (stream.ends, turns > 5) == ([True], True)


def test_a_response_that_is_all_but_taken_waits_for_its_client(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    stream.upstream.send(MUCH[:-1] + b".")
    stage.turn()
    assert (stream.response.is_closed, stream.ends) == (True, [])
    got = b""
    while not stream.ends:
        got += stream.heard
        stage.turn()

    assert (got + stream.heard, stream.ends) == (MUCH[:-1] + b".|", [True])


def test_the_time_of_a_request_bounds_what_its_client_may_take(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stream, other = stage.begin(), stage.begin()
    stream.response.connection.lifetime = Lifetime(30.0, clock=stage.clock)
    stage.turn()
    stage.block(stream)
    stage.turn(29.0)
    assert stream.ends == []
    stage.turn(1.0)

    assert (stream.ends, other.ends, caplog.records) == ([False], [], [])


def test_what_came_while_the_client_did_not_read_is_passed_on_before_a_look_at_the_silence(stage: Stage) -> None:
    class Impatient(Body):
        def flow(self) -> bytes:
            if data := super().flow():
                self.due = stage.clock.now + 10
            return data

    stream = stage.begin(Impatient)
    stage.turn()
    stage.block(stream)
    stream.upstream.send(b"word")
    stream.body.notice = b"silent."
    stage.turn(30)
    while heard := stream.heard:
        last = heard
        stage.turn()

    assert last.endswith(b"word")
    assert (stream.body.checks, stream.ends) == (0, [])


# Clients that leave, or say more


@pytest.mark.parametrize("blocked", [False, True], ids=["waiting", "not-reading"])
@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_a_client_that_leaves_ends_its_stream_once(stage: Stage, blocked: bool, how: str) -> None:
    stream, other = stage.begin(), stage.begin()
    stage.turn()
    if blocked:
        stage.block(stream)
    stream.client.close() if how == "close" else stream.client.shutdown(socket.SHUT_RDWR)
    for _ in range(3):
        stage.turn()

    assert (stream.ends, other.ends, stage.watched) == ([False], [], 2)


def test_a_client_that_leaves_while_something_is_sent_ends_its_stream(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    told_first(stage, stream.body.socket, stream.client.close)
    stream.upstream.send(b"word")
    stage.turn()

    assert (stream.ends, stage.watched) == ([False], 0)


def test_a_request_that_comes_early_is_left_for_later_and_is_no_departure(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    stream.client.send(b"GET")
    stage.turn()
    assert not stage.tells()
    stream.upstream.send(b"word.")
    stage.turn()

    assert (stream.heard, stream.ends) == (b"word.|", [True])
    assert stream.response.connection.recv(10) == b"GET"


def test_the_departure_of_a_client_that_had_sent_something_early_is_asked_about(stage: Stage) -> None:
    """Its descriptor is readable for good, so it is not watched."""
    stream = stage.begin()
    body, lifetime = stream.body, Lifetime(600.0, client=stream.response.connection)

    def check() -> bytes:
        try:
            lifetime.check()
        except FaultError:
            return body.gives(b"left.")
        return b""

    body.check = check
    stream.client.send(b"GET")
    stage.turn()
    stage.turn(0.25)
    assert stream.ends == []
    stream.client.shutdown(socket.SHUT_WR)
    stage.turn(0.25)

    assert stream.ends == [True]


def test_an_early_request_of_a_client_that_does_not_read_is_left_for_later_too(stage: Stage) -> None:
    stream = stage.begin()
    stage.turn()
    stream.client.send(b"GET")
    stage.turn()
    stage.block(stream)
    got = b""
    while heard := stream.heard:
        got += heard
        stage.turn()

    assert stage.carry(stream, b"end.") == b"end.|"
    assert stream.ends == [True]


# What is due


def test_what_is_due_is_sent_then_and_not_before(stage: Stage) -> None:
    stream = stage.begin()
    stream.body.due, stream.body.notice = stage.clock.now + 10, b": ping"
    stage.turn()
    stage.turn(9.9)
    assert stream.heard == b""
    stage.turn(0.3)

    assert stream.heard == b": ping"


def test_what_is_due_is_seen_in_a_stream_that_never_pauses(stage: Stage) -> None:
    stream = stage.begin()
    stream.body.due, stream.body.notice = stage.clock.now + 10, b"late."
    stage.turn()
    got = b""
    for _ in range(200):
        if not stream.ends:
            stream.upstream.send(b"word ")
            stage.turn(0.1)
            got += stream.heard

    assert (stream.ends, got.endswith(b"word late.|")) == ([True], True)
    assert 110 <= stage.clock.now <= 110.5


def test_the_drain_ends_every_stream_once_and_each_is_told(stage: Stage) -> None:
    waiting, stalled, late = stage.begin(), stage.begin(), None
    for each in (waiting, stalled):
        each.body.notice = b"shutting down."
    stage.turn()
    stage.block(stalled)
    stage.drain.set()
    stage.turn()
    late = stage.begin()
    late.body.notice = b"shutting down."
    stage.turn()

    assert (waiting.heard, waiting.ends) == (b"shutting down.|", [True])
    assert (late.heard, late.ends) == (b"shutting down.|", [True])
    assert not stage.tells()
    got = b""
    while not stalled.ends:
        got += stalled.heard
        stage.turn()
    assert (stalled.ends, (got + stalled.heard).endswith(b"shutting down.|")) == ([True], True)


# Defects


def stumble(*_: object) -> Any:
    raise ZeroDivisionError


BREAKAGES: dict[str, Callable[[Stream], object]] = {
    "flow": lambda stream: setattr(stream.body, "flow", stumble),
    "write": lambda stream: setattr(stream.response, "write", stumble),
    "close": lambda stream: setattr(stream.response, "close", stumble),
    "connection": lambda stream: stream.response.connection.close(),
    "upstream": lambda stream: setattr(stream.body, "socket", None),
}


@pytest.mark.parametrize("how", BREAKAGES)
@pytest.mark.parametrize("begun", [False, True], ids=["at-the-hand-over", "later"])
def test_a_defect_in_one_stream_ends_that_one_alone(stage: Stage, how: str, begun: bool) -> None:
    other, stream = stage.begin(), stage.begin()
    if begun:
        stage.turn()
    BREAKAGES[how](stream)
    for each in (other, stream):
        each.upstream.send(b"word.")
    stage.turn()
    stage.turn()
    after = stage.begin()
    after.upstream.send(b"more")
    stage.turn()

    assert (stream.ends, other.heard, other.ends, after.heard) == ([False], b"word.|", [True], b"more")
    assert stage.watched == 2


def test_a_defect_in_what_is_due_ends_that_stream_alone(stage: Stage) -> None:
    stream, other = stage.begin(), stage.begin()
    for each in (stream, other):
        each.body.due, each.body.notice = stage.clock.now + 1, b"ping"
    stream.body.check = stumble
    stage.turn()
    stage.turn(1.5)

    assert (stream.ends, other.ends, other.heard) == ([False], [], b"ping")


def test_a_descriptor_that_another_stream_has_is_a_defect_of_the_second_alone(stage: Stage) -> None:
    first = stage.begin()
    stage.turn()
    second = stage.begin(upstream=first.body.socket)
    stage.turn()
    first.upstream.send(b"word")
    stage.turn()

    assert (second.ends, first.heard, stage.watched) == ([False], b"word", 2)


def test_a_failure_in_telling_the_end_is_logged_and_others_go_on(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stream, other = stage.begin(), stage.begin()
    stream.response.finished = stumble
    for each in (stream, other):
        each.upstream.send(b"word.")
    stage.turn()

    assert (other.heard, other.ends, stage.watched) == (b"word.|", [True], 0)
    assert [record.getMessage() for record in caplog.records] == ["a response failed at its end"]
