"""What Azure OpenAI makes of a conversation that is to be shorter, and what it refuses."""

import pytest

SAID = [{"role": "user", "content": "My colour is blue."}, {"role": "assistant", "content": "I see."}]


def test_a_compaction_holds_what_the_user_said_and_encrypts_the_rest(eu):
    answer = eu.post("gpt-5", "responses/compact", {"input": SAID, "instructions": "Be brief."})
    whole = answer.json()

    assert (answer.status_code, whole["object"]) == (200, "response.compaction")
    assert [item["type"] for item in whole["output"]] == ["message", "compaction"]
    assert whole["output"][0]["content"] == "My colour is blue."
    assert whole["usage"]["input_tokens"] > 0
    again = {"input": [*whole["output"], {"role": "user", "content": "Which?"}]}
    assert eu.post("gpt-5", "responses", again).status_code == 200


@pytest.mark.parametrize("name", ["max_output_tokens", "tools", "stream", "reasoning"])
def test_a_compaction_takes_few_settings(eu, name):
    answer = eu.post("gpt-5", "responses/compact", {"input": SAID, name: 99})

    assert (400, name) == (answer.status_code, answer.json()["error"]["param"])


def test_what_another_has_encrypted_is_refused(eu):
    compacted = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAABx"}
    answer = eu.post("gpt-5", "responses", {"input": [compacted, *SAID]})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_encrypted_content")


def test_a_model_that_takes_no_responses_makes_nothing_shorter(eu):
    answer = eu.post("gpt-4.1", "responses/compact", {"input": SAID})

    assert (answer.status_code, "is not allowed for model" in answer.json()["message"]) == (400, True)
