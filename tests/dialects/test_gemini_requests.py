"""What Gemini's clients ask is understood, and what Gemini's models are asked is what Google takes."""

import copy
from dataclasses import replace

import pytest

from dialects import gemini
from dialects.conversation import (
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.faults import FaultError, FaultKind
from dialects.models import profile_for
from tests.oracles.gemini import check_gemini_request

FLASH = profile_for("gemini-2.5-flash")
PRO = profile_for("gemini-2.5-pro")
THREE = profile_for("gemini-3.1-pro")
HELLO = Message(Role.USER, (Text("hi"),))
F = ToolSpec("f", "does f", {"type": "object", "properties": {"a": {"type": "string"}}})
FULL = {
    "model": "gemini-2.5-flash",
    "stream": True,
    "systemInstruction": {"role": "user", "parts": [{"text": "Be brief"}, {"text": "Be kind"}]},
    "contents": [
        {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}, {"text": "What?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "f", "args": {"a": "b"}}, "thoughtSignature": "CiQB"},
                {"functionCall": {"name": "f", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "22C"}}},
                {"functionResponse": {"name": "f", "response": {"error": "no"}}},
            ],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "does f",
                    "parametersJsonSchema": {"type": "object", "properties": {"a": {}}},
                },
                {"name": "g", "behavior": "BLOCKING"},
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "maxOutputTokens": 1024,
        "temperature": 0.2,
        "topP": 0.9,
        "topK": 40,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
        "responseLogprobs": True,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "labels": {"team": "a"},
}


def _snaked(value):
    """The same body with every key of Google's own in snake case."""
    if isinstance(value, list):
        return [_snaked(item) for item in value]
    if isinstance(value, dict):
        return {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in key): _snaked(item) for key, item in value.items()
        }
    return value


def test_a_full_request_is_understood():
    conversation = gemini.parse_request(FULL)

    assert conversation == Conversation(
        model="gemini-2.5-flash",
        dialect="gemini",
        system=(Text("Be brief"), Text("Be kind")),
        messages=(
            Message(Role.USER, (Media(MediaKind.IMAGE, "image/png", "iVBO"), Text("What?"))),
            Message(
                Role.ASSISTANT,
                (
                    Thinking("hm", "CiQB", family=Family.GEMINI),
                    ToolCall("call_1", "f", '{"a":"b"}'),
                    ToolCall("call_2", "f", "{}"),
                ),
            ),
            Message(
                Role.USER,
                (ToolResult("call_1", (Text("22C"),)), ToolResult("call_2", (Text("no"),), is_error=True)),
            ),
        ),
        tools=(
            ToolSpec("f", "does f", {"type": "object", "properties": {"a": {}}}),
            ToolSpec("g"),
            Opaque("gemini", {"googleSearch": {}}),
        ),
        tool_choice=ToolChoice(ToolMode.NAMED, "f"),
        sampling=Sampling(1024, 0.2, 0.9, 40, ("END",), 7, 0.1, 0.2),
        reasoning=Reasoning(budget=1024, shown=True),
        stream=True,
        stream_usage=True,
        extra={
            "tools.functionDeclarations": {"g": {"behavior": "BLOCKING"}},
            "generationConfig.responseLogprobs": True,
            "generationConfig.mediaResolution": "MEDIA_RESOLUTION_LOW",
            "safetySettings": FULL["safetySettings"],
            "labels": {"team": "a"},
        },
    )


def test_snake_case_says_the_same():
    assert gemini.parse_request(_snaked(FULL)) == gemini.parse_request(FULL)


def test_a_full_request_is_rendered_back():
    before = copy.deepcopy(FULL)
    rendered = gemini.render_request(gemini.parse_request(FULL), FLASH)

    expected = {name: value for name, value in FULL.items() if name not in ("model", "stream")}
    expected["systemInstruction"] = {"parts": FULL["systemInstruction"]["parts"]}
    assert rendered.body == expected
    assert rendered.dropped == ()
    assert before == FULL
    check_gemini_request(rendered.body)


def test_a_level_of_tomorrow_and_one_answer_are_carried_back():
    config = {"thinkingConfig": {"thinkingLevel": "ULTRA", "includeThoughts": False}}
    body = {"contents": {"parts": {"text": "hi"}}, "generationConfig": {**config, "candidateCount": 1}}

    conversation = gemini.parse_request(body)

    assert conversation.extra == {"generationConfig.thinkingConfig.thinkingLevel": "ULTRA"}
    assert gemini.render_request(conversation, FLASH).body["generationConfig"] == config


def test_one_object_stands_for_a_list_and_a_string_for_an_instruction():
    conversation = gemini.parse_request(
        {
            "contents": {"parts": {"text": "hi"}},
            "systemInstruction": "Be brief",
            "tools": {
                "functionDeclarations": {"name": "f", "parameters": {"type": "OBJECT", "properties": {}}},
                "codeExecution": None,
            },
            "safetySettings": {"category": "x"},
            "generationConfig": {"stopSequences": "END"},
        }
    )

    assert conversation.messages == (HELLO,)
    assert conversation.system == (Text("Be brief"),)
    assert conversation.tools == (ToolSpec("f"),)
    assert conversation.sampling.stop == ("END",)
    assert conversation.extra == {"safetySettings": {"category": "x"}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"thinkingBudget": 0}, Reasoning(effort=Effort.NONE, shown=False)),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(adaptive=True, shown=True)),
        ({"thinking_level": "high"}, Reasoning(effort=Effort.HIGH, shown=False)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning(shown=False)),
        ({}, Reasoning(shown=False)),
        ({"thinkingBudget": 2.0}, Reasoning(budget=2, shown=False)),
    ],
)
def test_how_hard_to_think_is_understood(config, expected):
    body = {"contents": {"parts": {"text": "hi"}}, "generationConfig": {"thinkingConfig": config}}

    assert expected == gemini.parse_request(body).reasoning


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"responseMimeType": "application/json"}, OutputFormat()),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseSchema": {"type": "OBJECT"}}, OutputFormat({"type": "object"})),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "OBJECT"}},
            OutputFormat({"type": "object"}),
        ),
    ],
)
def test_the_form_of_the_answer_is_understood(config, expected):
    conversation = gemini.parse_request({"contents": {"parts": {"text": "hi"}}, "generationConfig": config})

    assert (expected, {}) == (conversation.output, conversation.extra)


def test_a_form_only_gemini_knows_is_carried_back_to_it():
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}

    conversation = gemini.parse_request({"contents": {"parts": {"text": "hi"}}, "generationConfig": config})

    assert conversation.output is None
    assert gemini.render_request(conversation, FLASH).body["generationConfig"] == config


@pytest.mark.parametrize(
    ("calling", "expected", "back"),
    [
        ({"mode": "AUTO"}, ToolChoice(), {"mode": "AUTO"}),
        ({"mode": "NONE"}, ToolChoice(ToolMode.NONE), {"mode": "NONE"}),
        ({"mode": "MODE_UNSPECIFIED"}, None, None),
        ({"mode": "VALIDATED"}, None, {"mode": "VALIDATED"}),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
            ToolChoice(ToolMode.REQUIRED),
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        ),
    ],
)
def test_how_free_the_model_is_to_call_is_understood(calling, expected, back):
    body = {
        "contents": {"parts": {"text": "hi"}},
        "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}],
        "toolConfig": {"functionCallingConfig": calling, "retrievalConfig": {"languageCode": "de"}},
    }

    conversation = gemini.parse_request(body)
    config = gemini.render_request(conversation, FLASH).body["toolConfig"]

    assert expected == conversation.tool_choice
    assert back == config.get("functionCallingConfig")
    assert config["retrievalConfig"] == {"languageCode": "de"}


def test_without_tools_there_is_no_choice_among_them():
    body = {
        "contents": {"parts": {"text": "hi"}},
        "tools": [],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }

    conversation = gemini.parse_request(body)

    assert (conversation.tools, conversation.tool_choice) == ((), None)
    assert gemini.render_request(conversation, FLASH).body == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}]
    }


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


PIXEL = {"mimeType": "image/png", "data": "aWo="}
IMAGE = Media(MediaKind.IMAGE, "image/png", "aWo=")


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

    assert (HELLO,) == conversation.messages
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


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": [3]}, "contents"),
        ({"contents": {"role": "system", "parts": []}}, "contents[0].role"),
        ({"contents": {"parts": "x"}}, "contents[0].parts"),
        ({"contents": {"parts": {"text": 3}}}, "contents[0].parts[0].text"),
        ({"contents": {"parts": {"inlineData": {}}}}, "contents[0].parts[0]"),
        ({"contents": {"parts": [{"text": "a"}, {"text": "a", "inlineData": PIXEL}]}}, "contents[0].parts[1]"),
        ({"contents": {"parts": {"functionCall": {"name": ""}}}}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": {"parts": {"functionCall": {"name": "f", "args": []}}}},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": {"parts": {"text": "x"}}, "systemInstruction": 3}, "systemInstruction"),
        (
            {"contents": {"parts": {"text": "x"}}, "systemInstruction": {"parts": [{"inlineData": {}}]}},
            "systemInstruction.parts[0]",
        ),
        ({"contents": {"parts": {"text": "x"}}, "generationConfig": {"topK": "x"}}, "generationConfig.topK"),
        ({"contents": {"parts": {"text": "x"}}, "generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"contents": {"parts": {"text": "x"}}, "generationConfig": {"seed": True}}, "generationConfig.seed"),
        (
            {"contents": {"parts": {"text": "x"}}, "generationConfig": {"stopSequences": [1]}},
            "generationConfig.stopSequences",
        ),
        (
            {"contents": {"parts": {"text": "x"}}, "generationConfig": {"thinkingConfig": {"thinkingLevel": 3}}},
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(body, param):
    with pytest.raises(FaultError) as caught:
        gemini.parse_request(body)

    assert caught.value.fault.kind is FaultKind.INVALID_REQUEST
    assert param == caught.value.fault.param


def test_a_field_called_like_a_place_in_the_tools_is_a_field_nobody_knows():
    declared = {"functionDeclarations": {"name": "f", "behavior": "BLOCKING"}}
    body = {"contents": {"parts": {"text": "x"}}, "functionDeclarations": 3, "tools": declared}

    rendered = gemini.render_request(gemini.parse_request(body), FLASH)

    assert rendered.dropped == ("functionDeclarations",)
    assert rendered.body["tools"] == [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}]


def test_thoughts_that_were_streamed_in_pieces_are_one_thought_again():
    """Google's clients keep a stream as it came: a part, or even a turn, for each chunk."""
    pieces = [
        {"text": "Let me ", "thought": True},
        {"text": "see.", "thought": True},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "CiQB"},
    ]
    asking = {"role": "user", "parts": [{"text": "hi"}]}
    whole = [asking, {"role": "model", "parts": pieces}]
    chunks = [asking, *({"role": "model", "parts": [piece]} for piece in pieces)]
    expected = (
        HELLO,
        Message(
            Role.ASSISTANT,
            (Thinking("Let me see.", "CiQB", family=Family.GEMINI), ToolCall("call_1", "f", "{}")),
        ),
    )

    for contents in (whole, chunks):
        assert expected == gemini.parse_request({"model": "gemini-2.5-flash", "contents": contents}).messages


def test_thoughts_that_are_sealed_stay_apart():
    parts = [
        {"text": "one", "thought": True, "thoughtSignature": "CiQB"},
        {"text": "two", "thought": True},
        {"text": "Hello"},
    ]
    [_, message] = gemini.parse_request(
        {"contents": [{"parts": [{"text": "hi"}]}, {"role": "model", "parts": parts}]}
    ).messages

    assert ["one", "two", "Hello"] == [part.text for part in message.parts if isinstance(part, Thinking | Text)]
