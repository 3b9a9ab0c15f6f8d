"""Types of attachments are named as the vendors know them, and text is text, whatever a program calls it."""

import base64
from typing import Any

import pytest

from dialects import anthropic_messages, gemini
from dialects.adapt.attachments import is_text, official_type
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Media, MediaKind, Message, Role, Text
from dialects.framing.json_text import dumps
from dialects.registry import BACKENDS
from tests.dialects.test_laws import MODELS, ORACLES

JSON_FILE = '{"a": "é"}'
DATA = base64.b64encode(JSON_FILE.encode()).decode()
PNG = "iVBORw0KGgo="
TEXTS = ["application/json", "application/xml", "application/x-yaml", "text/csv", "application/ld+json; charset=utf-8"]


def rendered(backend: str, media: Media) -> str:
    asked = Conversation("m", "toy", messages=(Message(Role.USER, (Text("what is a?"), media)),))
    body = BACKENDS[backend].render_request(asked, profile_for(MODELS[backend][0])).body
    ORACLES[backend](body)
    return dumps(body)


@pytest.mark.parametrize("mime", TEXTS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_document_that_is_text_is_shown_as_text(backend: str, mime: str) -> None:
    body = rendered(backend, Media(MediaKind.DOCUMENT, mime, DATA, name="a"))

    assert mime not in body
    assert {
        "anthropic-messages": '"type":"text","media_type":"text/plain","data":"{',
        "bedrock-converse": f'"format":"{"csv" if mime == "text/csv" else "txt"}"',
        "gemini": f'"mimeType":"text/plain","data":"{DATA}"',
        "openai-chat": dumps(JSON_FILE)[1:-1],
        "openai-responses": dumps(JSON_FILE)[1:-1],
        "orchestration": dumps(JSON_FILE)[1:-1],
    }[backend] in body


@pytest.mark.parametrize("mime", ["image/jpg", "image/JPG", "image/pjpeg"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_jpeg_goes_by_its_official_name(backend: str, mime: str) -> None:
    body = rendered(backend, Media(MediaKind.IMAGE, mime, PNG))

    assert mime not in body
    assert "jpeg" in body


def test_other_types_keep_their_names_and_parameters() -> None:
    for mime in ("audio/L16;rate=16000", "application/pdf", "image/png", "", "video/mp4"):
        assert mime == official_type(mime)
        assert not is_text(mime)
    assert not is_text("image/svg+xml")


def test_geminis_own_client_may_call_types_as_it_likes() -> None:
    parts: list[dict[str, Any]] = [
        {"inlineData": {"mimeType": "application/json", "data": DATA}},
        {"inline_data": {"mime_type": "image/jpg", "data": PNG}},
        {"inlineData": {"mimeType": "audio/L16;rate=16000", "data": PNG}},
    ]
    body = {"contents": [{"role": "user", "parts": parts}]}
    made = gemini.passthrough_request(body, profile_for("gemini-2.5-flash"))

    assert made.body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "text/plain", "data": DATA}},
        {"inline_data": {"mime_type": "image/jpeg", "data": PNG}},
        parts[2],
    ]
    assert made.dropped == ()


def test_claudes_own_client_may_call_types_as_it_likes() -> None:
    def source(mime: str, data: str) -> dict[str, str]:
        return {"type": "base64", "media_type": mime, "data": data}

    image = {"type": "image", "source": source("image/jpg", PNG)}
    document = {"type": "document", "title": "a.json", "source": source("application/json", DATA)}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": [result, image, document]}]}
    made = anthropic_messages.passthrough_request(body, profile_for("claude-4.5-sonnet"))

    shown = {"type": "image", "source": source("image/jpeg", PNG)}
    text = {"type": "text", "media_type": "text/plain", "data": JSON_FILE}
    assert made.body["messages"][0]["content"] == [
        result | {"content": [shown]},
        shown,
        {"type": "document", "title": "a.json", "source": text},
    ]
