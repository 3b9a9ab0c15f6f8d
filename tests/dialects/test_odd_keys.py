"""Tools whose schemas have odd keys, from every client to every backend: calls come back in the client's own keys."""

import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from dialects.adapt.property_keys import property_keys_for
from dialects.capabilities.models import Vendor, profile_for
from dialects.core.conversation import JSON, Completion, Conversation, Stop, StopReason, ToolCall
from dialects.core.events import BlockDelta, fold, unfold
from dialects.framing.json_text import dumps
from dialects.interface import Envelope
from dialects.registry import BACKENDS, CLIENTS
from dialects.translator import ClientRequest, Translator, translator_for
from tests.dialects import golden, mangling
from tests.dialects.adapt.test_property_keys import asked, properties_in, seeds, with_keys
from tests.support.rows import Rows

MODELS = Rows(
    __file__,
    "MODELS",
    {
        "openai-chat": "gpt-4.1",
        "openai-responses": "gpt-5.3-codex",
        "anthropic-messages": "anthropic--claude-4.5-sonnet",
        "gemini": "gemini-2.5-flash",
        "bedrock-converse": "anthropic--claude-3.5-sonnet",
        "orchestration": "anthropic--claude-4.5-sonnet",
    },
)
WAYS = [(client, backend, model) for client in CLIENTS for backend, model in MODELS.items()]
WAYS += [(client, "bedrock-converse", "amazon--nova-pro") for client in CLIENTS]
ENVELOPE = Envelope("tok", "m", 1_780_000_000, Conversation("m"))


def body_of(client: str, schema: JSON, said: JSON) -> JSON:
    """A request in which the one tool has been called, and may be again."""
    match client:
        case "openai-chat":
            call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps(said)}}
            messages = [
                {"role": "user", "content": "Which?"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "This."},
            ]
            return {
                "messages": messages,
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
            }
        case "openai-responses":
            items = [
                {"role": "user", "content": "Which?"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": json.dumps(said)},
                {"type": "function_call_output", "call_id": "c1", "output": "This."},
            ]
            return {"input": items, "tools": [{"type": "function", "name": "f", "parameters": schema}]}
        case "anthropic-messages":
            messages = [
                {"role": "user", "content": "Which?"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": said}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "This."}]},
            ]
            return {"max_tokens": 9, "messages": messages, "tools": [{"name": "f", "input_schema": schema}]}
        case _:
            contents = [
                {"role": "user", "parts": [{"text": "Which?"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": said}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "This."}}}]},
            ]
            return {
                "contents": contents,
                "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}],
            }


def told(backend: str, body: JSON) -> tuple[JSON, JSON]:
    """The schema that a model was told, and the arguments of the call so far."""
    match backend:
        case "openai-chat":
            call = next(message for message in body["messages"] if "tool_calls" in message)["tool_calls"][0]
            return body["tools"][0]["function"]["parameters"], json.loads(call["function"]["arguments"])
        case "openai-responses":
            call = next(item for item in body["input"] if item.get("type") == "function_call")
            return body["tools"][0]["parameters"], json.loads(call["arguments"])
        case "anthropic-messages":
            return body["tools"][0]["input_schema"], body["messages"][1]["content"][0]["input"]
        case "gemini":
            parts = [part for turn in body["contents"] for part in turn["parts"]]
            [declared] = body["tools"][0]["functionDeclarations"]
            schema = declared.get("parametersJsonSchema") or declared["parameters"]
            return schema, next(part["functionCall"]["args"] for part in parts if "functionCall" in part)
        case "orchestration":
            call = next(message for message in body["messages_history"] if "tool_calls" in message)["tool_calls"][0]
            prompt = body["config"]["modules"]["prompt_templating"]["prompt"]
            return prompt["tools"][0]["function"]["parameters"], json.loads(call["function"]["arguments"])
        case _:
            [tool] = body["toolConfig"]["tools"]
            return tool["toolSpec"]["inputSchema"]["json"], body["messages"][1]["content"][0]["toolUse"]["input"]


def answered(backend: str, arguments: JSON, pieces: list[str]) -> tuple[JSON, bytes]:
    """What a backend answers when its model calls the tool: whole, and streamed in these pieces of the arguments."""
    completion = Completion("id", "m", (ToolCall("c2", "f", dumps(arguments)),), Stop(StopReason.TOOL_USE))
    dialect = "openai-chat" if backend == "orchestration" else backend
    if dialect in CLIENTS:
        writer = CLIENTS[dialect].writer(ENVELOPE)
        begun, opened, _, *ending = unfold(completion)
        events = [begun, opened, *(BlockDelta(0, piece) for piece in pieces), *ending]
        whole, stream = CLIENTS[dialect].render_response(completion, ENVELOPE), writer.write(events)
        return (whole, stream) if backend == dialect else ({"final_result": whole}, within_results(stream))
    use = {"toolUseId": "c2", "name": "f"}
    frames: list[JSON] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockStart": {"start": {"toolUse": use}, "contentBlockIndex": 0}},
        *({"contentBlockDelta": {"delta": {"toolUse": {"input": piece}}, "contentBlockIndex": 0}} for piece in pieces),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}},
    ]
    content = [{"toolUse": {**use, "input": arguments}}]
    whole = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use", "usage": {}}
    return whole, b"".join(f"data: {json.dumps(frame)}\n\n".encode() for frame in frames)


def within_results(stream: bytes) -> bytes:
    """The same chunks as orchestration sends them."""
    chunks = [chunk.removeprefix(b"data: ") for chunk in stream.split(b"\n\n")]
    return b"".join(
        b"data: " + (chunk if chunk == b"[DONE]" else b'{"final_result": %b}' % chunk) + b"\n\n"
        for chunk in chunks
        if chunk
    )


def called(client: str, translator: Translator, whole: JSON, stream: bytes, rng: Random) -> list[Any]:
    """With which arguments the client's own reader sees the tool called, whole and streamed."""
    relay = translator.relay(mangling.SSE)
    said = b"".join([*map(relay.feed, mangling.chopped(stream, rng)), relay.finish()])
    reader = BACKENDS[client]
    answers = [
        reader.parse_response(json.loads(json.dumps(translator.render_response(whole).body)), "t"),
        fold(golden.read(reader.reader("t", mangling.SSE), [said])),
    ]
    return [json.loads(part.arguments) for answer in answers for part in answer.parts if isinstance(part, ToolCall)]


@pytest.mark.parametrize(("client", "backend", "model"), WAYS)
@given(seeds)
@settings(max_examples=15)
def test_a_call_comes_back_under_the_keys_of_its_client(client, backend, model, seed):
    schema, said = asked(seed)
    body, rng, profile = body_of(client, schema, said), Random(seed), profile_for(model)
    conversation = CLIENTS[client].parse_request({**body, "model": "m"})
    request = ClientRequest(client, {**body, "model": "m"}, Envelope("tok", "m", 0, conversation))
    translator = translator_for(request, backend, profile)
    described, so_far = told(backend, translator.render_request(profile).body)
    sent = dict(property_keys_for(conversation, profile.odd_in_keys).sent)
    model_says = with_keys(said, sent)
    pieces = golden.cut(dumps(model_says), [rng.randrange(99) for _ in range(4)])

    assert model_says == so_far
    assert properties_in(described) <= {sent.get(key, key) for key in properties_in(schema)}
    if profile.vendor is Vendor.CLAUDE:
        assert [key for key in properties_in(described) if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", key)] == []
    whole, stream = answered(backend, model_says, [piece for piece in pieces if piece])
    assert [said, said] == called(client, translator, whole, stream, rng)
