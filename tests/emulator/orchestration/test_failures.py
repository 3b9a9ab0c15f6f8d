"""Failures of models behind orchestration: its own retries, its fallbacks, and what it says in the end."""

import pytest

from tests.emulator.client import SONNET
from tests.emulator.orchestration.completion import GEMINI, GPT, chunks, message, modules, post, user

LIMITED = "Your request has been rate limited by AI Core due to exceeding the allowed request."


def calls(client):
    """Say how often models were called for the last request."""
    return client.admin("GET", "requests")[-1]["model_calls"]


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("500", 500, "unexpected error"),
        ("529", 529, "Overloaded"),
        ("429-provider", 429, "token rate limit"),
        ("429-quota", 429, LIMITED),
    ],
)
def test_a_model_that_fails_for_a_time_is_called_three_times(eu, kind, status, words):
    eu.break_(None, kind=kind, retry_after=7)

    answer = post(eu, modules(GPT))
    error = answer.json()["error"]

    assert (answer.status_code, error["code"], error["location"]) == (status, status, "LLM Module")
    assert words in error["message"]
    assert answer.headers["retry-after"] == error["headers"]["Retry-After"] == "7"
    assert error["intermediate_results"] == {"templating": [user("Hello")]}
    assert calls(eu) == 3


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("400", 400, "400 - LLM Module: The request is not valid."),
        ("400-overflow", 400, "400 - LLM Module: prompt is too long: "),
        ("403-provider", 403, "403 - LLM Module: "),
        ("404-provider", 404, "404 - LLM Module: "),
    ],
)
def test_what_a_model_refuses_is_not_asked_again(eu, kind, status, words):
    eu.break_(None, kind=kind)

    answer = post(eu, modules(SONNET))

    assert (answer.status_code, answer.json()["error"]["message"].startswith(words)) == (status, True)
    assert calls(eu) == 1


@pytest.mark.parametrize(("model", "retries", "made"), [(GPT, 0, 1), (GPT, 1, 2), (SONNET, 5, 6), (GEMINI, 5, 1)])
def test_retries_are_as_many_as_the_request_says_and_none_on_vertex(eu, model, retries, made):
    eu.break_(None, kind="500")

    assert post(eu, modules(model, max_retries=retries)).status_code == 500
    assert calls(eu) == made


def test_a_retry_that_succeeds_is_not_seen(eu):
    eu.break_(None, kind="429-provider", times=2)

    assert message(eu, modules(GPT))["content"] == 'Happy to help! You said: "Hello".'
    assert calls(eu) == 3


@pytest.mark.parametrize("kind", ["401", "403", "403-html", "404", "503", "400-empty"])
def test_what_stands_before_orchestration_says_no_in_its_own_words(eu, kind):
    eu.break_(None, kind=kind)

    answer = post(eu, modules(GPT))

    assert answer.status_code == int(kind[:3])
    assert "LLM Module" not in answer.text
    assert calls(eu) == 0


def test_the_next_configuration_is_asked_when_one_fails_for_a_time(eu):
    eu.break_(None, kind="500", times=1)

    answer = post(eu, modules(GPT, max_retries=0), modules(SONNET, max_retries=0)).json()

    assert answer["final_result"]["model"] == "claude-sonnet-4-5-20250929"
    [failure] = answer["intermediate_failures"]
    assert failure["message"].startswith("500 - LLM Module: ")
    assert failure["intermediate_results"] == {"templating": [user("Hello")]}


def test_the_next_configuration_is_not_asked_when_one_is_refused(eu):
    answer = post(eu, modules(GPT, params={"temperature": 0}), modules(SONNET))

    assert answer.status_code == 400
    assert len(answer.json()["error"]) == 1


def test_errors_of_all_configurations_are_a_list_and_the_last_gives_the_status(eu):
    eu.break_(None, kind="429-provider")

    answer = post(eu, modules("gpt-0"), modules(SONNET, max_retries=0))

    assert answer.status_code == 429
    assert [error["code"] for error in answer.json()["error"]] == [400, 429]


def test_a_stream_says_in_band_what_the_model_failed_with(eu):
    eu.break_(None, kind="429-quota", retry_after=3)

    first, last = chunks(eu, modules(GPT))

    assert first["intermediate_results"] == {"templating": [user("Hello")]}
    assert (last["error"]["code"], last["error"]["headers"]["Retry-After"]) == (429, "3")
    assert LIMITED in last["error"]["message"]


def test_a_stream_falls_back_only_from_a_model_that_is_not_there(eu):
    found = chunks(eu, modules("gpt-0"), modules(SONNET))

    assert found[-1] == "[DONE]"
    assert found[0]["intermediate_failures"][0]["message"] == (
        "400 - LLM Module: Model gpt-0 in version latest not found."
    )
    eu.break_(None, kind="500", times=1)
    last = chunks(eu, modules(GPT, max_retries=0), modules(SONNET))[-1]
    assert [error["code"] for error in last["error"]] == [500]
