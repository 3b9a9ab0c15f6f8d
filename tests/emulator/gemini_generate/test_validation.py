"""What Vertex rejects in a Gemini request, and in which words."""

import pytest

from tests.emulator.client import request


def _gemini_tool(**schema):
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", **schema}}]}]}


def _contents(*turns):
    return {"contents": [{"role": role, "parts": list(parts)} for role, *parts in turns]}


FLASH, NEW_FLASH, PRO = "gemini-2.5-flash", "gemini-3.5-flash", "gemini-2.5-pro"
ASKED = ("user", {"text": "a"})
CALLED = ("model", {"functionCall": {"name": "f", "args": {}}})
ANSWERED = ("user", {"functionResponse": {"name": "f", "response": {"result": "ok"}}})

GEMINI = [
    (FLASH, {"model": "x"}, 'Unknown name "model"'),
    (FLASH, {"stream": True}, 'Unknown name "stream"'),
    (FLASH, {"contents": []}, "at least one contents"),
    (FLASH, _contents(("system", {"text": "a"})), "valid role"),
    (FLASH, _contents(("user",)), "at least one parts"),
    (FLASH, _contents(("user", {"text": ""})), "empty text parameter"),
    (FLASH, _contents(("user", {"image_url": "x"})), 'Unknown name "imageUrl"'),
    (
        FLASH,
        _contents(ASKED, CALLED, ("user", {"functionResponse": {"id": "1", "name": "f", "response": {}}})),
        "Unknown name \"id\" at 'contents[2].parts[0].function_response'",
    ),
    (FLASH, _contents(ASKED, CALLED, ASKED), "number of function response parts"),
    (FLASH, _gemini_tool(properties={"a": {"const": 1}}), 'Unknown name "const"'),
    (FLASH, _gemini_tool(properties={"a": {"$ref": "#/x"}}), 'Unknown name "$ref"'),
    (FLASH, _gemini_tool(properties={"a": {"type": "boolean", "enum": [True]}}), "(TYPE_STRING), true"),
    (FLASH, _gemini_tool(properties={"a": {"type": ["string", "null"]}}), "cannot start list"),
    (FLASH, {"generationConfig": {"maxTokens": 5}}, 'Unknown name "maxTokens"'),
    (FLASH, {"generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens value of 0"),
    (FLASH, {"generationConfig": {"stopSequences": list("abcdef")}}, "stop sequences"),
    (FLASH, {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "Thinking level is not supported"),
    (PRO, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, "only works in thinking mode"),
    (PRO, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 64}}}, "between 128 and 32768"),
    (FLASH, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 30_000}}}, "between 1 and 24576"),
    (FLASH, {"generationConfig": {"responseSchema": {"type": "object"}}}, "requires response_mime_type"),
    (
        FLASH,
        _gemini_tool() | {"generationConfig": {"responseMimeType": "application/json"}},
        "Function calling with a response mime type",
    ),
    (FLASH, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "without function_declarations"),
    (
        FLASH,
        _gemini_tool() | {"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}},
        "not ANY",
    ),
    (NEW_FLASH, _contents(ASKED, CALLED, ANSWERED), "missing a thought_signature"),
    (NEW_FLASH, _contents(ASKED, (*CALLED[:1], CALLED[1] | {"thoughtSignature": "YWJj"}), ANSWERED), "not valid"),
]


@pytest.mark.parametrize(("model", "change", "words"), GEMINI)
def test_gemini_refuses(eu, model, change, words):
    path, body = request("gemini", model, "Hello")

    answer = eu.post(model, path, body | change)
    error = answer.json()["error"]

    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert words in error["message"]


def test_gemini_3_knows_its_own_signatures_and_the_word_that_skips_them(eu):
    path, body = request("gemini", NEW_FLASH, "use f and g", tools=("f", "g"))
    body["contents"][0]["parts"][0]["text"] = "scene:parallel"
    content = eu.post(NEW_FLASH, path, body).json()["candidates"][0]["content"]
    answers = [{"functionResponse": {"name": name, "response": {"result": "ok"}}} for name in ("f", "g")]
    first, second = content["parts"]

    def go_on(signature):
        turns = [*body["contents"], {"role": "model", "parts": [first | {"thoughtSignature": signature}, second]}]
        return eu.post(NEW_FLASH, path, body | {"contents": [*turns, {"role": "user", "parts": answers}]}).status_code

    assert "thoughtSignature" in first
    assert "thoughtSignature" not in second
    assert go_on(first["thoughtSignature"]) == 200
    assert go_on(first["thoughtSignature"].replace("+", "-").replace("/", "_")) == 200
    assert go_on("skip_thought_signature_validator") == 200
    assert go_on("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=") == 200
    assert go_on("anything else") == 400


def test_gemini_3_asks_for_signatures_of_the_current_turn_only(eu):
    path, body = request("gemini", NEW_FLASH, "Hello")

    past = _contents(ASKED, CALLED, ANSWERED, ("model", {"text": "b"}), ASKED)

    assert eu.post(NEW_FLASH, path, body | past).status_code == 200


def test_gemini_reads_snake_case_and_lone_objects(eu):
    body = {
        "contents": {"role": "user", "parts": {"text": "use my_tool"}},
        "system_instruction": {"parts": {"text": "Be brief"}},
        "tools": [
            {
                "function_declarations": [
                    {"name": "my_tool", "parameters": {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}}
                ]
            }
        ],
        "safety_settings": {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"},
        "generation_config": {"max_output_tokens": 100, "thinking_config": {"thinking_budget": -1}},
    }

    part = eu.post(FLASH, f"models/{FLASH}:generateContent", body).json()["candidates"][0]["content"]["parts"][0]

    assert part["functionCall"] == {"name": "my_tool", "args": {"a_b": "some a_b"}}
