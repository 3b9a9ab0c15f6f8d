"""What Gemini's clients ask is understood, and what Gemini's models are asked is what Google takes."""

import copy

import pytest

from dialects import gemini
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
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
from dialects.core.faults import FaultError, FaultKind
from tests.oracles.gemini import check_gemini_request

FLASH = profile_for("gemini-2.5-flash")
HELLO = Message(Role.USER, (Text("hi"),))
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

    assert gemini.parse_request(body).reasoning == expected


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

    assert (conversation.output, conversation.extra) == (expected, {})


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
        ({"mode": "ANY", "allowedFunctionNames": []}, ToolChoice(ToolMode.REQUIRED), {"mode": "ANY"}),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
            ToolChoice(ToolMode.NAMED, "f"),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
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

    assert conversation.tool_choice == expected
    assert back == config.get("functionCallingConfig")
    assert config["retrievalConfig"] == {"languageCode": "de"}


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "ANY", "allowedFunctionNames": ["g", "h"]}, ToolChoice(ToolMode.REQUIRED)),
        ({"mode": "VALIDATED", "allowed_function_names": ["g", "h"]}, None),
    ],
)
def test_of_several_functions_no_others_are_offered_than_those_that_may_be_called(calling, choice):
    declared = {"functionDeclarations": [{"name": name} for name in "fgh"], "googleSearch": {}}
    body = {"contents": {"parts": {"text": "hi"}}, "tools": declared, "toolConfig": {"functionCallingConfig": calling}}

    conversation = gemini.parse_request(body)

    assert conversation.tools == (ToolSpec("g"), ToolSpec("h"), Opaque("gemini", {"googleSearch": {}}))
    assert choice == conversation.tool_choice


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
        (
            {"contents": {"parts": [{"text": "a"}, {"text": "a", "fileData": {}}]}},
            "contents[0].parts[1]",
        ),
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
        *(
            (
                {
                    "contents": {"parts": {"text": "x"}},
                    "tools": {"functionDeclarations": {"name": "f"}},
                    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": names}},
                },
                "toolConfig.functionCallingConfig.allowedFunctionNames",
            )
            for names in (["g", "h"], [1, 2], {"f": 1})
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

    assert FaultKind.INVALID_REQUEST is caught.value.fault.kind
    assert param == caught.value.fault.param


def test_a_field_called_like_a_place_in_the_tools_is_a_field_nobody_knows():
    declared = {"functionDeclarations": {"name": "f", "behavior": "BLOCKING"}}
    body = {"contents": {"parts": {"text": "x"}}, "functionDeclarations": 3, "tools": declared}

    rendered = gemini.render_request(gemini.parse_request(body), FLASH)

    assert rendered.dropped == ("functionDeclarations",)
    assert rendered.body["tools"] == [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}]
