"""A dialect is one file and one row in the registry: the rest of the gateway learns it from there."""

import json

import pytest

from dialects import registry
from dialects.capabilities.model_info import built_in
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Role
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.interface import Envelope
from dialects.translator import ClientRequest, translator_for
from tests.dialects import golden, mangling, shout

ROW = registry.Dialect("shout", client=shout, backend=shout)
"""The row: the type checker holds the module against what a dialect must have on either side."""

ASKED = {
    "openai-chat": {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi!\u2028"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "stream": True,
    },
    "anthropic-messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Hi!"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
            {"role": "user", "content": [{"type": "text", "text": "Hello?"}]},
        ],
    },
    "shout": {"to": "m", "said": [{"me": "Hi!\u2028"}, {"you": "HI!"}, {"me": "And?"}], "at_most": 9, "live": True},
}
WAYS = [
    ("openai-chat", "shout", "llama"),
    ("anthropic-messages", "shout", "llama"),
    ("shout", "gemini", "gemini-2.5-flash"),
    ("shout", "bedrock-converse", "anthropic--claude-4-sonnet"),
    ("shout", "shout", "llama"),
]
SCENES = {"shout": "words", "gemini": "text", "bedrock-converse": "odd-text"}


@pytest.fixture(autouse=True)
def _row(monkeypatch):
    monkeypatch.setitem(registry.DIALECTS, ROW.name, ROW)


def way(client, backend, model):
    asked = registry.CLIENTS[client].parse_request(ASKED[client])
    envelope = Envelope("tok", "my-model", 1_780_000_000, asked)
    return translator_for(ClientRequest(client, ASKED[client], envelope), backend, profile_for(model))


def shown(body, dropped=()):
    """A body as it is reviewed: indented, with what was dropped behind it."""
    return (json.dumps(body, indent=1, ensure_ascii=False) + f"\ndropped: {', '.join(dropped)}\n").encode()


@pytest.mark.parametrize(("client", "backend", "model"), WAYS)
def test_a_request_is_translated(client, backend, model):
    rendered = way(client, backend, model).render_request(profile_for(model))

    golden.matches("shout", f"asked.{backend}", client, shown(rendered.body, rendered.dropped))


@pytest.mark.parametrize(("client", "backend", "model"), WAYS)
def test_a_whole_response_is_translated(client, backend, model):
    whole = golden.body(backend.replace("-", "_"), SCENES[backend])

    golden.matches(
        "shout", f"answered.{backend}", client, shown(way(client, backend, model).render_response(whole).body)
    )


@pytest.mark.parametrize(("client", "backend", "model"), WAYS)
def test_a_streamed_response_is_translated(client, backend, model):
    data = golden.wire(backend.replace("-", "_"), SCENES[backend])
    outs = []
    for chunks in ([data], golden.byte_by_byte(data)):
        relay = way(client, backend, model).relay(mangling.SSE)
        outs.append(b"".join([*map(relay.feed, chunks), relay.finish()]))

    assert outs[0] == outs[1]
    golden.matches("shout", f"streamed.{backend}", client, outs[0])


def test_what_a_dialect_does_not_have_is_left_out():
    relay = way("shout", "gemini", "gemini-2.5-flash").relay(mangling.SSE)
    out = relay.feed(golden.wire("gemini", "thinking_and_call")) + relay.finish()

    assert out == b'data: {"why":"done","ears":40,"mouth":27}\n\n'


@pytest.mark.parametrize("client", ["openai-chat", "shout"])
def test_a_failure_within_a_stream_is_translated(client):
    relay = way(client, "shout", "llama").relay(mangling.SSE)
    out = relay.feed(golden.wire("shout", "hoarse")) + relay.finish()

    assert FaultKind.OVERLOADED is relay.seen.fault.kind
    golden.matches("shout", "hoarse", client, out)


def test_what_cannot_be_shouted_is_refused_in_any_dialect():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aWk="}}
    asked = registry.CLIENTS["openai-chat"].parse_request({"messages": [{"role": "user", "content": [picture]}]})

    with pytest.raises(FaultError, match="image"):
        shout.render_request(asked, profile_for("llama"))
    with pytest.raises(FaultError, match="said"):
        shout.parse_request({"to": "m", "said": ["Hi!"]})
    assert shout.render_models([built_in("m")], 9) == {"all": [{"who": "m", "since": 9}]}
    assert shout.render_fault(Fault(FaultKind.INVALID_REQUEST, "no")) == {"ouch": "no"}


def test_what_is_shouted_is_understood_as_it_was_meant():
    asked = shout.parse_request(ASKED["shout"])
    written = shout.render_request(asked, profile_for("m"))

    assert written.body == ASKED["shout"]
    assert Role.ASSISTANT is asked.messages[1].role
    assert shout.parse_request(written.body) == asked
