"""Streams off real sockets: each piece at once, and every way to break off."""

import threading

import pytest

from dialects.faults import FaultKind
from tests.gateway.peers import CHUNKED, OK, PATIENCE, Peer, answer, answering, chunk, fault_of, forever, post


@pytest.mark.parametrize("framing", ["chunked", "length", "until close"])
def test_a_small_piece_is_handed_on_at_once(serve, transport, framing):
    """The second piece is sent only after the first one has arrived."""
    arrived = threading.Event()

    def script(_, peer):
        peer.request()
        pieces = [b"one ", b"two"]
        header = {"chunked": CHUNKED, "length": b"Content-Length: 7\r\n"}.get(framing, b"")
        peer.send(OK + header + b"\r\n")
        for piece in pieces:
            peer.send(chunk(piece) if framing == "chunked" else piece)
            assert arrived.wait(PATIENCE)
        if framing == "chunked":
            peer.send(b"0\r\n\r\n")

    server = serve(script)
    pieces = []
    for piece in post(transport, server.url, stream=True, read_timeout=2.0):
        pieces.append(piece)
        arrived.set()

    assert [b"one ", b"two"] == pieces


def test_headers_alone_are_enough_to_begin(serve, transport):
    begun = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n")
        assert begun.wait(PATIENCE)
        peer.send(chunk(b"x") + b"0\r\n\r\n")

    upstream = post(transport, serve(script).url, stream=True, read_timeout=2.0)
    begun.set()

    assert [b"x"] == list(upstream)
    assert [] == list(upstream)


def test_a_chunk_that_arrives_in_halves_is_handed_on_in_halves(serve, transport):
    half = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n8\r\nabcd")
        assert half.wait(PATIENCE)
        peer.send(b"efgh\r\n0\r\n\r\n")

    pieces = iter(post(transport, serve(script).url, stream=True, read_timeout=2.0))
    first = next(pieces)
    half.set()

    assert (b"abcd", b"efgh") == (first, b"".join(pieces))


def interrupted(serve, transport, how, **options):
    """Read a stream until it breaks; give what came and what broke it."""

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n" + chunk(b"begun"))
        how(peer)

    upstream = post(transport, serve(script).url, stream=True, **options)
    got = []
    fault = fault_of(lambda: got.extend(upstream))
    upstream.close()
    return b"".join(got), fault


def test_a_stream_that_just_ends_is_broken(serve, transport):
    assert FaultKind.STREAM_BROKEN is interrupted(serve, transport, lambda peer: None)[1].kind


def test_a_stream_that_ends_within_a_chunk_is_broken(serve, transport):
    got, fault = interrupted(serve, transport, lambda peer: peer.send(b"8\r\nhal"))

    assert (b"begunhal", FaultKind.STREAM_BROKEN) == (got, fault.kind)


def test_a_stream_that_is_reset_is_broken(serve, transport):
    def reset(peer):
        peer.sock.settimeout(0.05)
        peer.reset()

    assert FaultKind.STREAM_BROKEN is interrupted(serve, transport, reset)[1].kind


def test_a_stream_with_garbled_chunks_is_broken(serve, transport):
    got, fault = interrupted(serve, transport, lambda peer: peer.send(b"nonsense\r\n"))

    assert (b"begun", FaultKind.STREAM_BROKEN) == (got, fault.kind)


def test_a_stream_that_falls_silent_times_out(serve, transport):
    got, fault = interrupted(serve, transport, Peer.left, read_timeout=0.2)

    assert (b"begun", FaultKind.TIMEOUT) == (got, fault.kind)


def test_half_a_body_of_known_length_is_broken(serve, transport):
    server = serve(answering(OK + b"Content-Length: 10\r\n\r\nhalf"))

    assert FaultKind.STREAM_BROKEN is fault_of(post(transport, server.url).read).kind


def test_a_body_that_does_not_unpack_is_broken(serve, transport):
    server = serve(forever(answer(b"no gzip at all", headers=b"Content-Encoding: gzip\r\n")))

    assert FaultKind.STREAM_BROKEN is fault_of(post(transport, server.url).read).kind


def test_the_limit_of_silence_can_be_changed_between_reads(serve, transport):
    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n" + chunk(b"a"))
        peer.left()

    upstream = post(transport, serve(script).url, stream=True, read_timeout=60.0)
    pieces = iter(upstream)
    next(pieces)
    upstream.wait_at_most(0.1)

    assert FaultKind.TIMEOUT is fault_of(next, pieces).kind
    upstream.close()
    upstream.wait_at_most(0.1)
