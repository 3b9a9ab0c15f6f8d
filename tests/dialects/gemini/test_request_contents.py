"""The turns of Gemini's clients are understood, part by part, whatever else stands in them."""

from dataclasses import replace

import pytest

from dialects import gemini
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

FLASH = profile_for("gemini-2.5-flash")
HELLO = Message(Role.USER, (Text("hi"),))
PIXEL = {"mimeType": "image/png", "data": "aWo="}
IMAGE = Media(MediaKind.IMAGE, "image/png", "aWo=")


def test_results_find_their_calls_by_id_by_name_and_in_order():
    calls = [
        {"functionCall": {"id": "x", "name": "f"}},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "g"}},
    ]
    results = [
        {"functionResponse": {"name": "g", "response": {"temperature": 22}}},
        {"functionResponse": {"id": "x", "name": "f", "response": {"output": [1]}}},
        {"functionResponse": {"name": "f"}},
        {"functionResponse": {"name": "f", "response": {"result": "late"}}},
        {"functionResponse": {"id": "y", "name": "f"}},
    ]

    conversation = gemini.parse_request({"contents": [{"role": "model", "parts": calls}, {"parts": results}]})

    assert [part.id for part in conversation.messages[0].parts] == ["x", "call_1", "call_2"]
    assert conversation.messages[1].parts == (
        ToolResult("call_2", (Text('{"temperature":22}'),)),
        ToolResult("x", (Text("[1]"),)),
        ToolResult("call_1", ()),
        ToolResult("call_3", (Text("late"),)),
        ToolResult("y", ()),
    )


def test_attachments_are_understood():
    parts = [
        {"file_data": {"file_uri": "https://x/a.pdf?b#c"}},
        {"fileData": {"fileUri": "gs://b/v.mp4", "mimeType": "video/mp4"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "a-_b", "displayName": "note"}},
        {
            "inlineData": {"mimeType": "image/png", "data": "aWo="},
            "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"},
        },
        {"executableCode": {"code": "1"}},
        {},
        {"text": ""},
        {"text": "", "thought": True, "thoughtSignature": ""},
    ]

    conversation = gemini.parse_request({"contents": {"parts": parts}})

    assert conversation.messages[0].parts == (
        Media(MediaKind.DOCUMENT, "", url="https://x/a.pdf?b#c"),
        Media(MediaKind.VIDEO, "video/mp4", url="gs://b/v.mp4"),
        Media(MediaKind.AUDIO, "audio/wav", "a+/b", name="note"),
        Media(MediaKind.IMAGE, "image/png", "aWo=", detail="high"),
        Opaque("gemini", parts[4]),
        Thinking(family=Family.GEMINI),
    )
    assert gemini.render_request(conversation, FLASH).body["contents"][0]["parts"] == [
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a.pdf?b#c"}},
        parts[1],
        {"inlineData": {"mimeType": "audio/wav", "data": "a+/b", "displayName": "note"}},
        *parts[3:5],
    ]


@pytest.mark.parametrize(
    ("part", "meant", "aside"),
    [
        ({"text": "a", "partMetadata": {"x": 1}}, Text("a"), ("contents[].parts[].partMetadata",)),
        ({"text": "a", "video_metadata": {"fps": 5}}, Text("a"), ("contents[].parts[].videoMetadata",)),
        ({"text": "a", "mediaResolution": {"level": "x"}}, Text("a"), ("contents[].parts[].mediaResolution",)),
        ({"text": "a", "thought": False, "inlineData": None, "new": None, "newer": {}}, Text("a"), ()),
        ({"text": "a", "thought": True, "new": 1}, Thinking("a", family=Family.GEMINI), ("contents[].parts[].new",)),
        ({"inlineData": PIXEL, "new": 1}, IMAGE, ("contents[].parts[].new",)),
        ({"inlineData": {**PIXEL, "new_er": 1}}, IMAGE, ("contents[].parts[].inlineData.newEr",)),
        ({"inlineData": PIXEL, "mediaResolution": {"level": "MEDIA_RESOLUTION_UNSPECIFIED"}}, IMAGE, ()),
        *(
            ({"inlineData": PIXEL, "mediaResolution": level}, IMAGE, ("contents[].parts[].mediaResolution",))
            for level in ({"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}, "MEDIA_RESOLUTION_MEDIUM", {"level": 7})
        ),
        (
            {"functionCall": {"name": "f", "args": {}, "willContinue": True}, "new": 1},
            ToolCall("call_1", "f", "{}"),
            ("contents[].parts[].functionCall.willContinue", "contents[].parts[].new"),
        ),
        (
            {"functionResponse": {"name": "f", "scheduling": "SILENT", "parts": {"inlineData": PIXEL, "new": 1}}},
            ToolResult("call_1", (IMAGE,)),
            ("contents[].parts[].functionResponse.parts[].new", "contents[].parts[].functionResponse.scheduling"),
        ),
    ],
)
def test_a_key_nobody_knows_costs_no_content_and_is_named(part, meant, aside):
    conversation = gemini.parse_request({"contents": {"role": "model", "parts": part}})

    assert (meant,) == conversation.messages[0].parts
    assert aside == tuple(sorted(conversation.extra))
    assert aside == gemini.render_request(replace(conversation, messages=(HELLO,)), FLASH).dropped


@pytest.mark.parametrize("part", [{"videoMetadata": {"fps": 5}}, {"part_metadata": {"a": 1}, "text": ""}])
def test_what_stands_beside_nothing_is_not_content(part):
    body = {"contents": [{"parts": [part, {"text": "hi"}], "cacheHint": 1}], "systemInstruction": {"parts": [], "x": 1}}

    conversation = gemini.parse_request(body)

    assert conversation.messages == (HELLO,)
    assert {"contents[].cacheHint", "systemInstruction.x"} < conversation.extra.keys()


def test_attachments_in_a_result_are_understood_and_stand_beside_it():
    blob = {"inlineData": {"mimeType": "image/png", "data": "aWo="}}
    body = {
        "contents": [
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}, "parts": [blob]}}]},
        ]
    }

    conversation = gemini.parse_request(body)

    result = conversation.messages[1].parts[0]
    assert result == ToolResult("call_1", (Text('{"a":1}'), Media(MediaKind.IMAGE, "image/png", "aWo=")))
    assert gemini.render_request(conversation, FLASH).body["contents"][-1]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"a": 1}}},
        blob,
    ]


def test_thoughts_that_were_streamed_in_pieces_are_one_thought_again():
    """Google's clients keep a stream as it came: a part, or even a turn, for each chunk."""
    pieces = [
        {"text": "Let me ", "thought": True},
        {"text": "see.", "thought": True},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "CiQB"},
    ]
    question = {"role": "user", "parts": [{"text": "hi"}]}
    whole = [question, {"role": "model", "parts": pieces}]
    chunks = [question, *({"role": "model", "parts": [piece]} for piece in pieces)]
    expected = (
        HELLO,
        Message(
            Role.ASSISTANT,
            (Thinking("Let me see.", "CiQB", family=Family.GEMINI), ToolCall("call_1", "f", "{}")),
        ),
    )

    for contents in (whole, chunks):
        assert gemini.parse_request({"model": "gemini-2.5-flash", "contents": contents}).messages == expected


def test_thoughts_that_are_signed_stay_apart():
    parts = [
        {"text": "one", "thought": True, "thoughtSignature": "CiQB"},
        {"text": "two", "thought": True},
        {"text": "Hello"},
    ]
    [_, message] = gemini.parse_request(
        {"contents": [{"parts": [{"text": "hi"}]}, {"role": "model", "parts": parts}]}
    ).messages

    assert [part.text for part in message.parts if isinstance(part, Thinking | Text)] == ["one", "two", "Hello"]
