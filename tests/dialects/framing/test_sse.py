"""Server-sent events, however they are cut and spaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.framing import sse
from dialects.framing.sse import Frame, SSEDecoder, comment
from tests.dialects import golden


def decoded(chunks):
    decoder = SSEDecoder()
    frames = [frame for piece in chunks for frame in decoder.feed(piece)]
    return frames + decoder.finish()


@pytest.mark.parametrize("space", ["\n", "\n\n", "\n\n\n", "\r\n\r\n"])
def test_any_number_of_newlines_separates(space):
    data = f"data: 1{space}data: 2{space}data:3".encode()

    assert decoded([data]) == [Frame("1"), Frame("2"), Frame("3")]


def test_an_event_names_the_next_data_only():
    data = b"event: a\ndata: 1\n\ndata: 2\n\nevent: b\n\ndata: 3\n\n"

    assert decoded([data]) == [Frame("1", "a"), Frame("2"), Frame("3")]


def test_comments_and_other_fields_say_nothing():
    assert decoded([b": data: 1\nid: 3\nretry: 5\ndata\nnonsense\n", comment("ping")]) == [Frame("")]


@pytest.mark.parametrize("text", ["a\u2028b\u2029\x85\x0b\x0c", "data: x", " two", "\u200b\U0001f600", ""])
def test_text_arrives_as_it_was_sent(text):
    assert decoded([Frame(text, "e").encode()]) == [Frame(text, "e")]
    assert Frame(text).encode() == f"data: {text}\n\n".encode()


def test_a_name_that_utf_8_cannot_hold_is_replaced():
    assert Frame("x", "\ud800").encode() == b"event: ?\ndata: x\n\n"


def test_bytes_that_are_no_utf_8_are_replaced():
    assert decoded([b"data: \xff\n"]) == [Frame("\ufffd")]


@given(
    st.lists(
        st.binary(max_size=9) | st.sampled_from([b"data: ", b"event: x", b"\n", b"\r\n", "ü€\U0001f600".encode()])
    ),
    golden.places,
)
def test_where_the_bytes_are_cut_does_not_matter(pieces, places):
    data = b"".join(pieces)

    assert decoded(golden.cut(data, places)) == decoded([data]) == decoded(golden.byte_by_byte(data))


def test_an_endless_line_is_refused_but_not_what_came_before_it(monkeypatch):
    monkeypatch.setattr(sse, "MAX_LINE", 10)
    decoder = SSEDecoder()

    assert decoder.feed(b"data: 1\n" + b"x" * 11) == [Frame("1")]
    with pytest.raises(ValueError, match="more than 10 bytes"):
        decoder.feed(b"x")
    with pytest.raises(ValueError, match="more than 10 bytes"):
        decoder.finish()
