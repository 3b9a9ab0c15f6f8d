"""Plain deltas are read and written in few steps; the bytes and the observations are those of the long way."""

import json
import re
from collections.abc import Iterator
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.core.conversation import Conversation, Stop, StopReason, Text, Thinking, ToolCall, Usage
from dialects.core.events import BlockDelta, BlockStarted, Event, Finished
from dialects.core.frame_reader import FrameReader
from dialects.core.relay import PassthroughRelay, Relay, TranslatingRelay
from dialects.framing.aws_event_stream import decoder_for
from dialects.framing.frame_template import FrameTemplate
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, encoded
from dialects.interface import Envelope, Origin
from dialects.openai_common.passthrough import public_model
from dialects.registry import BACKENDS, CLIENTS, PASSTHROUGHS
from tests.dialects import golden, mangling

SCENES = {
    backend: [
        mangling.frames(backend.replace("-", "_"), scene, suffix)
        for suffix in mangling.CONTENT_TYPES
        for scene in golden.scenes(backend.replace("-", "_"), suffix)
    ]
    for backend in BACKENDS
}
SCENES["openai-chat"].append(
    [
        (None, '{"id":"c","choices":[{"delta":{"content":"a"}}]}'),
        (None, '{"id":"c","choices":[{"delta":{"content":""},"logprobs":{"content":[{"token":"b","logprob":-1}]}}]}'),
        (None, '{"id":"c","choices":[{"delta":{"content":"b"}}]}'),
        (None, '{"id":"c","choices":[{"delta":{"content":"c"},"index":0,"finish_reason":null}]}'),
    ]
)
SCENES["bedrock-converse"].append(
    [
        (None, '{"messageStart":{"role":"assistant"}}'),
        (None, '{"contentBlockDelta":{"delta":{"text":"a"},"contentBlockIndex":0}}'),
        (None, '{"contentBlockDelta":{"delta":{"text":"b"},"contentBlockIndex":0}}'),
    ]
)
VALUE = re.compile(r""":\s*("(?:[^"\\]|\\.)*"|'[^'"\\]*'|null|true|false|-?[0-9.]+|\[\]|{})""")
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
    *('"stop"', '"STOP"', '"tool_use"', '"call_x"', '"message_stop"', "{}", "[]", "1", "-0"),
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
"""Values that may replace a value of a frame."""
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
    '"contentBlockStart":{"contentBlockIndex":9,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}',
    *('"candidates":[]', '"choices":[]', '"tool_calls":[{"index":0,"function":{"arguments":"a"}}]', '"signature":"s"'),
)
"""Members that may be added to any object of a frame."""
seeds = st.integers(0, 2**32)


def variants(data: str) -> Iterator[str]:
    """The data of a frame, each time with one change that may matter."""
    quote = '"' if '"' in data else "'"
    for place in re.finditer("}", data):
        separator = ", " if data[place.start() - 1] != "{" else ""
        for member in MEMBERS:
            written = member if quote == '"' else re.sub("([:,])", r"\1 ", member).replace('"', quote)
            yield data[: place.start()] + separator + written + data[place.start() :]
    for value in VALUE.finditer(data):
        for other in VALUES:
            yield data[: value.start(1)] + other.replace('"', quote) + data[value.end(1) :]
    yield data.replace(f"{quote}:", f"{quote} : ").replace(",", ",  ")
    yield data.replace(quote, "'" if quote == '"' else '"')
    yield data.replace("null", "None")
    yield f" {data}\t"


def nearly(data: str, rng: Random) -> str:
    """The data of a frame, unchanged or with one change."""
    return data if rng.random() < 0.5 else rng.choice(list(variants(data)))


def said_again(backend: str, rng: Random) -> bytes:
    """A captured stream with some frames repeated, with and without a change."""
    form = rng.choice(["json", "json", "binary"])
    out = b""
    for event, data in rng.choice(SCENES[backend]):
        again = [nearly(data, rng) for _ in range(rng.choice([0, 0, 1, 2, 3]))]
        for each in (data, *again) if rng.random() < 0.9 else again:
            written = mangling.framed([(event, each)], form)
            out += written if form == "binary" else written.replace(b"\n", rng.choice([b"\n", b"\n", b"\r\n"]))
    return out


def patient(reader: FrameReader) -> FrameReader:
    """Take from a reader its way to recognise plain deltas."""
    reader.__class__ = type("Patient", (type(reader),), {"continued": FrameReader.continued})
    return reader


def relays(backend: str, kind: str, *, patiently: bool) -> list[Relay]:
    """A relay to every client dialect, and a passthrough if there is one."""
    made = list[Relay]()
    for client in CLIENTS:
        asked = Conversation("my-model", client, stream_usage=True)
        origin = Origin(id="resp_U0VB{}".format, signature="U0VB{}".format)
        envelope = Envelope("tok", "my-model", 1_780_000_000, asked, origin)
        readers = [BACKENDS[backend].reader("tok", kind) for _ in range(2)]
        readers[0].signed = origin.signature
        if patiently:
            readers = [patient(reader) for reader in readers]
        made.append(TranslatingRelay(readers[0], CLIENTS[client].writer(envelope)))
        if client == backend:
            same = PASSTHROUGHS[backend]
            ways = (
                partial(same.passthrough_frame, envelope=envelope),
                partial(same.passthrough_fault, envelope=envelope),
            )
            made.append(PassthroughRelay(readers[1], decoder_for(kind), *ways))
    return made


@pytest.mark.parametrize("backend", BACKENDS)
@given(seeds)
@settings(max_examples=40)
def test_plain_deltas_read_in_few_steps_give_the_same_bytes_and_observations(backend, seed):
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


def in_full(reader: FrameReader, frames: list[Frame]) -> list[Event]:
    """The events of these frames and of the end of the stream."""
    return [*(event for frame in frames for event in reader.take(frame)), *reader.finish()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_frame_that_says_more_than_a_plain_delta_is_read_in_full(backend):
    """Each kind of plain frame that was captured, with each change there is."""
    plain: dict[str, tuple[list[Frame], Frame]] = {}
    for said in SCENES[backend]:
        reader = BACKENDS[backend].reader("tok", "")
        frames = [Frame(data, event) for event, data in said]
        for number, frame in enumerate(frames):
            if reader.continuation(frame):
                plain.setdefault(VALUE.sub("", frame.data), (frames[:number], frame))
            reader.take(frame)

    assert plain
    for before, frame in plain.values():
        for data in variants(frame.data):
            quick, slow = BACKENDS[backend].reader("tok", ""), patient(BACKENDS[backend].reader("tok", ""))
            frames = [*before, Frame(data, frame.event), frame]
            assert in_full(slow, frames) == in_full(quick, frames), data


def test_a_piece_without_an_index_belongs_to_the_call_of_the_last_piece():
    """Even if that piece was empty, or was read in few steps."""
    pieces = [
        *('{"index":0,"id":"a","function":{"name":"f"}}', '{"index":1,"id":"b","function":{"name":"g"}}'),
        *('{"index":0,"function":{"arguments":""}}', '{"index":1,"function":{"arguments":"{"}}'),
        *('{"index":1,"function":{"arguments":"}"}}', '{"function":{"arguments":" "}}'),
    ]
    frames = [Frame(f'{{"choices":[{{"delta":{{"tool_calls":[{piece}]}}}}]}}') for piece in pieces]
    quick, slow = BACKENDS["openai-chat"].reader("tok", ""), patient(BACKENDS["openai-chat"].reader("tok", ""))
    events = in_full(quick, frames)

    assert in_full(slow, frames) == events
    assert [event.text for event in events if isinstance(event, BlockDelta)] == ["{", "}", " "]


def test_the_usage_of_a_plain_gemini_frame_behind_the_last_word_counts():
    said = '{"candidates":[{"content":{"parts":[{"text":"a"}]}%s}],"usageMetadata":{"promptTokenCount":%d}}'
    frames = [Frame(said % (reason, count)) for reason, count in (("", 1), (',"finishReason":"STOP"', 2), ("", 3))]
    quick, slow = BACKENDS["gemini"].reader("tok", ""), patient(BACKENDS["gemini"].reader("tok", ""))
    events = in_full(quick, frames)

    assert in_full(slow, frames) == events
    assert events[-1] == Finished(Stop(StopReason.END, "STOP"), Usage(3))


@pytest.mark.parametrize("value", ["12345678901234567890123", "1.5", "NaN", '"\\ud800"', "[-0]"])
def test_a_gemini_frame_under_the_public_name_keeps_its_values(value):
    envelope = Envelope("tok", "my-model", 0, Conversation("my-model", "gemini"))
    passed = PASSTHROUGHS["gemini"].passthrough_frame(Frame(f'{{"modelVersion":"a","x":{value}}}'), envelope)

    assert passed == encoded(dumps({"modelVersion": "my-model", "x": json.loads(value)}))


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


def unnumbered(written: bytes) -> bytes:
    """What a writer of OpenAI Responses writes, but for the numbers, and the event before the first thought."""
    return re.sub(rb'"sequence_number":\d+', b"", written.rpartition(b"event: ")[2])


texts = st.lists(
    st.text(max_size=4) | st.sampled_from(["\ud800", '"', "\\", "\x00", "\u2028", "no text but this one …"])
)


@pytest.mark.parametrize("client", CLIENTS)
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

        assert unnumbered(written) == unnumbered(expected)


def test_a_frame_that_holds_a_text_twice_is_rendered_each_time():
    pieces = FrameTemplate(lambda text: encoded(dumps([text, text])))
    nothing = FrameTemplate(lambda _: b"")

    assert [encoded(f'["{text}","{text}"]') for text in "abc"] == [pieces.write(text) for text in "abc"]
    assert [nothing.write(text) for text in "abc"] == [b"", b"", b""]
