"""What stands around the model: masking, filters, grounding and translation."""

import json

import pytest

from tests.emulator.client import SONNET
from tests.emulator.orchestration.completion import GPT, chunks, deltas, masking, modules, post, refused, user

MAIL = "scene:echo Write to jo@example.com or +49 30 1234567"


def azure(side, **config):
    return {side: {"filters": [{"type": "azure_content_safety", "config": config}]}}


def whole(client, *configurations, **more):
    answer = post(client, *configurations, **more)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["final_result"]["choices"][0], body["intermediate_results"]


@pytest.mark.parametrize("key", ["providers", "masking_providers"])
def test_anonymized_words_are_not_seen_by_the_model_and_stay_masked(eu, key):
    choice, steps = whole(eu, modules(GPT, MAIL, masking=masking(key=key)))

    assert choice["message"]["content"] == "Write to MASKED_EMAIL or MASKED_PHONE"
    assert json.loads(steps["input_masking"]["data"]["masked_template"])[0]["content"].endswith("or MASKED_PHONE")
    assert steps["templating"] == [user(MAIL)]


def test_pseudonyms_are_put_back_into_the_answer(eu):
    text = "scene:echo a@b.co c@d.co a@b.co"

    choice, steps = whole(eu, modules(SONNET, text, masking=masking("pseudonymization")))

    assert steps["llm"]["choices"][0]["message"]["content"] == "MASKED_EMAIL_1 MASKED_EMAIL_2 MASKED_EMAIL_1"
    assert choice["message"]["content"] == "a@b.co c@d.co a@b.co"
    assert steps["output_unmasking"] == [choice]


def test_the_history_and_parts_are_masked_and_allowed_words_are_not(eu):
    configuration = modules(GPT, [user([{"type": "text", "text": "a@b.co"}])], masking=masking(allowlist=["ok@b.co"]))

    _, steps = whole(eu, configuration, messages_history=[user("x@y.co ok@b.co")])

    masked = json.loads(steps["input_masking"]["data"]["masked_template"])
    assert [each["content"] for each in masked] == ["MASKED_EMAIL ok@b.co", [{"type": "text", "text": "MASKED_EMAIL"}]]


def test_entities_of_ones_own_are_numbered(eu):
    entity = {"regex": r"P\d+", "replacement_strategy": {"method": "constant", "value": "PATIENT"}}

    choice, _ = whole(eu, modules(GPT, "scene:echo P7 P8 P7", masking=masking(entities=[entity])))

    assert choice["message"]["content"] == "PATIENT_1 PATIENT_2 PATIENT_1"


def test_files_need_a_rule_for_masking(eu):
    file = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}}

    error = refused(eu, modules(SONNET, [user([file])], masking=masking()))
    choice, _ = whole(eu, modules(SONNET, [user([file])], masking=masking(mask_file_input_method="skip")))

    assert "mask_file_input_method is required" in error["message"]
    assert choice["message"]["content"] == "I see a document (application/pdf, 4 bytes)."


@pytest.mark.parametrize(
    ("filtering", "text", "found"),
    [
        (azure("input", hate=0, violence=4), "harm:violence", {"azure_content_safety": {"Hate": 0, "Violence": 6}}),
        (
            azure("input", prompt_shield=True),
            "harm:jailbreak",
            {"azure_content_safety": {"userPromptAnalysis": {"attackDetected": True}}},
        ),
        (
            {"input": {"filters": [{"type": "llama_guard_3_8b", "config": {"privacy": True}}]}},
            "harm:privacy",
            {"llama_guard_3_8b": {"privacy": True}},
        ),
    ],
)
@pytest.mark.parametrize("stream", [None, {}])
def test_an_input_filter_refuses_before_anything_is_streamed(eu, filtering, text, found, stream):
    error = refused(eu, modules(GPT, text, filtering=filtering), stream=stream)

    assert error["location"] == "Filtering Module - Input Filter"
    assert "Content filtered due to safety violations." in error["message"]
    assert error["intermediate_results"]["input_filtering"]["data"] == found
    assert error["intermediate_results"]["templating"] == [user(text)]


def test_a_filter_lets_through_what_it_allows(eu):
    choice, steps = whole(eu, modules(GPT, "harm:violence", filtering=azure("input", violence=6, hate=0)))

    assert choice["finish_reason"] == "stop"
    assert steps["input_filtering"]["message"] == "Input Filter passed successfully."


@pytest.mark.parametrize("stream", [False, True])
def test_an_output_filter_leaves_nothing_of_the_answer(eu, stream):
    configuration = modules(GPT, "scene:echo harm:hate", filtering=azure("output", hate=2))
    if stream:
        found = chunks(eu, configuration)
        text, reason = "".join(delta["content"] for delta in deltas(found)), _last_reason(found)
    else:
        choice, _ = whole(eu, configuration)
        text, reason = choice["message"]["content"], choice["finish_reason"]

    assert (text, reason) == ("", "content_filter")


def _last_reason(found):
    return found[-2]["final_result"]["choices"][0]["finish_reason"]


def test_grounding_fills_the_placeholder_for_what_was_found(eu):
    grounding = {
        "type": "document_grounding_service",
        "config": {
            "filters": [{"data_repository_type": "vector", "data_repositories": ["*"]}],
            "placeholders": {"input": ["question"], "output": "found"},
        },
    }
    configuration = modules(GPT, "scene:echo {{?found}}", grounding=grounding)

    choice, steps = whole(eu, configuration, placeholder_values={"question": "Joule"})

    assert choice["message"]["content"] == "A document about: Joule"
    assert steps["grounding"]["data"]["grounding_query"] == "Joule"


def test_translations_are_recorded_and_need_delimiters_to_stream(eu):
    german = {"type": "sap_document_translation", "config": {"target_language": "de-DE"}}
    configuration = modules(GPT, translation={"input": german, "output": german})

    _, steps = whole(eu, configuration)
    error = refused(eu, configuration, stream={})

    assert {"input_translation", "output_translation"} <= steps.keys()
    assert "'delimiters' is a required property" in error["message"]
    assert chunks(eu, configuration, stream={"delimiters": ["."]})[-1] == "[DONE]"
