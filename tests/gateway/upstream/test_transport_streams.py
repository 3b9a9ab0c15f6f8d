"""Streams off real sockets: each piece at once, and every way to break off."""

import threading
import zlib
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialects.core.faults import FaultError, FaultKind
from gateway.upstream.steps import StillPending
from gateway.upstream.transport import _Answer
from tests.gateway.peers import CHUNKED, OK, Peer, answer, answering, chunk, fault_of, forever
from tests.support.networks import trusting

PATIENCE = 30.0


def taken(call, lifetime):
    """Each piece as it comes, for somebody who waits for this call alone."""
    while (piece := call.take(lifetime, PATIENCE)) is not None:
        yield piece


def arriving(call, lifetime):
    """Each piece as it comes, for somebody who waits for many calls and takes only what has arrived."""
    while (piece := call.arrived()) is not None:
        if piece:
            yield piece
        if call.interest is not None:
            assert lifetime.wait((call.interest,), PATIENCE)


@pytest.fixture(params=[taken, arriving])
def pieces_of(request):
    return request.param


@pytest.mark.parametrize("framing", ["chunked", "length", "until close"])
def test_a_small_piece_is_handed_on_at_once(serve, begin, lifetime, framing, pieces_of):
    """The second piece is sent only after the first one has arrived."""
    arrived = threading.Event()

    def script(_, peer):
        peer.request()
        header = {"chunked": CHUNKED, "length": b"Content-Length: 7\r\n"}.get(framing, b"")
        peer.send(OK + header + b"\r\n")
        for piece in (b"one ", b"two"):
            peer.send(chunk(piece) if framing == "chunked" else piece)
            assert arrived.wait(PATIENCE)
        if framing == "chunked":
            peer.send(b"0\r\n\r\n")

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)
    pieces = []
    for piece in pieces_of(call, lifetime):
        pieces.append(piece)
        arrived.set()

    assert pieces == [b"one ", b"two"]


def test_headers_alone_are_enough_to_begin(serve, begin, lifetime, pieces_of):
    begun = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n")
        assert begun.wait(PATIENCE)
        peer.send(chunk(b"x") + b"0\r\n\r\n")

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)
    begun.set()

    assert list(pieces_of(call, lifetime)) == [b"x"]
    assert list(pieces_of(call, lifetime)) == []
    assert call.interest is None


def test_a_chunk_that_arrives_in_halves_is_handed_on_in_halves(serve, begin, lifetime, pieces_of):
    half = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n8\r\nabcd")
        assert half.wait(PATIENCE)
        peer.send(b"efgh\r\n0\r\n\r\n")

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)
    pieces = pieces_of(call, lifetime)
    first = next(pieces)
    half.set()

    assert (first, b"".join(pieces)) == (b"abcd", b"efgh")


def test_all_chunks_that_have_arrived_are_one_piece(serve, begin, lifetime, pieces_of):
    call = begin(serve(forever(OK + CHUNKED + b"\r\n" + chunk(b"one ") + chunk(b"two") + b"0\r\n\r\n")).url)
    call.head(lifetime, PATIENCE)

    assert list(pieces_of(call, lifetime)) == [b"one two"]


def test_quiet_can_be_asked_about_again(serve, begin, lifetime):
    """Nothing is lost by having stopped, be it in the head or in the body, and however often."""
    go_on = threading.Event()

    def script(_, peer):
        peer.request()
        for piece in (b"HTTP/1.1 200", b" OK\r\n" + CHUNKED, b"\r\n4\r\n", b"a", b"bcd\r\n0\r", b"\n\r\n"):
            assert go_on.wait(PATIENCE)
            go_on.clear()
            peer.send(piece)

    call = begin(serve(script).url)
    got, quiet = [], 0
    while call.status == 0:
        try:
            call.head(lifetime, 0.01)
        except StillPending:
            quiet += 1
            go_on.set()
    while True:
        try:
            if (piece := call.take(lifetime, 0.01)) is None:
                break
            got.append(piece)
        except StillPending:
            quiet += 1
            go_on.set()

    assert b"".join(got) == b"abcd"
    assert quiet >= 6


@pytest.fixture
def interrupted(serve, begin, lifetime, pieces_of):
    """Reads a stream until it breaks; gives what came and what broke it."""

    def interrupted(how):
        def script(_, peer):
            peer.request()
            peer.send(OK + CHUNKED + b"\r\n" + chunk(b"begun"))
            how(peer)

        call = begin(serve(script).url)
        call.head(lifetime, PATIENCE)
        got = []
        fault = fault_of(lambda: got.extend(pieces_of(call, lifetime)))
        assert call.interest is None
        assert fault_of(call.take, lifetime, 0.0).kind is FaultKind.STREAM_BROKEN
        assert fault_of(call.arrived).kind is FaultKind.STREAM_BROKEN
        return b"".join(got), fault

    return interrupted


@pytest.mark.parametrize(
    ("last", "before"),
    [(b"", b"begun"), (b"8\r\nhal", b"begunhal"), (b"nonsense\r\n", b"begun"), (b"0\r\n", b"begun")],
)
def test_a_stream_that_ends_too_early_is_broken(interrupted, last, before):
    got, fault = interrupted(lambda peer: peer.send(last))

    assert (before, FaultKind.STREAM_BROKEN) == (got, fault.kind)


def test_a_stream_that_is_reset_is_broken(interrupted):
    assert FaultKind.STREAM_BROKEN is interrupted(Peer.reset)[1].kind


def test_framing_without_end_is_no_stream(interrupted):
    """An extension of a chunk, or headers after the body, may not grow for ever, while the connection stays open."""
    for last in (b"4;" + b"x" * 200_000, b"0\r\n" + b"X: y\r\n" * 40_000):
        got, fault = interrupted(lambda peer, last=last: (peer.send(last), peer.left()))

        assert (got, fault.kind) == (b"begun", FaultKind.STREAM_BROKEN)


def test_nonsense_behind_good_chunks_is_told_though_the_connection_stays_open(interrupted):
    """Both come at once, so there is nothing more to wait for."""
    got, fault = interrupted(lambda peer: (peer.send(chunk(b" well") + b"nonsense\r\n"), peer.left()))

    assert (got, fault.kind) == (b"begun well", FaultKind.STREAM_BROKEN)


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n\r\nhalf", CHUNKED + b"\r\n9\r\nhalf"])
def test_half_a_body_is_broken(serve, begin, lifetime, framing):
    call = begin(serve(answering(OK + framing)).url)
    call.head(lifetime, PATIENCE)

    assert FaultKind.STREAM_BROKEN is fault_of(call.read, lifetime, PATIENCE).kind


def test_silence_within_a_whole_answer_is_a_time_out(serve, begin, lifetime):
    left = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + b"Content-Length: 10\r\n\r\nhalf")
        if peer.left():
            left.set()

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)
    fault = fault_of(call.read, lifetime, 0.1)

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "SAP AI Core did not answer in time.")
    assert left.wait(PATIENCE)


# However the bytes are cut


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: 1\r\nx-a: 2\r\n"
WHOLE = [
    (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + HEAD
        + CHUNKED
        + b"\r\n"
        + chunk(b"one ")
        + chunk(b"two")
        + b"0\r\nT: 1\r\n\r\n"
    ),
    HEAD + b"Content-Length: 7\r\n\r\none two",
    HEAD + b"\r\none two",
]


@given(wire=st.sampled_from(WHOLE), cuts=st.sets(st.integers(1, 200)))
@example(wire=WHOLE[0], cuts=set(range(1, 200)))
@example(wire=WHOLE[1], cuts=set(range(1, 200)))
@example(wire=WHOLE[2], cuts=set())
def test_bytes_that_are_cut_anywhere_give_the_same_head_and_body(wire, cuts):
    answer = _Answer()
    body = b""
    at = 0
    for cut in [*sorted(each for each in cuts if each < len(wire)), len(wire)]:
        answer.feed(wire[at:cut])
        body += answer.body()
        at = cut
    if not answer.complete:
        answer.end()

    assert (answer.status, body, answer.complete) == (200, b"one two", True)
    assert (answer.fields[b"content-type"], answer.fields[b"x-a"]) == (b"text/event-stream", b"1, 2")


@given(wire=st.sampled_from(WHOLE[:2]), end=st.integers(0, 200))
def test_an_answer_that_is_cut_short_is_never_complete(wire, end):
    """Not even if all that is missing is the end of its framing."""
    answer = _Answer()
    short = wire[: min(end, len(wire) - 1)]
    if short:
        answer.feed(short)
    with pytest.raises(ValueError, match=r"^$"):
        answer.end()

    assert not answer.complete


def test_a_call_that_was_not_begun_has_no_body(begin, lifetime):
    with pytest.raises(FaultError):
        begin("http://127.0.0.1:1/").take(lifetime, 0.0)


# What has arrived


def test_what_has_not_arrived_is_not_waited_for(serve, begin, lifetime):
    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n")
        peer.left()

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)

    assert [call.arrived() for _ in range(3)] == [b""] * 3
    assert not lifetime.wait((call.interest,), 0.0)


def test_what_came_with_the_head_is_there_before_anything_is_waited_for(serve, begin, lifetime):
    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n" + chunk(b"begun"))
        peer.left()

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)

    assert call.interest is None
    assert (call.arrived(), call.arrived()) == (b"begun", b"")
    assert call.interest is not None


def test_whoever_was_told_that_something_came_gets_it_the_first_time(serve, begin, lifetime):
    go_on = threading.Semaphore(0)

    def script(_, peer):
        peer.request()
        peer.send(OK + b"\r\n")
        for piece in (b"one", b"two"):
            assert go_on.acquire(timeout=PATIENCE)
            peer.send(piece)
        assert go_on.acquire(timeout=PATIENCE)

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)
    got = []
    for _ in range(3):
        go_on.release()
        assert lifetime.wait((call.interest,), PATIENCE)
        got.append(call.arrived())

    assert got == [b"one", b"two", None]


def test_an_empty_answer_is_not_waited_for(serve, begin, lifetime):
    call = begin(serve(forever(answer(b""))).url)
    call.head(lifetime, PATIENCE)

    assert (call.interest, call.arrived()) == (None, None)


def test_an_answer_that_is_not_begun_has_nothing_that_arrived(begin):
    with pytest.raises(FaultError):
        begin("http://127.0.0.1:1/").arrived()


def test_a_connection_is_kept_when_all_has_arrived(serve, begin, lifetime):
    server = serve(forever(OK + CHUNKED + b"\r\n" + chunk(b"whole") + b"0\r\n\r\n"))
    for _ in range(3):
        call = begin(server.url)
        call.head(lifetime, PATIENCE)
        assert list(arriving(call, lifetime)) == [b"whole"]

    assert server.connections == 1


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
@pytest.mark.parametrize("ends", [False, True], ids=["goes-on", "ends"])
def test_what_is_packed_small_arrives_piece_by_piece_without_anything_more_coming(serve, begin, lifetime, coding, ends):
    """Three megabytes fit into one packet; then the upstream waits until all of them were seen."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16 if coding == b"gzip" else zlib.MAX_WBITS)
    size = 3 * 1024 * 1024
    first = packer.compress(b"x" * size) + packer.flush(zlib.Z_SYNC_FLUSH)
    last = packer.flush()
    seen = threading.Event()

    def script(_, peer):
        peer.request()
        head = OK + b"Content-Encoding: " + coding + b"\r\n" + CHUNKED + b"\r\n"
        peer.send(head + chunk(first) + (chunk(last) + b"0\r\n\r\n" if ends else b""))
        assert seen.wait(PATIENCE)
        with suppress(OSError):
            peer.send(chunk(last) + b"0\r\n\r\n")

    call = begin(serve(script).url)
    call.head(lifetime, PATIENCE)
    sizes = []
    for piece in arriving(call, lifetime):
        sizes.append(len(piece))
        if sum(sizes) == size:
            seen.set()

    assert sizes == [size // 3] * 3
    assert call.arrived() is None


def test_what_is_packed_and_breaks_off_is_broken_after_what_came(serve, begin, lifetime):
    packed = zlib.compress(b"x" * 3 * 1024 * 1024)
    call = begin(serve(answering(OK + b"Content-Encoding: deflate\r\n" + CHUNKED + b"\r\n" + chunk(packed[:-9]))).url)
    call.head(lifetime, PATIENCE)
    pieces = arriving(call, lifetime)

    assert next(pieces).startswith(b"x")
    assert FaultKind.STREAM_BROKEN is fault_of(lambda: list(pieces)).kind


def test_records_of_tls_leave_nothing_behind_that_no_descriptor_tells_of(
    serve, begin, lifetime, transport_of, tls, authority
):
    """The upstream goes on only when all that it sent has been seen."""
    seen = threading.Semaphore(0)
    sizes = [1, 16_384, 16_385, 70_000, 200_000]

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n")
        for size in sizes:
            peer.send(chunk(b"x" * size))
            assert seen.acquire(timeout=PATIENCE)
        peer.send(b"0\r\n\r\n")

    call = begin(serve(script, context=tls).url, by=transport_of(network=trusting(authority.file)))
    call.head(lifetime, PATIENCE)
    got, expected = 0, iter(sizes)
    until = next(expected)
    for piece in arriving(call, lifetime):
        got += len(piece)
        if got == until:
            seen.release()
            until += next(expected, 0)

    assert sum(sizes) == got
