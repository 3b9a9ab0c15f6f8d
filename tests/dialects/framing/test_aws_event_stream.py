"""Amazon's event stream, against botocore's own decoder and against damage."""

import base64
import json
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.framing.aws_event_stream import MAX_MESSAGE, EventStreamDecoder, decoder_for
from dialects.framing.sse import Frame, SSEDecoder
from tests.dialects import golden
from tests.dialects.eventstreams import chunk, encode, event, exception
from tests.oracles.sdks import sdk

# A message in full, checked with botocore.
VECTOR = bytes.fromhex(
    "000000760000005296d5fade0b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d747970"
    "650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22726f6c65223a22"
    "617373697374616e74227d6fa8c599"
)


def decoded(chunks):
    decoder = EventStreamDecoder()
    frames = [frame for piece in chunks for frame in decoder.feed(piece)]
    return frames + decoder.finish()


def test_a_known_message_is_read():
    assert decoded([VECTOR]) == [Frame('{"role":"assistant"}', "messageStart")]


def test_what_an_invoke_wraps_is_unwrapped():
    assert decoded([chunk({"type": "ping", "x": "ü"})]) == [Frame('{"type": "ping", "x": "ü"}', "chunk")]


def test_an_exception_is_named_and_an_error_is_an_error():
    error = encode({":message-type": "error", ":error-code": "Slow", ":error-message": "down"}, b"")
    bare = encode({":message-type": "exception", ":exception-type": "timeoutException"}, b"")

    assert decoded([exception("throttlingException", "slow"), error, bare]) == [
        Frame('{"message": "slow"}', "throttlingException"),
        Frame('{"code": "Slow", "message": "down"}', "error"),
        Frame("{}", "timeoutException"),
    ]


messages = st.builds(event, st.sampled_from(["messageStart", "metadata"]), st.dictionaries(st.text(), st.integers()))


@given(st.lists(messages, max_size=5), golden.places)
def test_botocore_reads_the_same_however_the_bytes_are_cut(wires, places):
    data = b"".join(wires)
    theirs = sdk("botocore.eventstream").EventStreamBuffer()
    theirs.add_data(data)

    expected = [Frame(message.payload.decode(), message.headers[":event-type"]) for message in theirs]
    assert decoded(golden.cut(data, places)) == expected
    assert decoded(golden.byte_by_byte(data)) == expected


def with_headers(headers):
    """Write a message whose headers are bytes of any kind."""
    whole = encode({"x": "y" * (len(headers) - 5)}, b"{}") if len(headers) >= 5 else b""
    start = 12
    body = whole[:start] + headers + whole[start + len(headers) : -4]
    return body + crc32(body).to_bytes(4)


def test_headers_of_every_type_are_skipped_but_words():
    names = [
        b"\x01a\x00",
        b"\x01b\x01",
        b"\x01c\x02\x01",
        b"\x01d\x03\x00\x01",
        b"\x01e\x04" + b"\x00" * 4,
        b"\x01f\x05" + b"\x00" * 8,
        b"\x01g\x06\x00\x02\xff\xff",
        b"\x01h\x08" + b"\x00" * 8,
        b"\x01i\x09" + b"\x00" * 16,
        b"\x0b:event-type\x07\x00\x01e",
    ]

    assert decoded([with_headers(b"".join(names))]) == [Frame("{}", "e")]


@pytest.mark.parametrize(
    "headers",
    [b"\x01abcdef\x0c", b"\x05abcde", b"\x01a\x07\x00\xffabc", b"\x01a\x06\x00\x01", b"\x01\xff\x07\x00\x01a"],
)
def test_headers_that_make_no_sense_are_refused(headers):
    with pytest.raises(ValueError, match=r"header|decode"):
        decoded([with_headers(headers)])


@pytest.mark.parametrize("place", [0, 5, 9, 14, 100, 117])
def test_damage_is_noticed(place):
    damaged = bytearray(VECTOR)
    damaged[place] ^= 1

    with pytest.raises(ValueError, match="checksum"):
        decoded([bytes(damaged)])


def test_a_message_too_long_is_refused():
    prelude = (MAX_MESSAGE + 1).to_bytes(4) + (0).to_bytes(4)

    with pytest.raises(ValueError, match="a message of"):
        decoded([prelude + crc32(prelude).to_bytes(4)])


def test_a_message_cut_off_is_noticed():
    with pytest.raises(ValueError, match="cut off"):
        decoded([VECTOR[:-1]])


@pytest.mark.parametrize(
    "payload", [{}, {"bytes": "!"}, {"bytes": base64.b64encode(b"\xff").decode()}, [1], {"bytes": 3}]
)
def test_a_chunk_that_holds_nothing_is_refused(payload):
    with pytest.raises(ValueError):  # noqa: PT011  # what base64, UTF-8 and JSON complain of
        decoded([event("chunk", payload)])


def test_what_came_whole_before_the_damage_is_given():
    decoder = EventStreamDecoder()
    damaged = VECTOR[:-1] + b"\x00"

    assert decoder.feed(VECTOR + damaged) == [Frame('{"role":"assistant"}', "messageStart")]
    with pytest.raises(ValueError, match="checksum"):
        decoder.feed(b"")
    with pytest.raises(ValueError, match="checksum"):
        decoder.finish()


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/vnd.amazon.eventstream", EventStreamDecoder),
        (" Application/VND.amazon.eventstream; x=y", EventStreamDecoder),
        ("text/event-stream", SSEDecoder),
        ("", SSEDecoder),
    ],
)
def test_the_content_type_chooses_the_framing(content_type, kind):
    assert type(decoder_for(content_type)) is kind


def test_the_captured_streams_say_the_same_in_either_framing():
    for scene in golden.scenes("anthropic_messages"):
        binary = [json.loads(frame.data) for frame in decoded([golden.wire("anthropic_messages", scene, ".bin")])]
        lines = SSEDecoder().feed(golden.wire("anthropic_messages", scene))

        assert [json.loads(frame.data) for frame in lines] == binary
