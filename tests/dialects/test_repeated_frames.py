"""Frames that differ from the one before in their text alone are not parsed; the bytes are those of the long way."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from json import JSONDecoder
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings

from dialects.core.faults import Fault, FaultKind
from dialects.core.relay import PassthroughRelay, Relay
from dialects.framing.frame_template import FramePattern
from dialects.framing.sse import Frame, SSEDecoder, encoded
from dialects.registry import BACKENDS
from tests.dialects import mangling
from tests.dialects.test_continuations import SCENES, VALUE, VALUES, nearly, relays, seeds

TEXT = re.compile(r"""["'](?:text|content|delta|thinking|partial_json|arguments|input)["']\s*:\s*("[^"]*"|'[^']*')""")
SEPARATORS = (b"\n\n", b"\n\n", b"\n\n\n", b"\r\n\r\n", b"\n", b"\r\n", b"\r\r\n", b"\n: ping\n\n", b"\n\nevent: odd\n")
TEXTS = (*VALUES, '"a"', '" b"', '"c d"', '"{["', '"\\"q\\""', '"\\/"', '"id"', '"\x7f"', '"\x1f"', '"data: x"')


def with_other_texts(data: str, rng: Random) -> Iterator[str]:
    """A frame again and again, each time with another value in one and the same place."""
    places = list(TEXT.finditer(data) if rng.random() < 0.8 else VALUE.finditer(data))
    place = rng.choice(places) if places else None
    for _ in range(rng.randrange(6)):
        if place is None or rng.random() < 0.1:
            yield nearly(data, rng)
            continue
        text = rng.choice(TEXTS)
        yield data[: place.start(1)] + (text if place[1][0] == '"' else text.replace('"', "'")) + data[place.end(1) :]


def arriving(backend: str, rng: Random) -> list[bytes]:
    """A captured stream whose frames are repeated with other texts, mostly in whole frames, one or a few at once."""
    separator = rng.choice(SEPARATORS)
    chunks = [b""]
    for event, data in rng.choice(SCENES[backend]):
        for each in (data, *with_other_texts(data, rng)):
            head = f"event: {event}\n".encode() if event and rng.random() < 0.5 else b""
            said = each.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
            said = said.replace(b" ", b"\xff", 1) if rng.random() < 0.05 else said
            chunks[-1] += head + b"data: " + said + (separator if rng.random() < 0.95 else rng.choice(SEPARATORS))
            if rng.random() < 0.7:
                chunks.append(b"")
    whole = b"".join(chunks)
    return chunks if rng.random() < 0.8 else mangling.chopped(whole, rng)


@pytest.mark.parametrize("backend", [name for name, row in BACKENDS.items() if row.reader("tok", "").repeats])
@given(seeds)
@settings(max_examples=60)
def test_repeated_frames_give_the_same_bytes_and_observations_as_frames_read_in_full(backend: str, seed: int) -> None:
    chunks = arriving(backend, Random(seed))
    for quick, slow in zip(*(relays(backend, mangling.SSE, patiently=so) for so in (False, True)), strict=True):
        for chunk in chunks:
            assert quick.feed(chunk) == slow.feed(chunk)
            assert quick.seen == slow.seen
        assert quick.finish() == slow.finish()
        assert quick.seen == slow.seen


# What is parsed


def parsed_in(work: Callable[[], object]) -> int:
    """How many JSON documents are parsed in a piece of work."""
    count = 0

    def look(frame: FrameType, event: str, said: Any) -> None:
        nonlocal count
        if event == "c_return":
            count += (said.__module__, said.__name__) == ("orjson", "loads")
        elif event == "return" and said is not None:
            count += frame.f_code is JSONDecoder.raw_decode.__code__

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def chunk(text: str) -> bytes:
    head = b'data: {"id":"c","model":"dated","choices":[{"index":0,"delta":{"content":"'
    return head + text.encode() + b'"},"finish_reason":null}]}\n\n'


def begun(second: str = " two", *, patiently: bool = False) -> list[Relay]:
    made = relays("openai-chat", mangling.SSE, patiently=patiently)
    for relay in made:
        relay.feed(chunk("One"))
        relay.feed(chunk(second))
    return made


@pytest.mark.parametrize("text", [" three", '\\n\\"four\\"', "fünf"])
def test_a_frame_with_another_text_than_the_one_before_is_passed_on_without_parsing_it(text: str) -> None:
    [passthrough] = [relay for relay in begun() if isinstance(relay, PassthroughRelay)]
    got: list[bytes] = []
    parsed = parsed_in(lambda: got.append(passthrough.feed(chunk(text))))

    assert got == [chunk(text).replace(b"dated", b"my-model")]
    assert parsed == 0


def test_frames_that_arrive_together_are_passed_on_together_without_parsing_them() -> None:
    [passthrough] = [relay for relay in begun() if isinstance(relay, PassthroughRelay)]
    together = b"".join(map(chunk, "abcdef"))
    got: list[bytes] = []
    parsed = parsed_in(lambda: got.append(passthrough.feed(together)))

    assert got == [together.replace(b"dated", b"my-model")]
    assert parsed == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_frame_is_parsed_twice(backend: str) -> None:
    for said in SCENES[backend]:
        reader = BACKENDS[backend].reader("tok", "")
        passing = [
            relay for relay in relays(backend, mangling.SSE, patiently=False) if isinstance(relay, PassthroughRelay)
        ]
        for event, data in said:
            read = parsed_in(partial(reader.take, Frame(data, event)))
            passed = [parsed_in(partial(relay.feed, encoded(data, event))) for relay in passing]

            assert max(read, *passed, 0) <= 1, data


def outcome(work: Callable[[], object]) -> str:
    """What comes of a piece of work, with its types; of a failure, its kind."""
    try:
        said = work()
    except (ValueError, RecursionError) as error:
        return type(error).__name__
    return repr(said)


ODD = (*VALUES, "[" * 1010 + "]" * 1010, '{"a":' * 600 + "1" + "}" * 600, '{"a":1,"a":2}', "[", "", "nul", "Infinity")


@pytest.mark.parametrize("data", ODD, ids=lambda data: data[:12])
def test_a_frame_is_read_as_the_standard_library_does_whether_or_not_it_was_glanced_at(data: str) -> None:
    glanced, fresh = Frame(data), Frame(data)
    glanced.glance()

    assert [outcome(glanced.loads), outcome(fresh.loads)] == [outcome(partial(json.loads, data))] * 2


def test_frames_that_never_repeat_are_given_up_and_those_that_do_are_not() -> None:
    padded = [chunk("x").replace(b'"id":"c"', b'"id":"%d"' % number) for number in range(30)]
    [given_up] = [relay for relay in begun() if isinstance(relay, PassthroughRelay)]
    [kept] = [relay for relay in begun() if isinstance(relay, PassthroughRelay)]
    for data in padded:
        given_up.feed(data)
        kept.feed(data)
        kept.feed(data)
    parsed = [parsed_in(partial(relay.feed, padded[-1])) for relay in (given_up, kept)]

    assert parsed == [1, 0]


# What is not repeated


def test_a_text_that_stands_twice_in_what_a_frame_becomes_is_put_in_its_place_alone() -> None:
    for quick, slow in zip(begun("my-model"), begun("my-model", patiently=True), strict=True):
        assert quick.feed(chunk("x")) == slow.feed(chunk("x"))


def test_another_choice_is_not_taken_for_the_text_it_repeats() -> None:
    other = b'data: {"choices":[{"index":1,"delta":{"content":"%b"}},{"index":2,"delta":{}}]}\n\n'
    for quick, slow in zip(begun(), begun(patiently=True), strict=True):
        for data in (other % b" two", other % b"three"):
            assert quick.feed(data) == slow.feed(data)


def test_nothing_is_passed_on_behind_the_end() -> None:
    for relay in begun():
        relay.abort(Fault(FaultKind.STREAM_BROKEN, "cut"))
        if isinstance(relay, PassthroughRelay):
            assert relay.feed(chunk("x")) == b""
    for relay in begun():
        relay.finish()

        assert relay.feed(chunk("x")) == b""


# What is learnt


def decoder_after(data: bytes) -> SSEDecoder:
    decoder = SSEDecoder()
    decoder.feed(data)
    return decoder


def learnt(data: str, text: str, behind: bytes = b"\n\n", event: str | None = None) -> FramePattern:
    pattern = FramePattern()
    pattern.learn([Frame(data, event)], text, decoder_after(b"data: {}" + behind))
    return pattern


def test_texts_are_recognised_in_json_and_in_pythons_words() -> None:
    in_json = learnt('{"a":"text"}', "text")
    in_python = learnt("{'a': 'text'}", "text")

    assert in_json.match(b'data: {"a":"it\'s"}\n\n') == [b"it's"]
    assert in_json.match(b'data: {"a":"x"}\n\ndata: {"a":"\\"y\\""}\n\n') == [b"x", b'\\"y\\"']
    assert in_python.match(b"data: {'a': 'x'}\n\ndata: {'a': 'y'}\n\n") == [b"x", b"y"]


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"a":""}\n\n',
        b'data: {"a":"x"}\n',
        b'data: {"a":"x"}\n\n: ping\n\n',
        b'event: b\ndata: {"a":"x"}\n\n',
        b'data: {"a":"x","a":"y"}\n\n',
        b'data: {"a":"\\u0041"}\n\n',
        b'data: {"a":"\\/"}\n\n',
        b'data: {"a":"x\\"}\n\n',
        b'data: {"a":"\n"}\n\n',
        b'data: {"a":"\xff"}\n\n',
        b'data: {"a":"x"}\n\ndata: {"b":"y"}\n\ndata: {"a":"z"}\n\n',
        b'data: {"a":"\n\n',
        b"",
    ],
)
def test_whatever_else_differs_is_not_recognised(data: bytes) -> None:
    assert learnt('{"a":"text"}', "text").match(data) == []


@pytest.mark.parametrize(
    ("data", "others"),
    [
        ('{"a":"text","b":"text"}', '{"a":"x","b":"text"}'),
        ('{"a":"text","b":"text"}', '{"a":"x","b":'),
        ('{"a":"\\u0074ext","b":"text"}', '{"a":"\\u0074ext","b":"x"}'),
        ('{"a":"text"} ', '{"a":"x"} '),
        ('{"a":text}', '{"a":x}'),
    ],
)
def test_a_frame_whose_text_is_not_surely_found_is_not_learnt(data: str, others: str) -> None:
    assert learnt(data, "text").match(f"data: {others}\n\n".encode()) == []


def test_a_frame_is_not_learnt_together_with_what_is_not_all_of_it() -> None:
    patterns = [learnt('{"a":"text"}', "text", behind=b"\n\nda"), learnt('{"a":"text"}', "text", event="b")]

    assert [pattern.match(b'data: {"a":"x"}\n\n') for pattern in patterns] == [[], []]


def test_a_frame_that_cannot_be_learnt_is_no_reason_to_recognise_the_one_before() -> None:
    pattern = learnt('{"a":"text"}', "text")
    pattern.learn([], "text", decoder_after(b": ping\n\n"))

    assert pattern.match(b'data: {"a":"x"}\n\n') == []


@pytest.mark.parametrize(
    ("data", "separator"),
    [
        (b"data: {}\n\n", b"\n\n"),
        (b"data: {}\r\n\r\n", b"\r\n\r\n"),
        (b"data: {}\n" + b"\r\r\n" * 2, b"\r\n"),
        (b"data: {}\n\nda", b""),
        (b"data: {}\n\nevent: b\n", b""),
        (b"", b""),
    ],
)
def test_what_separates_frames_is_known_while_no_part_of_one_is_held(data: bytes, separator: bytes) -> None:
    assert decoder_after(data).separator == separator
