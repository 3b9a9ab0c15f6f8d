"""Media in turns that can hold none are shown to the model in the user's next turn, or named."""

from dataclasses import replace
from typing import Any

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    CacheMark,
    Conversation,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from dialects.framing.json_text import dumps
from dialects.interface import Envelope
from dialects.registry import BACKENDS, DIALECTS
from dialects.translator import ClientRequest, PassthroughTranslator, translator_for
from tests.dialects.test_laws import MODELS, ORACLES

PNG = "iVBORw0KGgo="
IMAGE = Media(MediaKind.IMAGE, "image/png", PNG)
AUDIO = Media(MediaKind.AUDIO, "audio/wav", PNG)
ELSEWHERE = Media(MediaKind.IMAGE, "", url="https://files.example/drawn.png")
MISPLACING = [name for name, row in DIALECTS.items() if row.backend and Role.ASSISTANT not in row.media_roles]
DRAWN = "(From the assistant's message, this image:)"


def said(role: Role, *parts: Part | str) -> Message:
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def conversation(*messages: Message) -> Conversation:
    return Conversation("m", "toy", messages=(said(Role.USER, "draw"), *messages), tools=(ToolSpec("f"),))


def rendered(backend: str, asked: Conversation, model: str = "") -> tuple[str, tuple[str, ...]]:
    made = BACKENDS[backend].render_request(asked, profile_for(model or MODELS[backend][0]))
    ORACLES[backend](made.body)
    return dumps(made.body), made.dropped


@pytest.mark.parametrize("backend", MISPLACING)
def test_what_a_model_drew_is_shown_with_the_users_next_words(backend: str) -> None:
    body, dropped = rendered(
        backend, conversation(said(Role.ASSISTANT, "here", IMAGE), said(Role.ASSISTANT, "!"), said(Role.USER, "bluer"))
    )

    assert dropped == ()
    assert sorted(["bluer", DRAWN, "draw", "here", PNG], key=body.index) == ["draw", "here", DRAWN, PNG, "bluer"]
    assert body.count(PNG) == 1


@pytest.mark.parametrize("backend", MISPLACING)
def test_what_a_model_drew_stands_behind_the_results_of_its_calls(backend: str) -> None:
    body, dropped = rendered(
        backend,
        conversation(
            said(Role.ASSISTANT, IMAGE, ToolCall("call_1", "f", "{}")),
            said(Role.USER, ToolResult("call_1", (Text("22 degrees"),))),
        ),
    )

    assert dropped == ()
    assert body.index("22 degrees") < body.index(DRAWN) < body.index(PNG)


@pytest.mark.parametrize("backend", MISPLACING)
@pytest.mark.parametrize("media", [AUDIO, ELSEWHERE], ids=["audio", "address"])
def test_what_a_model_does_not_take_is_named_and_the_conversation_goes_on(backend: str, media: Media) -> None:
    body, dropped = rendered(backend, conversation(said(Role.ASSISTANT, "here", media), said(Role.USER, "bluer")))
    shown = media.url and media.url in body

    assert bool(shown) is not (f"assistant {media.kind.value}" in dropped)
    assert PNG not in body
    assert bool(shown) is (media is ELSEWHERE and backend.startswith("openai"))


@pytest.mark.parametrize("backend", MISPLACING)
def test_what_no_turn_of_the_user_follows_is_named(backend: str) -> None:
    body, dropped = rendered(backend, conversation(said(Role.ASSISTANT, "here is", IMAGE)))

    assert dropped == ("assistant image",)
    assert PNG not in body


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("before", [True, False], ids=["before the user", "after the user"])
def test_an_image_in_a_system_message_reaches_the_model(backend: str, before: bool) -> None:
    system = said(Role.SYSTEM, "the logo:", IMAGE)
    asked = conversation(system)
    body, dropped = rendered(backend, replace(asked, messages=asked.messages[::-1]) if before else asked)

    assert dropped == ()
    assert "the logo:" in body
    assert body.count(PNG) == 1


def test_gemini_is_shown_what_it_drew_in_its_own_turn() -> None:
    asked = conversation(said(Role.ASSISTANT, "here", IMAGE), said(Role.USER, "bluer"))
    body = BACKENDS["gemini"].render_request(asked, profile_for("gemini-2.5-flash-image")).body

    assert body["contents"][1]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": PNG}}


IN_OWN_WORDS: dict[str, Any] = {
    "anthropic-messages": {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "draw"},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": f"here ![image](data:image/png;base64,{PNG})"}],
            },
            {"role": "user", "content": "bluer"},
        ],
    },
    "openai-chat": {
        "messages": [
            {"role": "user", "content": "draw"},
            {
                "role": "assistant",
                "content": "here",
                "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            },
            {"role": "user", "content": "bluer"},
        ]
    },
    "openai-responses": {
        "input": [
            {"role": "user", "content": "draw"},
            {"role": "assistant", "content": "here"},
            {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": PNG},
            {"role": "user", "content": "bluer"},
        ]
    },
}


@pytest.mark.parametrize("dialect", IN_OWN_WORDS)
def test_a_vendors_own_client_may_show_its_model_what_another_drew(dialect: str) -> None:
    profile = profile_for(MODELS[dialect][0])
    body = {"model": profile.name, **IN_OWN_WORDS[dialect]}
    request = ClientRequest(dialect, body, Envelope("tok", "m", 0, DIALECTS[dialect].client.parse_request(body)))
    translator = translator_for(request, dialect, profile)
    made = translator.render_request(profile)
    ORACLES[dialect](made.body)

    assert not isinstance(translator, PassthroughTranslator)
    assert made.dropped == ()
    assert dumps(made.body).index(DRAWN) < dumps(made.body).index(PNG)


def test_an_image_block_in_an_answer_is_moved_for_claudes_own_client() -> None:
    shown = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    turns = [
        {"role": "user", "content": "draw"},
        {"role": "assistant", "content": [shown]},
        {"role": "user", "content": "bluer"},
    ]
    said = DIALECTS["anthropic-messages"].client.parse_request({"model": "m", "max_tokens": 9, "messages": turns})
    body, dropped = rendered("anthropic-messages", said)

    assert dropped == ()
    assert sorted([PNG, "draw", "bluer", DRAWN], key=body.index) == ["draw", DRAWN, PNG, "bluer"]


def test_what_a_model_of_openais_drew_goes_home_as_the_model_drew_it() -> None:
    asked = {
        "input": [*IN_OWN_WORDS["openai-responses"]["input"][:2], {"type": "image_generation_call", "result": PNG}]
    }
    said = DIALECTS["openai-responses"].client.parse_request(asked)

    assert said.messages[1].parts == (Text("here"), IMAGE)


def test_words_around_a_picture_stay_where_they_are() -> None:
    picture, mark = f"![a](data:image/png;base64,{PNG})", {"type": "ephemeral"}

    def read(text: str, role: str = "assistant") -> tuple[Part, ...]:
        block = {"type": "text", "text": text, "cache_control": mark}
        turns = [{"role": role, "content": [block]}]
        return DIALECTS["anthropic-messages"].client.parse_request({"model": "m", "messages": turns}).messages[0].parts

    marked = CacheMark()
    assert read(f"a {picture} b {picture} c") == (Text("a "), IMAGE, Text(" b "), IMAGE, Text(" c", marked))
    assert read(picture) == (replace(IMAGE, cache=marked),)
    assert read(picture, "user") == (Text(picture, marked),)
    assert read("![a](data:image/png;base64,*)") == (Text("![a](data:image/png;base64,*)", marked),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_only_one_dialect_has_is_named_in_a_system_message_too(backend: str) -> None:
    unknown = Opaque("toy", {"type": "hologram"})
    asked = conversation(said(Role.USER, "hi"))
    _, dropped = rendered(backend, replace(asked, messages=(said(Role.SYSTEM, "rules", unknown), *asked.messages)))

    assert dropped == ("hologram",)
