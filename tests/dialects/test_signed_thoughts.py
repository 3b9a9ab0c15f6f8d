"""Who made an answer is signed into what clients send again, and taken out of it where it is sent."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from dialects.adapt.signatures import pack, signed, unpack, verified
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Completion, Conversation, Family, Message, Opaque, Role, Text, Thinking
from dialects.core.faults import UNREADABLE
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, SSEDecoder
from dialects.interface import AS_MADE, Envelope, Origin
from dialects.openai_responses import passthrough_stored
from dialects.registry import BACKENDS, CLIENTS, PASSTHROUGHS
from dialects.translator import ClientRequest, translator_for
from tests.dialects import golden, mangling
from tests.dialects.test_laws import MODELS, SCENES, folder, relayed

MARK = "U0VBTEVE"
"""What stands before all that is signed here: base64, as the signatures themselves are."""
MARKED = Origin(id=lambda made: f"resp_{MARK}{made}", signature=lambda made: MARK + made)
WHOLE = sorted({(backend, scene) for backend, scene, _ in SCENES if golden.body(folder(backend), scene) is not None})
PASSED = [(backend, scene, suffix) for backend, scene, suffix in SCENES if backend in PASSTHROUGHS]


def way(client: str, backend: str, origin: Origin, *, may_pass: bool) -> Any:
    envelope = Envelope("tok", "my-model", 1, Conversation("my-model", client, stream_usage=True), origin)
    return translator_for(ClientRequest(client, {}, envelope, may_pass), backend, profile_for(MODELS[backend][0]))


def found(value: Any, name: str = "") -> Iterator[str]:
    """All that proves thoughts in a client's JSON, wherever it stands, as its maker wrote it."""
    match value:
        case {"inlineData": _}:
            pass
        case dict():
            for key, inner in value.items():
                yield from found(inner, key)
        case list():
            for inner in value:
                yield from found(inner, name)
        case str() if (
            name in ("signature", "data", "thoughtSignature", "thought_signature", "encrypted_content") and value
        ):
            own = {"encrypted_content": Family.OPENAI, "signature": Family.CLAUDE, "data": Family.CLAUDE}
            yield unpack(value, own.get(name, Family.GEMINI))[1].removeprefix("redacted:").removeprefix("behind:")


def messages(data: bytes) -> list[Any]:
    frames = SSEDecoder().feed(data)
    return [json.loads(frame.data) for frame in frames if frame.data not in ("", "[DONE]")]


@pytest.mark.parametrize("may_pass", [False, True], ids=["translated", "passed"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("backend", "scene", "suffix"), SCENES)
def test_each_signature_of_a_stream_is_signed_once_and_nothing_else_changes(
    backend: str, scene: str, suffix: str, client: str, may_pass: bool
) -> None:
    data, kind = golden.wire(folder(backend), scene, suffix), mangling.CONTENT_TYPES[suffix]
    plain, marked = (
        messages(relayed(way(client, backend, origin, may_pass=may_pass).relay(kind), [data]))
        for origin in (AS_MADE, MARKED)
    )
    signatures = list(found(plain))

    # Reasoning that is only kept has no signature, and gets a signed empty one.
    assert [MARK + each for each in signatures] == [each for each in found(marked) if each != MARK]
    if client == backend and may_pass:
        assert unmarked(plain) == unmarked(marked)


def unmarked(value: Any) -> str:
    """What was marked, as it came."""
    written = dumps(value).replace(f"resp_{MARK}", "").replace(MARK, "")
    return written.replace(',"encrypted_content":""', "")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("backend", "scene"), WHOLE)
def test_each_signature_of_a_whole_answer_is_signed_once_as_in_its_stream(
    backend: str, scene: str, client: str
) -> None:
    whole = golden.body(folder(backend), scene)
    for may_pass in (False, True):
        plain, marked = (
            way(client, backend, origin, may_pass=may_pass).render_response(whole).body for origin in (AS_MADE, MARKED)
        )

        assert [MARK + each for each in found(plain)] == [each for each in found(marked) if each != MARK]
        if client == backend and may_pass:
            assert unmarked(plain) == unmarked(marked)


def test_captured_answers_hold_signatures_of_every_kind() -> None:
    held = {backend for backend, scene, suffix in SCENES if signatures_in(backend, scene, suffix)}

    assert held == {"anthropic-messages", "bedrock-converse", "gemini", "openai-responses", "orchestration"}


def signatures_in(backend: str, scene: str, suffix: str) -> list[str]:
    data, kind = golden.wire(folder(backend), scene, suffix), mangling.CONTENT_TYPES[suffix]
    return list(found(messages(relayed(way("gemini", backend, AS_MADE, may_pass=False).relay(kind), [data]))))


@pytest.mark.parametrize(("backend", "scene", "suffix"), [row for row in PASSED if row[0] == "openai-responses"])
def test_a_response_that_passes_has_one_id_from_its_first_event_to_its_last(
    backend: str, scene: str, suffix: str
) -> None:
    data, kind = golden.wire(folder(backend), scene, suffix), mangling.CONTENT_TYPES[suffix]
    relay = way(backend, backend, MARKED, may_pass=True).relay(kind)
    events = messages(relayed(relay, [data]))
    ids = {event["response"]["id"] for event in events if "response" in event}

    assert ids == {f"resp_{MARK}{relay.seen.id}"}


def test_a_stream_that_breaks_off_says_so_under_the_id_it_began_with() -> None:
    relay = way("openai-responses", "openai-responses", MARKED, may_pass=True).relay("text/event-stream")
    created = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}
    events = messages(relay.feed(Frame(dumps(created)).encode()) + relay.finish())

    assert [event["response"]["id"] for event in events] == [f"resp_{MARK}resp_1"] * 2


def test_what_a_deployment_has_kept_is_shown_under_the_ids_of_its_client() -> None:
    kept = {
        "id": "resp_2",
        "previous_response_id": "resp_1",
        "output": [{"type": "reasoning", "id": "rs_1"}],
        "n": None,
    }
    shown = json.loads(passthrough_stored(dumps(kept).encode(), MARKED))

    assert shown == {
        "id": f"resp_{MARK}resp_2",
        "previous_response_id": f"resp_{MARK}resp_1",
        "output": [{"type": "reasoning", "id": "rs_1", "encrypted_content": MARK}],
        "n": None,
    }


@pytest.mark.parametrize("kept", [b"[1]", b"no JSON", b"\xff", b"", b"[" * 100_000])
@pytest.mark.parametrize("origin", [MARKED, AS_MADE])
def test_what_a_deployment_sends_instead_of_a_kept_answer_is_not_shown(kept: bytes, origin: Origin) -> None:
    with pytest.raises(UNREADABLE):
        passthrough_stored(kept, origin)


# What comes back

CLAUDES, GEMINIS, OPENAIS = (base64.b64encode(maker.encode()).decode() for maker in ("claude!", "gemini", "openai.."))


def brought(client: str, mark: str) -> dict[str, Any]:
    """A conversation with thoughts of every family, each signature behind *mark*."""
    theirs = {Family.CLAUDE: mark + CLAUDES, Family.GEMINI: mark + GEMINIS, Family.OPENAI: mark + OPENAIS}
    match client:
        case "anthropic-messages":
            native = [pack(own, family, Family.CLAUDE) for family, own in theirs.items()]
            thoughts = [{"type": "thinking", "thinking": "Hm", "signature": own} for own in native]
            thoughts.append({"type": "redacted_thinking", "data": mark + CLAUDES})
            said = [*thoughts, {"type": "text", "text": "Hello"}]
            turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": said}]
            return {"model": "m", "max_tokens": 99, "messages": [*turns, {"role": "user", "content": "And?"}]}
        case "gemini":
            native = [pack(own, family, Family.GEMINI) for family, own in theirs.items()]
            parts: list[dict[str, Any]] = [
                {"text": f"Hello {place}", "thoughtSignature": own} for place, own in enumerate(native)
            ]
            turns = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": parts}]
            return {"model": "m", "contents": [*turns, {"role": "user", "parts": [{"text": "And?"}]}]}
        case "openai-responses":
            native = [pack(own, family, Family.OPENAI) for family, own in theirs.items()]
            thoughts = [
                {"type": "reasoning", "id": f"rs_{place}", "summary": [], "encrypted_content": own}
                for place, own in enumerate(native)
            ]
            text = {"type": "output_text", "text": "Hello", "annotations": []}
            said = [*thoughts, {"type": "message", "id": "msg_1", "role": "assistant", "content": [text]}]
            return {
                "model": "m",
                "input": [{"role": "user", "content": "Hi"}, *said, {"role": "user", "content": "And?"}],
            }
        case _:
            signed = {"extra_content": {"google": {"thought_signature": theirs[Family.GEMINI]}}}
            call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{**call, **signed}]}]
            return {"model": "m", "messages": [*turns, {"role": "tool", "tool_call_id": "c", "content": "ok"}]}


def request(client: str, mark: str) -> ClientRequest:
    body = brought(client, mark)
    return ClientRequest(client, body, Envelope("tok", "m", 1, CLIENTS[client].parse_request(body)))


def taken_off(family: Family, signature: str) -> str:
    del family
    return signature.removeprefix(MARK)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_was_signed_is_verified_as_it_was_made(client: str) -> None:
    sent = request(client, MARK).verified(taken_off)

    assert request(client, "").envelope.conversation.messages == sent.envelope.conversation.messages


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_may_not_be_sent_is_left_out_and_named(client: str, backend: str) -> None:
    profile = profile_for(MODELS[backend][-1])
    translator = translator_for(request(client, "").verified(lambda *_: None), backend, profile)
    rendered = translator.render_request(profile)
    written = dumps(rendered.body)

    assert not any(each in written for each in (CLAUDES, GEMINIS, OPENAIS))
    assert {"thinking", "thinking signature"} & set(rendered.dropped)


@pytest.mark.parametrize("client", PASSTHROUGHS)
def test_to_its_own_backend_what_may_be_sent_is(client: str) -> None:
    profile = profile_for(MODELS[client][-1])
    own = {"anthropic-messages": CLAUDES, "gemini": GEMINIS, "openai-responses": OPENAIS}
    for may_pass in (True, False):
        asked = request(client, MARK).verified(taken_off)
        asked = ClientRequest(asked.client, asked.body, asked.envelope, may_pass)
        written = dumps(translator_for(asked, client, profile).render_request(profile).body)

        assert MARK not in written
        assert client == "openai-chat" or own[client] in written


def test_beside_reasoning_that_has_to_go_calls_and_messages_go_without_ids() -> None:
    """OpenAI looks for the reasoning under them."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    result = {"type": "function_call_output", "id": "fco_1", "call_id": "c", "output": "ok"}
    body = {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, call, said, result]}
    items = PASSTHROUGHS["openai-responses"].verify_signatures(body, lambda *_: None)["input"]
    kept = PASSTHROUGHS["openai-responses"].verify_signatures(body, lambda *_: "")["input"]

    assert [item.get("id") for item in items[1:]] == [None, None, "fco_1"]
    assert body["input"] == kept


STRANGE: list[Any] = [None, 7, "text", [], {}, [None], [7, "text", {}]]


@pytest.mark.parametrize("value", STRANGE, ids=str)
@pytest.mark.parametrize(
    ("client", "body"),
    [
        ("anthropic-messages", lambda value: {"messages": value}),
        ("anthropic-messages", lambda value: {"messages": [{"content": value}]}),
        ("anthropic-messages", lambda value: {"messages": [{"content": [{"type": "thinking", "signature": [value]}]}]}),
        ("anthropic-messages", lambda value: {"messages": [{"content": [{"type": value}]}]}),
        ("gemini", lambda value: {"contents": value}),
        ("gemini", lambda value: {"contents": [{"parts": value}]}),
        ("gemini", lambda value: {"contents": {"parts": {"thoughtSignature": [value]}}}),
        ("openai-chat", lambda value: {"messages": value}),
        ("openai-responses", lambda value: {"input": value}),
        ("openai-responses", lambda value: {"input": [{"type": "message", "content": value}]}),
        ("openai-responses", lambda value: {"input": [{"type": value}]}),
    ],
)
def test_a_body_of_another_form_is_left_for_the_parser_to_refuse(client: str, body: Any, value: Any) -> None:
    asked = body(value)

    assert asked == PASSTHROUGHS[client].verify_signatures(asked, lambda family, signature: signature)


def test_thoughts_of_no_family_are_not_verified() -> None:
    said = Conversation("m", messages=(Message(Role.ASSISTANT, (Thinking("Hm", "s"), Text("Hello"))),))

    assert said == verified(said, lambda *_: None)


def test_an_answer_without_signatures_is_the_same() -> None:
    answer = Completion(parts=(Text("Hello"), Thinking("Hm"), Opaque("gemini", {})))

    assert answer == signed(answer, MARKED.signature)


@pytest.mark.parametrize("named", [{}, {"modelVersion": "my-model"}, {"modelVersion": "gemini-2.5-pro"}], ids=str)
def test_a_frame_of_geminis_is_signed_whatever_it_says_of_the_model(named: dict[str, str]) -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": GEMINIS}]}}], **named}
    envelope = Envelope("tok", "my-model", 1, Conversation("my-model", "gemini"), MARKED)
    [event] = messages(PASSTHROUGHS["gemini"].passthrough_frame(Frame(dumps(said)), envelope))

    assert list(found(event)) == [MARK + GEMINIS]
