"""A whole answer that is unfolded into a stream: the client is told what it would be told in one piece."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    JSON,
    Completion,
    Conversation,
    Message,
    OutputFormat,
    Reasoning,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
    Usage,
)
from dialects.core.events import Event, Failed, fold
from dialects.core.faults import FaultKind
from dialects.core.relay import Relay
from dialects.core.streams import UnfoldingReader
from dialects.framing.json_text import dumps, loads
from dialects.interface import Envelope, Origin
from dialects.registry import BACKENDS, DIALECTS
from dialects.translator import ClientRequest, UnfoldingTranslator, translator_for
from tests.dialects import golden

BACKEND = "orchestration"
CLAUDE, GPT, GEMINI = "anthropic--claude-4.5-sonnet", "gpt-5.6-luna", "gemini-3.5-flash-lite"
BOTH_ENDS = [name for name, row in DIALECTS.items() if row.client and row.backend]
LONG = "mcp__plugin_everything_playwright__browser_" + "x" * 57
SCHEMA = {"type": "object", "properties": {"$filter": {"type": "string"}, "n": {"type": "integer"}}}
TOOLS = (ToolSpec(LONG, "Looks.", SCHEMA), ToolSpec("ping", "Pings."))
LIST = OutputFormat({"type": "array", "items": {"type": "string"}}, "names")


def unfolding(client: str, model: str, **asked: Any) -> UnfoldingTranslator:
    """The translator of a stream from a model that answers in one piece, which signs the signatures."""
    said = (Message(Role.USER, (Text("Who is there?"),)),)
    asked = {"messages": said, "stream": True, "stream_usage": True, "reasoning": Reasoning(budget=2000), **asked}
    conversation = Conversation("my-model", client, **asked)
    envelope = Envelope("tok", "my-model", 1_780_000_000, conversation, Origin(signature=lambda text: f"mac {text}"))
    request = ClientRequest(client, {}, envelope, may_pass=False)
    translator = translator_for(request, BACKEND, profile_for(model), unfolding=True)

    assert isinstance(translator, UnfoldingTranslator)
    return translator


def names_sent(translator: UnfoldingTranslator, model: str) -> list[str]:
    """What the functions are called where the model is asked."""
    prompt = translator.render_request(profile_for(model)).body["config"]["modules"]["prompt_templating"]["prompt"]
    return [tool["function"]["name"] for tool in prompt.get("tools", [])]


def keys_sent(translator: UnfoldingTranslator, model: str) -> list[str]:
    prompt = translator.render_request(profile_for(model)).body["config"]["modules"]["prompt_templating"]["prompt"]
    return [*prompt["tools"][0]["function"]["parameters"]["properties"]]


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
counts = st.integers(0, 5000)


@st.composite
def results(draw: st.DrawFn, model: str, names: list[str], keys: list[str]) -> JSON:
    """What orchestration answers in one piece: thoughts, words, calls of what was declared, and counts."""
    message: JSON = {"content": draw(words | st.just(""))}
    if draw(st.booleans()):
        message["reasoning_content"] = [{"content": draw(words), "signature": draw(st.sampled_from(["", "c2lnbmVk"]))}]
    arguments = st.dictionaries(st.sampled_from(keys), words, max_size=2).map(dumps)
    calls = draw(st.lists(st.tuples(st.sampled_from(names), arguments), max_size=3))
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": given}}
            for number, (name, given) in enumerate(calls)
        ]
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    read, cached, written = draw(counts), draw(counts), draw(counts)
    usage = {
        "prompt_tokens": read + cached,
        "completion_tokens": written,
        "total_tokens": read + cached + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return result_of(message, reason, model, usage)


def result_of(message: JSON, reason: str, model: str = GPT, usage: JSON | None = None) -> JSON:
    """Wrap a message as orchestration does."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    result = {"id": "chatcmpl-1", "model": model, "choices": [choice], "usage": usage}
    return {"request_id": "r", "intermediate_results": {"templating": []}, "final_result": result}


def streamed(relay: Relay, body: JSON, cut: int) -> bytes:
    """Feed a body in two pieces, which says nothing, and give what comes at its end."""
    data = dumps(body).encode()

    assert [relay.feed(piece) for piece in (data[:cut], data[cut:])] == [b"", b""]
    assert not relay.seen.committed
    return relay.finish()


def understood(
    client: str, translator: UnfoldingTranslator, body: JSON, cut: int = 10
) -> tuple[Completion, Completion]:
    """What a client understands of the stream, and of the same answer in one piece."""
    relay = translator.relay("application/json")
    stream = fold(golden.read(BACKENDS[client].reader("tok", ""), [streamed(relay, body, cut)]))
    reply = translator.render_response(body)

    assert (relay.seen.over, relay.seen.stop, relay.seen.usage) == (True, reply.completion.stop, reply.completion.usage)
    return stream, BACKENDS[client].parse_response(loads(dumps(reply.body).encode()), "tok")


@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
@pytest.mark.parametrize("client", BOTH_ENDS)
@given(st.data())
@settings(max_examples=20)
def test_a_client_understands_the_stream_as_it_would_the_answer_in_one_piece(
    client: str, model: str, data: st.DataObject
) -> None:
    translator = unfolding(client, model, tools=TOOLS)
    sent = names_sent(translator, model)
    body = data.draw(results(model, sent, keys_sent(translator, model)))
    stream, whole = understood(client, translator, body, data.draw(st.integers(0, 200)))

    assert stream == whole
    assert {part.name for part in stream.parts if isinstance(part, ToolCall)} <= {LONG, "ping"}


@pytest.mark.parametrize("client", BOTH_ENDS)
def test_names_and_keys_that_the_model_was_given_are_undone_in_the_stream(client: str) -> None:
    translator = unfolding(client, CLAUDE, tools=TOOLS)
    [name, _], [key, _] = names_sent(translator, CLAUDE), keys_sent(translator, CLAUDE)
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": dumps({key: "x"})}}
    stream, _ = understood(client, translator, result_of({"content": "", "tool_calls": [call]}, "tool_calls"))
    [made] = [part for part in stream.parts if isinstance(part, ToolCall)]

    assert (name, key) != (LONG, "$filter")
    assert (made.name, loads(made.arguments.encode())) == (LONG, {"$filter": "x"})


@pytest.mark.parametrize("client", BOTH_ENDS)
def test_an_object_around_a_list_is_taken_off_in_the_stream(client: str) -> None:
    translator = unfolding(client, GPT, output=LIST)
    prompt = translator.render_request(profile_for(GPT)).body["config"]["modules"]["prompt_templating"]["prompt"]
    [root] = prompt["response_format"]["json_schema"]["schema"]["properties"]
    stream, whole = understood(client, translator, result_of({"content": dumps({root: ["Ada"]})}, "stop"))

    assert stream == whole
    assert [loads(part.text.encode()) for part in stream.parts if isinstance(part, Text)] == [["Ada"]]


def test_the_signatures_of_thoughts_are_signed_in_the_stream() -> None:
    thoughts = [{"content": "Hm.", "signature": "c2lnbmVk"}]
    body = result_of({"content": "Hi.", "reasoning_content": thoughts}, "stop", CLAUDE)
    stream, _ = understood("anthropic-messages", unfolding("anthropic-messages", CLAUDE), body)
    [thought] = [part for part in stream.parts if isinstance(part, Thinking)]

    assert (thought.text, thought.signature) == ("Hm.", "mac c2lnbmVk")


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_is_asked_for_one_piece_whatever_the_client_wants(stream: bool) -> None:
    body = unfolding("openai-chat", GPT, stream=stream).render_request(profile_for(GPT)).body

    assert "stream" not in body["config"]
    assert "stream_options" not in body["config"]["modules"]["prompt_templating"]["model"]["params"]


FILTERED = {"request_id": "r", "code": 400, "message": "400 - Filtering Module - Output: Filtered.", "location": ""}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FaultKind.STREAM_BROKEN),
        (b"{", FaultKind.STREAM_BROKEN),
        (b"[]", FaultKind.STREAM_BROKEN),
        (b'{"final_result": {"choices": []}}', FaultKind.STREAM_BROKEN),
        (dumps({"error": {**FILTERED, "location": "Filtering Module - Output"}}).encode(), FaultKind.CONTENT_FILTERED),
    ],
    ids=["nothing", "cut", "list", "empty", "failed"],
)
def test_an_answer_that_is_none_fails_before_anything_was_said(body: bytes, kind: FaultKind) -> None:
    relay = unfolding("openai-chat", GPT).relay("application/json")
    written = relay.feed(body) + relay.finish()

    assert relay.seen.fault is not None
    assert (relay.seen.fault.kind, relay.seen.committed) == (kind, False)
    assert b'"error"' in written


def said(text: str) -> Completion:
    return Completion("id", "model", (Text(text),), usage=Usage(3, output=2))


def read_in_pieces(longest: int, *pieces: bytes) -> list[Event]:
    reader = UnfoldingReader(lambda body: said(body["text"]), longest)
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def test_an_answer_as_long_as_may_be_is_read() -> None:
    assert fold(read_in_pieces(14, b'{"text":', b' "hi"}')) == said("hi")


def test_an_answer_that_is_too_long_fails_once_and_is_read_no_further() -> None:
    [failed] = read_in_pieces(13, b'{"text":', b' "hi"}', b" ", b" ")

    assert isinstance(failed, Failed)
    assert failed.fault.kind is FaultKind.STREAM_BROKEN
