"""What holds for every dialect in the tables, however many there are."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.adapt.claude_tools import JSON_TOOL
from dialects.adapt.token_estimate import estimate_tokens
from dialects.adapt.turn_order import FAILED
from dialects.capabilities.models import ModelProfile, ThinkingStyle, profile_for
from dialects.core.conversation import (
    JSON,
    Completion,
    Conversation,
    Effort,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.events import Failed, checked, fold, unfold
from dialects.core.faults import FaultError
from dialects.framing.sse import SSEDecoder
from dialects.gemini.request_renderer import SKIP_SIGNATURE
from dialects.interface import Envelope, Origin
from dialects.registry import BACKENDS, CLIENTS, PASSTHROUGHS
from dialects.translator import ClientRequest, translator_for
from tests.dialects import golden, imagined, mangling
from tests.oracles.anthropic import check_messages_request
from tests.oracles.bedrock import check_converse_request
from tests.oracles.gemini import check_gemini_request
from tests.oracles.openai import check_chat_request, check_responses_request
from tests.oracles.orchestration import check_orchestration_request
from tests.support.rows import Rows
from tests.support.sources import held

MODELS = Rows(
    __file__,
    "MODELS",
    {
        "openai-chat": ("gpt-4o", "gpt-5", "mistralai--mistral-large-instruct", "cohere--command-a-reasoning"),
        "openai-responses": ("gpt-4o", "gpt-5.3-codex", "gpt-5.4"),
        "anthropic-messages": (
            "anthropic--claude-4-sonnet",
            "anthropic--claude-4.6-sonnet",
            "anthropic--claude-4.7-opus",
        ),
        "gemini": ("gemini-2.5-flash", "gemini-3.1-pro"),
        "bedrock-converse": ("anthropic--claude-4-sonnet", "anthropic--claude-4.7-opus", "amazon--nova-pro"),
        "orchestration": (
            *("anthropic--claude-4.5-sonnet", "anthropic--claude-4.8-opus", "gemini-3.5-flash", "gpt-5.4", "gpt-5"),
            *("amazon--nova-pro", "mistralai--mistral-medium", "cohere--command-a-reasoning"),
        ),
    },
)
ORACLES = Rows(
    __file__,
    "ORACLES",
    {
        "openai-chat": check_chat_request,
        "openai-responses": check_responses_request,
        "anthropic-messages": check_messages_request,
        "gemini": check_gemini_request,
        "bedrock-converse": check_converse_request,
        "orchestration": check_orchestration_request,
    },
)
ASKABLE = [(backend, profile_for(model)) for backend in BACKENDS for model in MODELS[backend]]
ONE_OF_EACH = [(backend, profile_for(MODELS[backend][0])) for backend in BACKENDS]
SPOKEN_ON_BOTH_SIDES = [(backend, profile) for backend, profile in ASKABLE if backend in CLIENTS]


def folder(backend: str) -> str:
    return backend.replace("-", "_")


SCENES = [
    (backend, scene, suffix)
    for backend in BACKENDS
    for suffix in mangling.CONTENT_TYPES
    for scene in golden.scenes(folder(backend), suffix)
]
SAID = {
    backend: [mangling.frames(folder(backend), scene, suffix) for name, scene, suffix in SCENES if name == backend]
    for backend in BACKENDS
}
WORDS = {
    backend: mangling.vocabulary(mangling.loaded(data) for frames in SAID[backend] for _, data in frames)
    for backend in BACKENDS
}
seeds = st.integers(0, 2**32)


def envelope_for(client: str, **fields: Any) -> Envelope:
    asked = Conversation("my-model", client, stream_usage=True, **fields)
    return Envelope("tok", "my-model", 1_780_000_000, asked, Origin(id="resp_U0VB{}".format, signature="U0VB{}".format))


def ways(backend: str, kind: str) -> Iterator[Any]:
    """Fresh relays from a backend to every client, translated and, where it can be, passed."""
    for client in CLIENTS:
        for may_pass in (False, True)[: 1 + (client == backend)]:
            request = ClientRequest(client, {}, envelope_for(client), may_pass)
            yield translator_for(request, backend, profile_for(MODELS[backend][0])).relay(kind)


def relayed(relay: Any, chunks: Sequence[bytes]) -> bytes:
    return b"".join([*(relay.feed(chunk) for chunk in chunks), relay.finish()])


def same_arguments(completion: Completion) -> Completion:
    """Compare arguments as the JSON they are: only a stream has the model's own spelling."""
    parts = tuple(
        replace(part, arguments=json.loads(part.arguments or "{}")) if isinstance(part, ToolCall) else part
        for part in completion.parts
    )
    return replace(completion, parts=parts)


def test_every_dialect_is_held_to_these_laws():
    told = {backend for backend, _, _ in SCENES}

    held("Add rows to ORACLES.", sorted(BACKENDS.keys() - ORACLES.keys()))
    held("Add bodies to tests/dialects/mangling.py.", sorted(CLIENTS.keys() - mangling.BODIES.keys()))
    held("Put captured streams into tests/wire/NAME.", sorted(BACKENDS.keys() - told))
    assert MODELS.keys() == ORACLES.keys() == BACKENDS.keys()
    assert mangling.BODIES.keys() == CLIENTS.keys()
    assert PASSTHROUGHS.keys() <= CLIENTS.keys() & BACKENDS.keys()


# --- Answers


@pytest.mark.parametrize(("backend", "scene", "suffix"), SCENES)
def test_a_stream_says_what_the_whole_answer_says(backend, scene, suffix):
    data, whole = golden.wire(folder(backend), scene, suffix), golden.body(folder(backend), scene)
    events = golden.read(BACKENDS[backend].reader("tok", mangling.CONTENT_TYPES[suffix]), [data])

    if whole is None:
        assert isinstance(events[-1], Failed)
    else:
        assert same_arguments(BACKENDS[backend].parse_response(whole, "tok")) == same_arguments(fold(events))


@pytest.mark.parametrize(("backend", "scene", "suffix"), SCENES)
def test_what_any_client_gets_does_not_depend_on_where_the_network_cut(backend, scene, suffix):
    data, kind = golden.wire(folder(backend), scene, suffix), mangling.CONTENT_TYPES[suffix]
    rng = Random(scene)  # the same cuts in every run
    whole = [(relayed(relay, [data]), relay.seen) for relay in ways(backend, kind)]
    for chunks in (golden.byte_by_byte(data), *(mangling.chopped(data, rng) for _ in range(3))):
        assert whole == [(relayed(relay, chunks), relay.seen) for relay in ways(backend, kind)]
    assert all(seen.over for _, seen in whole)


def strange(backend: str, seed: int) -> tuple[str, list[bytes]]:
    """Bytes that a backend could nearly have sent, and what their content type claims."""
    rng = Random(seed)
    said = [(event, mangling.loaded(data)) for event, data in rng.choice(SAID[backend])]
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(said))
        said[place] = (said[place][0], mangling.spoiled(said[place][1], rng, WORDS[backend]))
    rng.shuffle(said) if rng.random() < 0.2 else None
    form = rng.choice(["json", "json", "python", "binary"])
    data = mangling.framed(said, form)
    data = mangling.torn(data, rng) if rng.random() < 0.3 else data
    honest = mangling.EVENT_STREAM if form == "binary" else mangling.SSE
    return (honest if rng.random() < 0.9 else mangling.EVENT_STREAM), mangling.chopped(data, rng)


@pytest.mark.parametrize("backend", BACKENDS)
@given(seeds)
@settings(max_examples=40)
def test_no_bytes_make_a_reader_raise_or_speak_ungrammatically(backend, seed):
    kind, chunks = strange(backend, seed)
    events = golden.read(BACKENDS[backend].reader("tok", kind), chunks)

    assert golden.read(BACKENDS[backend].reader("tok", kind), [b"".join(chunks)]) == events
    for relay in ways(backend, kind):
        assert SSEDecoder().feed(relayed(relay, chunks) + b"\n") or not events
        assert relay.seen.over


@pytest.mark.parametrize("backend", BACKENDS)
@given(st.data())
@settings(max_examples=20)
def test_no_noise_makes_a_reader_raise_or_speak_ungrammatically(backend, data):
    chunks = data.draw(golden.noise(WORDS[backend]))
    for kind in mangling.CONTENT_TYPES.values():
        golden.read(BACKENDS[backend].reader("tok", kind), chunks)


def words_of(completion: Completion) -> dict[str, Any]:
    """What an answer says, without how it is divided."""
    thoughts = "".join(part.text for part in completion.parts if isinstance(part, Thinking))
    words = "".join(part.text for part in completion.parts if isinstance(part, Text | Refusal))
    calls = [(part.name, json.loads(part.arguments)) for part in completion.parts if isinstance(part, ToolCall)]
    usage = completion.usage
    return {
        "thoughts": thoughts,
        "words": words,
        "calls": calls,
        "stop": completion.stop.reason,
        "usage": (usage.prompt, usage.cache_read, usage.output, usage.reasoning),
    }


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in BACKENDS])
@given(imagined.completions())
@settings(max_examples=40)
def test_what_is_said_to_clients_is_understood_as_it_was_meant(name, completion):
    client, backend, envelope = CLIENTS[name], BACKENDS[name], envelope_for(name, reasoning=Reasoning(adaptive=True))
    written = client.writer(envelope).write(checked(unfold(completion)))
    streamed = fold(golden.read(backend.reader("tok", ""), [written]))
    whole = backend.parse_response(json.loads(orjson.dumps(client.render_response(completion, envelope))), "tok")

    assert words_of(completion) == words_of(streamed) == words_of(whole)


# --- Requests


def asked(backend: str, conversation: Conversation, profile: ModelProfile) -> tuple[JSON, frozenset[str]]:
    rendered = BACKENDS[backend].render_request(conversation, profile)
    return json.loads(orjson.dumps(rendered.body)), frozenset(rendered.dropped)


def understood(name: str, conversation: Conversation, profile: ModelProfile) -> tuple[Conversation, frozenset[str]]:
    """Ask, and understand what was asked; Gemini says in the path which model, and whether to stream."""
    body, dropped = asked(name, conversation, profile)
    return CLIENTS[name].parse_request({"stream": conversation.stream, **body, "model": "m"}), dropped


def strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from strings(inner)
        case list():
            for inner in value:
                yield from strings(inner)


@pytest.mark.parametrize(("backend", "profile"), ASKABLE)
@given(imagined.conversations())
@settings(max_examples=20)
def test_every_word_is_asked_in_a_body_the_vendor_takes(backend, profile, conversation):
    body, dropped = asked(backend, conversation, profile)

    ORACLES[backend](body)
    assert asked(backend, conversation, profile) == (body, dropped)
    said = "\n".join(strings(body))
    for text in (part.text for part in all_parts(conversation) if isinstance(part, Text)):
        assert text in said


def all_parts(conversation: Conversation) -> Iterator[Part]:
    yield from conversation.system
    for message in conversation.messages:
        for part in message.parts:
            yield part
            yield from part.parts if isinstance(part, ToolResult) else ()


def flow(conversation: Conversation, *, thoughts: bool) -> list[list[Any]]:
    """Who said what in which order; words of one speaker run together, and white space is as it may be."""
    said: list[list[Any]] = []
    for message in conversation.messages:
        who = "assistant" if message.role is Role.ASSISTANT else "user"
        for kind, value in (_told(part, message) for part in message.parts):
            if kind == "thought" and (not thoughts or SKIP_SIGNATURE in value):
                continue
            if kind == "text" and said and said[-1][:2] == [who, kind]:
                said[-1][2] += value
            else:
                said.append([who, kind, value])
    return said


def _told(part: Part, message: Message) -> tuple[str, Any]:
    match part:
        case Text(text) if message.role is Role.SYSTEM:
            return "text", "".join(f"<system>{text}</system>".split())
        case Text(text) | Refusal(text):
            return "text", "".join(text.split())
        case Thinking(text, signature):
            return "thought", (text, signature)
        case ToolCall(_, name, arguments):
            return "call", (name, json.loads(arguments or "{}"))
        case ToolResult(_, parts):
            said = "".join("".join(inner.text.split()) for inner in parts if isinstance(inner, Text))
            return "result", (has_failed(part), said.removeprefix("".join(FAILED.split())))
        case Media(kind, mime, data):
            return kind.value, (mime, data)
        case Opaque(dialect, payload):
            return dialect, payload


def has_failed(result: ToolResult) -> bool:
    """Whether a call failed, by a field or in words."""
    return result.is_error or any(isinstance(each, Text) and each.text.startswith(FAILED) for each in result.parts[:1])


def settings_of(conversation: Conversation, profile: ModelProfile) -> dict[str, Any]:
    """What a request wants beside an answer, under the names of what may be dropped.

    A choice is moot beside the tool that answers in JSON; a model that thinks by itself need not be told to.
    """
    sampling, choice, reasoning = conversation.sampling, conversation.tool_choice, conversation.reasoning
    parts = list(all_parts(conversation))
    specs = [tool for tool in conversation.tools if isinstance(tool, ToolSpec) and tool.name != JSON_TOOL]
    json_tool = len(specs) < len(conversation.tools)
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature if sampling.temperature != 1 else None,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": sampling.stop,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "user": conversation.user,
        "prompt_cache_key": conversation.cache_key,
        "cache_control": sum(bool(getattr(part, "cache", None)) for part in parts),
        "tools": [(tool.name, tool.description, tool.parameters) for tool in specs],
        "tool_choice": choice and (choice.mode, choice.name),
        "parallel_tool_calls": choice is not None and choice.mode is not ToolMode.NONE and choice.parallel is False,
        "response_format": json_tool or conversation.output is not None,
        "reasoning": reasoning is not None and asks_to_think(reasoning, profile),
        "stream": conversation.stream,
    }


def asks_to_think(reasoning: Reasoning, profile: ModelProfile) -> bool:
    if reasoning.effort is None and reasoning.budget is None and profile.thinking is not ThinkingStyle.NONE:
        return False
    return reasoning.effort is not Effort.NONE


EXCUSES = {
    "reasoning": ("reasoning", "thinking", "output_config.effort"),
}
"""Under which names a thing is dropped, where that is not its own."""


@pytest.mark.parametrize(("name", "profile"), SPOKEN_ON_BOTH_SIDES)
@given(imagined.conversations())
@settings(max_examples=60)
def test_nothing_is_lost_in_silence(name, profile, conversation):
    again, dropped = understood(name, conversation, profile)
    thoughts = not any("thinking" in why for why in dropped)

    assert flow(conversation, thoughts=thoughts) == flow(again, thoughts=thoughts)
    wanted, got = settings_of(conversation, profile), settings_of(again, profile)
    lost = {what for what, value in wanted.items() if value and value != got[what]}
    if any(tool.name == JSON_TOOL for tool in again.tools if isinstance(tool, ToolSpec)):
        lost.discard("tool_choice")
    assert not {what for what in lost if not any(why.startswith(EXCUSES.get(what, what)) for why in dropped)}


@pytest.mark.parametrize(("name", "profile"), SPOKEN_ON_BOTH_SIDES)
@given(imagined.conversations())
@settings(max_examples=20)
def test_what_was_understood_is_asked_and_understood_again(name, profile, conversation):
    once, _ = understood(name, conversation, profile)
    again, dropped = understood(name, once, profile)

    assert once == again
    assert not dropped


def ask_all(client: str, body: JSON, askable: Sequence[tuple[str, ModelProfile]]) -> None:
    """Understand a body and ask it of every model; any of it may be refused, and nothing else."""
    with suppress(FaultError):
        envelope = Envelope("tok", "m", 0, CLIENTS[client].parse_request(body))
        estimate_tokens(envelope.conversation)
        for backend, profile in askable:
            with suppress(FaultError):
                translator_for(ClientRequest(client, body, envelope), backend, profile).render_request(profile)


@pytest.mark.parametrize("client", CLIENTS)
@given(seeds)
@settings(max_examples=80)
def test_any_request_is_understood_or_refused_in_words(client, seed):
    words = mangling.vocabulary([mangling.BODIES[client]])
    ask_all(client, mangling.spoiled(mangling.BODIES[client], Random(seed), words, times=4), ASKABLE)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"properties":{"a":', "}}")])
def test_json_of_any_depth_is_understood_or_refused_in_words(client, opening, closing):
    """As deep as a body can be that is read at all."""
    times = 1000 // len(closing)
    deep = opening * times + "1" + closing * times
    whole = orjson.dumps(mangling.BODIES[client])
    for number in range(len(list(mangling.places(mangling.BODIES[client])))):
        body = orjson.loads(whole)
        inside, key = list(mangling.places(body))[number]
        inside[key] = orjson.loads(deep)
        ask_all(client, body, ONE_OF_EACH)


@pytest.mark.parametrize("client", CLIENTS)
@given(st.data())
@settings(max_examples=25)
def test_any_json_is_understood_or_refused_in_words(client, data):
    words = mangling.vocabulary([mangling.BODIES[client]])
    body = data.draw(st.dictionaries(st.sampled_from(words), golden.junk(words), max_size=5))
    ask_all(client, body, ONE_OF_EACH)
    ask_all(client, mangling.BODIES[client] | body, ONE_OF_EACH)
