"""What is read and written at a glance is what reading and writing in full would say, byte for byte."""

import re
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.conversation import Conversation, Text, Thinking, ToolCall
from dialects.dialect import Envelope
from dialects.events import BlockDelta, BlockStarted
from dialects.eventstream import decoder_for
from dialects.jsontext import dumps
from dialects.openai_shared import public_model
from dialects.pieces import Pieces
from dialects.reading import FrameReader
from dialects.relay import Passthrough, Relay, Translation
from dialects.sse import Frame, encoded
from dialects.tables import BACKENDS, CLIENTS, LANES
from tests.dialects import golden, mangling

SCENES = {
    backend: [
        mangling.frames(backend.replace("-", "_"), scene, suffix)
        for suffix in mangling.CONTENT_TYPES
        for scene in golden.scenes(backend.replace("-", "_"), suffix)
    ]
    for backend in BACKENDS
}
STRING = re.compile(r':\s*("(?:[^"\\]|\\.)*")')
PLACES = re.compile(r"[{}]")
VALUES = (
    *(
        '" the"',
        '"a \\"b\\" c"',
        '"\\u0041"',
        '"\\ud83e\\udd9c"',
        '"\\ud800"',
        '"\\n"',
        '""',
        '"é🦜"',
        '"it\'s"',
        '"\u2028"',
    ),
    *('"[DONE]"', '"\\"model\\":\\"x\\""', '"\\"choices\\":[]"', '"\\"message_start\\""', '"\\"function_call\\""'),
    *('"\\"modelVersion\\":1"', '"amazon-bedrock-invocationMetrics"', '"error"', '"usage"', '"{\\"error\\":{}}"'),
    *(
        "null",
        "5",
        "true",
        '["a"]',
        '{"text":"a"}',
        "0.0",
        "NaN",
        "1e400",
        "18446744073709551617",
        "1234567890123456789012",
    ),
)
"""What a frame may have where it had a word."""
MEMBERS = (
    *('"usage":null', '"usage":{"prompt_tokens":3}', '"error":null', '"error":{"message":"no"}', '"error":"no"'),
    *('"model":"other"', '"model" : "a\\"b"', '"modelVersion":"other"', '"id":"i"', '"role":"assistant"', '"p":"abc"'),
    *('"index":1', '"index":0', '"index":0.0', '"index":true', '"contentBlockIndex":0.0', '"output_index":0.0'),
    *('"finish_reason":"stop"', '"finishReason":"STOP"', '"type":"message_stop"', '"type":"ping"', '"thought":true'),
    *(
        '"text":"b"',
        '"content":"b"',
        '"delta":"b"',
        '"delta":{"content":"b"}',
        '"contentBlockStop":{}',
        '"refusal":"r"',
    ),
    *('"reasoning_content":"r"', '"x":NaN', '"x":1e400', '"x":1234567890123456789012', '"x":[1.50,-0,1E5]'),
    *('"logprobs":{"content":[{"token":"a","logprob":-1}]}', '"usageMetadata":{"promptTokenCount":1e3}'),
    *('"usageMetadata":{"promptTokenCount":12345678901234567890123}', '"usageMetadata":{"candidatesTokenCount":null}'),
    *('"candidates":[]', '"choices":[]', '"tool_calls":[{"index":0,"function":{"arguments":"a"}}]', '"signature":"s"'),
)
"""What a frame may have besides."""
seeds = st.integers(0, 2**32)


def nearly(data: str, rng: Random) -> str:
    """A frame's data as it was, or with one thing in it that may well matter."""
    match rng.randrange(8):
        case 0 if places := list(PLACES.finditer(data)):
            place, member = rng.choice(places), rng.choice(MEMBERS)
            written = f"{{{member}," if place[0] == "{" else f",{member}}}"
            return data[: place.start()] + written + data[place.end() :]
        case 1 | 2 if words := list(STRING.finditer(data)):
            word = rng.choice(words)
            return data[: word.start(1)] + rng.choice(VALUES) + data[word.end(1) :]
        case 3:
            return data.replace('":', rng.choice(['": ', '" :', '"  :\t'])).replace(",", rng.choice([",", ", "]))
        case 4:
            return data.replace('"', "'")
        case _:
            return data


def said_again(backend: str, rng: Random) -> bytes:
    """A captured stream that says some of its frames several times, nearly in the same words."""
    form = rng.choice(["json", "json", "binary"])
    out = b""
    for event, data in rng.choice(SCENES[backend]):
        again = [nearly(data, rng) for _ in range(rng.choice([0, 0, 1, 2, 3]))]
        for each in (data, *again) if rng.random() < 0.9 else again:
            # What stands on a line of its own has no newline, and what is packed is UTF-8.
            written = mangling.framed([(event, each)], form)
            out += written if form == "binary" else written.replace(b"\n", rng.choice([b"\n", b"\n", b"\r\n"]))
    return out


def patient(reader: FrameReader) -> FrameReader:
    """Make a reader read every frame in full."""
    reader.__class__ = type("Patient", (type(reader),), {"continued": FrameReader.continued})
    return reader


def relays(backend: str, kind: str, *, patiently: bool) -> list[Relay]:
    """A relay to every client, and along the lane if there is one."""
    made = list[Relay]()
    for client in CLIENTS:
        envelope = Envelope("tok", "my-model", 1_780_000_000, Conversation("my-model", client, stream_usage=True))
        readers = [BACKENDS[backend].reader("tok", kind) for _ in range(2)]
        if patiently:
            readers = [patient(reader) for reader in readers]
        made.append(Translation(readers[0], CLIENTS[client].writer(envelope)))
        if client == backend:
            lane = LANES[backend]
            ways = partial(lane.forward_frame, envelope=envelope), partial(lane.forward_fault, envelope=envelope)
            made.append(Passthrough(readers[1], decoder_for(kind), *ways))
    return made


@pytest.mark.parametrize("backend", BACKENDS)
@given(seeds)
@settings(max_examples=60)
def test_what_is_read_at_a_glance_is_what_reading_in_full_says(backend, seed):
    rng = Random(seed)
    data = said_again(backend, rng)
    kind = mangling.SSE if b"data:" in data[:200] else mangling.EVENT_STREAM
    chunks = mangling.chopped(data, rng)
    for quick, slow in zip(*(relays(backend, kind, patiently=so) for so in (False, True)), strict=True):
        for chunk in chunks:
            assert slow.feed(chunk) == quick.feed(chunk)
            assert slow.seen == quick.seen
        assert slow.finish() == quick.finish()
        assert slow.seen == quick.seen


@pytest.mark.parametrize("backend", BACKENDS)
def test_plain_pieces_of_captured_streams_are_read_at_a_glance(backend):
    """Each kind of text that is captured in more than one piece."""
    known = 0
    for frames in SCENES[backend]:
        quick, slow = BACKENDS[backend].reader("tok", ""), patient(BACKENDS[backend].reader("tok", ""))
        for event, data in frames:
            frame = Frame(data, event)
            text = quick.continuation(frame)
            known += bool(text)
            events = slow.take(frame)
            assert events == quick.take(frame)
            assert not text or [text] == [event.text for event in events if isinstance(event, BlockDelta)] != events

    assert known >= 3


@given(
    st.lists(
        st.sampled_from(['"model"', '"model":"a"', '"model" : "b\\"c"', ":", '"x"', ",", " ", "\\", '"', "é", "x"])
    )
)
def test_the_public_name_is_written_where_the_only_model_stands(pieces):
    data = "".join(pieces)
    found = re.findall(r'"model"\s*:\s*"(?:[^"\\]|\\.)*"', data)
    renamed = re.sub(r'("model"\s*:\s*)"(?:[^"\\]|\\.)*"', r'\1"my-model"', data)

    assert public_model(data, "my-model") == (None if len(found) > 1 else renamed)


texts = st.lists(
    st.text(max_size=4) | st.sampled_from(["\ud800", '"', "\\", "\x00", "\u2028", "no text but this one …"])
)


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("block", [Text(), Thinking(), ToolCall("i", "f")])
@pytest.mark.parametrize("model", ["my-model", "é", "\ud800", "no text but this one …"])
@given(texts)
@settings(max_examples=10)
def test_every_piece_is_written_as_the_first_would_be(client, block, model, said):
    envelope = Envelope("tok", model, 1_780_000_000, Conversation(model, client))
    writer = CLIENTS[client].writer(envelope)
    writer.write([BlockStarted(0, block)])
    for text in said:
        first = CLIENTS[client].writer(envelope)
        first.write([BlockStarted(0, block)])
        expected = first.write([BlockDelta(0, text)])
        written = writer.write([BlockDelta(0, text)])

        assert expected == written


def test_a_frame_that_holds_a_text_twice_is_rendered_each_time():
    pieces = Pieces(lambda text: encoded(dumps([text, text])))
    nothing = Pieces(lambda _: b"")

    assert [encoded(f'["{text}","{text}"]') for text in "abc"] == [pieces.write(text) for text in "abc"]
    assert [b"", b"", b""] == [nothing.write(text) for text in "abc"]
