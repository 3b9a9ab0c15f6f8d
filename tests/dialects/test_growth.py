"""No request, answer or stream makes a dialect more than linear: 16 times as much takes about 16 times as long.

Requests are what clients really send (`mangling.BODIES`), with one element of one list many times, or with whole lists
many times. Streams are captured ones with one frame many times. So a new dialect is measured without more rows.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import (
    JSON,
    Citation,
    Completion,
    Conversation,
    Family,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolForm,
    ToolSpec,
)
from dialects.core.events import Event, fold, unfold
from dialects.core.faults import UNREADABLE, FaultError
from dialects.interface import Envelope
from dialects.registry import BACKENDS, CLIENTS
from dialects.translator import ClientRequest, translator_for
from tests.dialects import golden, mangling
from tests.dialects.lengthening import CONVERSATIONS, Path, at, in_turn, lists_in, many, together, with_list
from tests.dialects.test_laws import ASKABLE, ONE_OF_EACH, SCENES, envelope_for, folder, ways
from tests.support.growth import Case, groups_of, must_all_be_linear

pytestmark = pytest.mark.repeats


_BYTES = 12 * 1024
"""The size of the smallest requests and answers."""

# --- Requests


def asked(client: str, profile: ModelProfile, backend: str, conversation: Conversation, body: JSON) -> None:
    """Render a request for a model, from the body if it can pass."""
    envelope = replace(envelope_for(client), conversation=conversation)
    request = ClientRequest(client, body, envelope, may_pass=bool(body))
    with suppress(FaultError):
        translator_for(request, backend, profile).render_request(profile)


def parsed(client: str, body: JSON) -> None:
    with suppress(FaultError):
        CLIENTS[client].parse_request(body)


def passed(client: str, profile: ModelProfile, body: JSON) -> None:
    with suppress(FaultError):
        asked(client, profile, client, CLIENTS[client].parse_request(body), body)


def one_often(body: JSON, path: Path, place: int, times: int) -> JSON:
    """Copy a body with one element of one of its lists many times."""
    elements = at(body, path)
    copies = many(elements[place], times)
    return with_list(body, path, [*elements[:place], *copies, *elements[place + 1 :]])  # type: ignore[no-any-return]


def all_often(body: JSON, path: Path, order: Any, times: int) -> JSON:
    """Copy a body with all elements of one of its lists many times."""
    return with_list(body, path, order(at(body, path), times))  # type: ignore[no-any-return]


def enough(element: Any) -> int:
    """Return how many copies of an element take about half a millisecond."""
    return max(8, min(250, _BYTES // len(json.dumps(element))))


def requests() -> Iterator[Case]:
    """Parse requests in which there are many of something."""
    for client, body in mangling.BODIES.items():
        for path in lists_in(body):
            name = f"{client} {'.'.join(map(str, path))}"
            for place, each in enumerate(at(body, path)):
                build = partial(one_often, body, path, place)
                yield Case(f"{name} {place}", enough(each), build, partial(parsed, client))
            for order in (together, in_turn) if len(at(body, path)) > 1 else ():
                build = partial(all_often, body, path, order)
                yield Case(f"{name} {order.__name__}", enough(at(body, path)), build, partial(parsed, client))


def passing() -> Iterator[Case]:
    """Pass requests on to a model that is asked in the client's own dialect."""
    for client, body in mangling.BODIES.items():
        profile = next((profile for backend, profile in ASKABLE if backend == client), None)
        for path in lists_in(body) if profile else ():
            if len(path) == 1:
                for order in (together, in_turn):
                    name, build = f"{client} {path[0]}", partial(all_often, body, path, order)
                    size = enough(at(body, path))
                    yield Case(f"{name} {order.__name__}", size, build, partial(passed, client, profile))


def conversations() -> Iterator[Case]:
    """Render conversations for a model in each dialect and one of each vendor, from a client of another dialect."""
    others = {profile.vendor: (backend, profile) for backend, profile in reversed(ASKABLE)}
    known = {profile.vendor for _, profile in ONE_OF_EACH}
    for backend, profile in (*ONE_OF_EACH, *(each for vendor, each in others.items() if vendor not in known)):
        client = next(name for name in CLIENTS if name != backend)
        run = partial(asked, client, profile, backend, body={})
        for name, build in CONVERSATIONS.items():
            yield Case(f"{backend} {profile.name} {name}", 40, build, run)


@pytest.mark.parametrize("cases", groups_of(requests()))
def test_the_time_to_read_a_request_grows_with_its_length(cases: list[Case]) -> None:
    must_all_be_linear(cases)


@pytest.mark.parametrize("cases", groups_of(passing()))
def test_the_time_to_pass_a_request_on_grows_with_its_length(cases: list[Case]) -> None:
    must_all_be_linear(cases)


@pytest.mark.parametrize("cases", groups_of(conversations(), words=2))
def test_the_time_to_ask_a_model_grows_with_the_conversation(cases: list[Case]) -> None:
    must_all_be_linear(cases)


# --- Answers and streams

Said = list[tuple[str | None, Any]]


def frames_of_each_kind(backend: str) -> Iterator[tuple[str, Said, int]]:
    """Find the kinds of frames in captured streams: yield a name, the stream, and the place of the frame in it."""
    known = set[str]()
    for name, scene, suffix in SCENES:
        if name == backend:
            said = [(event, mangling.loaded(data)) for event, data in mangling.frames(folder(backend), scene, suffix)]
            for place, (event, message) in enumerate(said):
                kind = f"{event} {shape_of(message)}"
                if kind not in known:
                    known.add(kind)
                    yield f"{backend} {scene}{suffix} {place}", said, place


def shape_of(message: Any, depth: int = 3) -> str:
    """Describe which fields a frame has."""
    if isinstance(message, dict) and depth:
        return str(sorted((key, shape_of(message[key], depth - 1)) for key in message if message[key]))
    return str([shape_of(each, depth - 1) for each in message[:1]]) if isinstance(message, list) else ""


def frames(said: Said, place: int, is_same: bool, times: int) -> list[bytes]:
    """The frames of a stream with one of them many times: the same one, or each with another number."""
    event, message = said[place]
    copies = [message] * times if is_same else many(message, times)
    whole = [*said[:place], *((event, each) for each in copies), *said[place + 1 :]]
    return [mangling.framed([frame], "json") for frame in whole]


def read(backend: str, chunks: list[bytes]) -> None:
    golden.read(BACKENDS[backend].reader("tok", mangling.SSE), chunks)


def streams() -> Iterator[Case]:
    """Read streams with many frames of one kind."""
    for backend in BACKENDS:
        for name, said, place in frames_of_each_kind(backend):
            is_numbered = many(said[place][1], 2) != [said[place][1]] * 2
            for is_same in (True, False)[: 1 + is_numbered]:
                build = partial(frames, said, place, is_same)
                yield Case(f"{name} {'same' if is_same else 'numbered'}", 30, build, partial(read, backend))


def torn(said: Said, form: str, times: int) -> list[bytes]:
    """A stream with one long text, each byte of which comes alone."""
    longest = max(range(len(said)), key=lambda place: len(str(said[place][1])))
    event, message = said[longest]
    padded = {**message, "padding": "x" * times} if isinstance(message, dict) else message
    return golden.byte_by_byte(mangling.framed([*said[:longest], (event, padded)], form))


def relayed(backend: str, kind: str, way: int, chunks: list[bytes]) -> None:
    relay = [*ways(backend, kind)][way]
    for chunk in chunks:
        relay.feed(chunk)
    relay.finish()


def relays() -> Iterator[Case]:
    """Relay streams with many frames of the last kind but one to all clients, and frames cut at every byte."""
    for backend in BACKENDS:
        found = [*frames_of_each_kind(backend)]
        longest = max(found, key=lambda each: len(each[1]))[1]
        for way in range(len([*ways(backend, mangling.SSE)])):
            run = partial(relayed, backend, mangling.SSE, way)
            yield Case(f"{backend} {way} many", 30, partial(frames, longest, len(longest) // 2, True), run)
        for form, kind in (("json", mangling.SSE), ("binary", mangling.EVENT_STREAM)):
            run = partial(relayed, backend, kind, 0)
            yield Case(f"{backend} {form} byte by byte", 1500, partial(torn, longest, form), run)


def answers(times: int) -> dict[str, tuple[Part, ...]]:
    """Long answers, by what there is much of."""
    cited = tuple(Citation(Source("https://x"), i, i + 1, "a") for i in range(times))
    return {
        "texts": (Text("a"), Refusal("b")) * times,
        "calls": tuple(ToolCall(f"c{i}", f"f{i % 3}", '{"input":"x"}') for i in range(times)),
        "thoughts": tuple(Thinking("a", "AAAA", family=Family.GEMINI) for i in range(times)),
        "citations": (Text("a" * times, citations=cited),),
        "log probabilities": (Text("a" * times, logprobs=({"token": "a", "logprob": 0, "top_logprobs": []},) * times),),
    }


def envelope(client: str, times: int) -> Envelope:
    """An envelope of a request with many tools: functions, custom ones, and groups."""
    tools = [ToolSpec(f"f{i}", form=[*ToolForm][i % 3 % 2]) for i in range(times)]
    group = {"type": "namespace", "name": "g", "tools": [{"type": "function", "name": f"f{i}"} for i in range(times)]}
    return envelope_for(client, tools=(*tools, Opaque("openai-responses", group)))


def answered(client: str, kind: str, times: int) -> tuple[str, Envelope, Completion, list[Event]]:
    completion = Completion(parts=answers(times)[kind])
    return client, envelope(client, times), completion, [*unfold(completion)]


def written(given: tuple[str, Envelope, Completion, list[Event]]) -> None:
    client, about, completion, events = given
    CLIENTS[client].render_response(completion, about)
    writer = CLIENTS[client].writer(about)
    for event in events:
        writer.write([event])
    fold(events)


def read_whole(backend: str, body: JSON) -> None:
    with suppress(FaultError, *UNREADABLE):
        BACKENDS[backend].parse_response(body, "tok")


def responses() -> Iterator[Case]:
    """Write long answers for clients with many tools, and read captured ones with one element many times."""
    for client in CLIENTS:
        for kind in answers(1):
            yield Case(f"{client} {kind}", 40, partial(answered, client, kind), written)
    for backend in BACKENDS:
        bodies = {scene: golden.body(folder(backend), scene) for name, scene, _ in SCENES if name == backend}
        for scene, body in bodies.items():
            for path in lists_in(body) if isinstance(body, dict) else ():
                for place, each in enumerate(at(body, path)):
                    name, build = f"{scene} {'.'.join(map(str, path))}", partial(one_often, body, path, place)
                    yield Case(f"{backend} {name} {place}", enough(each), build, partial(read_whole, backend))


@pytest.mark.parametrize("cases", groups_of(streams()))
def test_the_time_to_read_a_stream_grows_with_its_frames(cases: list[Case]) -> None:
    must_all_be_linear(cases)


@pytest.mark.parametrize("cases", groups_of(relays()))
def test_the_time_to_relay_a_stream_grows_with_its_bytes(cases: list[Case]) -> None:
    must_all_be_linear(cases)


@pytest.mark.parametrize("cases", groups_of(responses()))
def test_the_time_of_a_whole_answer_grows_with_its_parts(cases: list[Case]) -> None:
    must_all_be_linear(cases)


def test_every_dialect_is_measured() -> None:
    measured = {case.name.partition(" ")[0] for case in (*requests(), *streams(), *conversations(), *responses())}

    assert measured == CLIENTS.keys() | BACKENDS.keys()
