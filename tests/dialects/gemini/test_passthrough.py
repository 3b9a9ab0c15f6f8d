"""A Gemini client's own body for a Gemini model: passed, but for what SAP AI Core or the model refuses."""

import copy

import pytest

from dialects import gemini
from dialects.adapt.signatures import pack
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Family
from dialects.core.faults import FaultError
from dialects.gemini.request_renderer import SKIP_SIGNATURE

CONFIG = "generationConfig.thinkingConfig"
SHOWN = {"includeThoughts": True}
FLASH = profile_for("gemini-2.5-flash")
PRO = profile_for("gemini-2.5-pro")
THREE = profile_for("gemini-3.1-pro")
THREE_PRO = profile_for("gemini-3-pro")
NO_THINKER = profile_for("gemini-2.0-flash")


def test_passthrough_changes_only_what_the_backend_refuses():
    unsupported = pack("Eq==", Family.CLAUDE, Family.GEMINI)
    body = {
        "model": "m",
        "stream": True,
        "system_instruction": "Be brief",
        "contents": [
            {"parts": {"text": "hi"}},
            {
                "role": "model",
                "parts": [
                    {"function_call": {"id": "1", "name": "f", "args": {"id": 3}}, "thought_signature": unsupported},
                    {"functionCall": {"id": "2", "name": "f"}, "thoughtSignature": "CiQB"},
                    "odd",
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"id": 4}}}]},
        ],
        "somethingNew": {"a": 1},
    }
    before = copy.deepcopy(body)

    rendered = gemini.passthrough_request(body, THREE)

    assert before == body
    assert rendered.dropped == ("somethingNew", "thinking signature")
    assert rendered.body == {
        "system_instruction": {"parts": [{"text": "Be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [
                    {"function_call": {"name": "f", "args": {"id": 3}}, "thoughtSignature": SKIP_SIGNATURE},
                    {"functionCall": {"name": "f"}, "thoughtSignature": "CiQB"},
                    "odd",
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"id": 4}}}]},
        ],
    }


def test_passthrough_leaves_what_is_no_turn_to_google():
    unsupported = {"functionCall": {"name": "f"}, "thoughtSignature": pack("Eq==", Family.CLAUDE, Family.GEMINI)}

    rendered = gemini.passthrough_request({"contents": ["odd turn", {"role": "model", "parts": [unsupported]}]}, THREE)

    signed = {"functionCall": {"name": "f"}, "thoughtSignature": SKIP_SIGNATURE}
    assert rendered.body == {"contents": ["odd turn", {"role": "model", "parts": [signed]}]}


def test_passthrough_leaves_out_and_names_what_vertex_does_not_know_of_a_part():
    parts = [
        {"text": "a", "part_metadata": {"x": 1}, "videoMetadata": {"fps": 5}, "new": None},
        {"inlineData": {"mimeType": "image/png", "data": "aWo=", "new": 1}},
        {"partMetadata": {"x": 1}},
        {"text": "", "thoughtSignature": pack("Eq==", Family.CLAUDE, Family.GEMINI)},
        {"functionResponse": {"id": "1", "name": "f", "response": {"new": 1}, "willContinue": True}},
    ]

    rendered = gemini.passthrough_request({"contents": [{"role": "user", "parts": parts, "cacheHint": 1}]}, FLASH)

    assert rendered.body["contents"][0]["parts"] == [
        {"text": "a", "videoMetadata": {"fps": 5}},
        {"inlineData": {"mimeType": "image/png", "data": "aWo="}},
        {"functionResponse": {"name": "f", "response": {"new": 1}}},
    ]
    assert rendered.dropped == (
        "contents[].cacheHint",
        "contents[].parts[].functionResponse.willContinue",
        "contents[].parts[].inlineData.new",
        "contents[].parts[].partMetadata",
        "thinking signature",
    )


def test_passthrough_rejects_unknown_parts_of_a_user_and_drops_those_of_the_model():
    unheard = {"toolCall": {"toolType": "x"}, "partMetadata": {"x": 1}}

    with pytest.raises(FaultError) as refused:
        gemini.passthrough_request({"contents": [{"role": "model"}, {"parts": [{"text": "a"}, unheard]}]}, FLASH)
    rendered = gemini.passthrough_request({"contents": {"role": "model", "parts": [{"text": "a"}, unheard]}}, FLASH)

    assert refused.value.fault.param == "contents[1].parts[1]"
    assert rendered.body["contents"][0]["parts"] == [{"text": "a"}]
    assert rendered.dropped == ("contents[].parts[].partMetadata", "contents[].parts[].toolCall")


def test_passthrough_passes_a_plain_body_as_it_is():
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "safetySettings": [], "cachedContent": "c"}

    assert gemini.passthrough_request(body, FLASH).body == body
    assert gemini.passthrough_request({"contents": 3}, FLASH).body == {"contents": 3}
    assert gemini.passthrough_request({"contents": [3, {"parts": 4}]}, THREE).body == {"contents": [3, {"parts": 4}]}


@pytest.mark.parametrize(
    ("profile", "thinking", "expected", "changed"),
    [
        # --- in tokens
        (FLASH, {"thinkingBudget": 0}, {"thinkingBudget": 0}, ()),
        (FLASH, {"thinkingBudget": -1, "includeThoughts": True}, {"thinkingBudget": -1, "includeThoughts": True}, ()),
        (FLASH, {"thinkingBudget": 30_000}, {"thinkingBudget": 24_576}, ("thinkingBudget",)),
        (FLASH, {"thinkingBudget": -7}, {"thinkingBudget": -1}, ("thinkingBudget",)),
        (PRO, {"thinkingBudget": 0}, {"thinkingBudget": 128}, ("thinkingBudget",)),
        (PRO, {"thinkingBudget": 30_000}, {"thinkingBudget": 30_000}, ()),
        (
            FLASH,
            {"thinkingLevel": "low", "includeThoughts": True},
            {"thinkingBudget": 1024, "includeThoughts": True},
            (),
        ),
        (FLASH, {"thinkingLevel": "HIGH"}, {"thinkingBudget": 24_576}, ()),
        (FLASH, {"thinkingLevel": "HIGH", "thinkingBudget": 5}, {"thinkingBudget": 5}, ("thinkingLevel",)),
        (FLASH, {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, {}, ("thinkingLevel",)),
        # --- in levels
        (THREE, {"thinkingLevel": "medium"}, {"thinkingLevel": "medium"}, ()),
        (THREE, {"thinkingLevel": "ULTRA"}, {"thinkingLevel": "ULTRA"}, ()),
        (THREE, {"thinkingLevel": "MINIMAL"}, {"thinkingLevel": "LOW"}, ("thinkingLevel",)),
        (THREE_PRO, {"thinkingLevel": "MEDIUM"}, {"thinkingLevel": "HIGH"}, ("thinkingLevel",)),
        (THREE, {"thinkingLevel": "HIGH", "thinkingBudget": 5}, {"thinkingLevel": "HIGH"}, ("thinkingBudget",)),
        (THREE, {"thinkingBudget": 0}, {"thinkingLevel": "LOW"}, ("thinkingBudget",)),
        (THREE, {"thinkingBudget": 8192}, {"thinkingBudget": 8192}, ()),
        (THREE, {"thinkingBudget": 99_999}, {"thinkingBudget": 32_768}, ("thinkingBudget",)),
        # --- not at all
        (NO_THINKER, {"thinkingBudget": 0, "includeThoughts": False}, {}, ()),
        (NO_THINKER, {"thinkingBudget": 9, "thinkingLevel": "LOW"}, {}, ("thinkingBudget", "thinkingLevel")),
    ],
)
def test_passthrough_says_how_hard_to_think_as_the_model_can_be_told(profile, thinking, expected, changed):
    body = {"generationConfig": {"topK": 64, "thinkingConfig": thinking}}

    rendered = gemini.passthrough_request(body, profile)

    assert rendered.body["generationConfig"] == {"topK": 64, "thinkingConfig": expected}
    assert tuple(f"{CONFIG}.{name}" for name in changed) == rendered.dropped


@pytest.mark.parametrize(
    ("model", "config", "expected", "changed"),
    [
        ("gemini-2.5-flash", {"maxOutputTokens": 100_000}, {"maxOutputTokens": 65_535}, ("maxOutputTokens",)),
        ("gemini-2.0-flash", {"maxOutputTokens": 9000}, {"maxOutputTokens": 8192}, ("maxOutputTokens",)),
        ("gemini-2.5-flash", {"stopSequences": list("abcdef")}, {"stopSequences": list("abcde")}, ("stopSequences",)),
        ("gemini-3.5-flash", {"presencePenalty": 0.5, "topK": 3}, {"topK": 3}, ("presencePenalty",)),
        ("gemini-2.5-flash", {"foo": 1, "topK": 3, "bar": None}, {"topK": 3}, ("foo",)),
        ("gemini-2.5-flash", {"thinking_config": {"foo": 1}}, {"thinking_config": {}}, ("thinkingConfig.foo",)),
        ("gemini-2.5-flash", {"_responseJsonSchema": {"x": 1}}, {"responseJsonSchema": {"x": 1}}, ()),
    ],
)
def test_passthrough_fits_the_settings_to_the_model(model, config, expected, changed):
    rendered = gemini.passthrough_request({"generationConfig": config}, profile_for(model))

    assert rendered.body == {"generationConfig": expected}
    assert tuple(f"generationConfig.{name}" for name in changed) == rendered.dropped


def test_passthrough_leaves_settings_that_fit_as_they_are_spelled():
    config = {
        "max_output_tokens": 100,
        "response_schema": {"type": "OBJECT", "properties": {"foo": {"type": "STRING"}}},
        "thinking_config": {"thinking_budget": 5, "include_thoughts": True},
    }
    body = {"generation_config": config, "tool_config": {"function_calling_config": {"mode": "AUTO", "foo": 1}}}

    rendered = gemini.passthrough_request(body, FLASH)

    calling = {"function_calling_config": {"mode": "AUTO"}}
    assert rendered.body == {"generation_config": config, "tool_config": calling}
    assert rendered.dropped == ("toolConfig.functionCallingConfig.foo",)
    assert gemini.passthrough_request({"generationConfig": "odd"}, FLASH).body == {"generationConfig": "odd"}


def test_passthrough_and_translation_render_alike():
    """Whoever asks in Gemini's words is told of the same limits as everybody else."""
    config = {"maxOutputTokens": 100_000, "thinkingConfig": {"thinkingBudget": 0}, "stopSequences": list("abcdef")}
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": config}
    for profile in (FLASH, PRO, THREE, THREE_PRO, NO_THINKER):
        translated = gemini.render_request(gemini.parse_request(body), profile).body["generationConfig"]
        thinking = translated.pop("thinkingConfig", {})
        thinking.pop("includeThoughts", None)

        passed = gemini.passthrough_request(body, profile).body["generationConfig"]

        assert passed == {**translated, "thinkingConfig": thinking}
