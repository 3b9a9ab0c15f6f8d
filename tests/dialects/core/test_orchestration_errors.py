"""Errors of orchestration: classified by whose words they are, and told without the prompt that they repeat."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core import orchestration_errors
from dialects.core.conversation import JSON
from dialects.core.faults import FaultKind, Quota
from dialects.core.upstream_errors import fault_from, fault_of_orchestration

PROMPT = "SECRET prompt. Please try again in 99 hours. maximum context length is 5 tokens"
ECHO = {"templating": [{"role": "user", "content": PROMPT}]}
LLM, INPUT = "LLM Module", "Filtering Module - Input Filter"
LIMIT = "Your request has been rate limited by AI Core due to exceeding the allowed request. Please try again later."


def error(message: str, code: int = 400, location: str = LLM, results: JSON = ECHO, **more: Any) -> JSON:
    said = {"request_id": "r", "code": code, "message": message, "location": location}
    return said | {"intermediate_results": results} | more


def in_shapes(said: JSON) -> list[tuple[int, JSON]]:
    """An error of the second version, of several attempts, and of the first version."""
    first = {("module_results" if name == "intermediate_results" else name): value for name, value in said.items()}
    earlier = error("500 - LLM Module: failed", 500)
    return [(said["code"], body) for body in ({"error": said}, {"error": [earlier, said]}, first)]


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            error("400 - LLM Module: prompt is too long: 215432 tokens > 200000 maximum"),
            FaultKind.CONTEXT_LENGTH_EXCEEDED,
            "prompt is too long: 215432 tokens > 200000 maximum",
        ),
        (
            error("400 - LLM Module: openai does not support parameters: ['tool_choice'], for model=gpt-5.6-sol"),
            FaultKind.INVALID_REQUEST,
            "openai does not support parameters: ['tool_choice'], for model=gpt-5.6-sol",
        ),
        (
            error("400 - Request Body: [] is not of type 'string'", location="Request Body"),
            FaultKind.INVALID_REQUEST,
            "Request Body: [] is not of type 'string'",
        ),
        (
            error("400 - LLM Module: The response was filtered due to Azure OpenAI's content management policy."),
            FaultKind.CONTENT_FILTERED,
            "The response was filtered due to Azure OpenAI's content management policy.",
        ),
        (error("429 - LLM Module: Too many tokens.", 429), FaultKind.RATE_LIMITED, "Too many tokens."),
        (error("408 - LLM Module: timed out", 408), FaultKind.TIMEOUT, "The model's endpoint took too long."),
        (error("503 - LLM Module: no", 503), FaultKind.OVERLOADED, "The model is overloaded."),
        (error("500 - LLM Module: no", 500), FaultKind.SERVER_ERROR, "The model's endpoint failed."),
        (
            error("400 - LLM Module: Model gpt-9 in version 2 not found."),
            FaultKind.RESOURCE_NOT_FOUND,
            "Model gpt-9 in version 2 not found.",
        ),
        (
            error("Model name must be one of ['gpt-5', …]"),
            FaultKind.RESOURCE_NOT_FOUND,
            "Model name must be one of ['gpt-5', …]",
        ),
        # SAP AI Core had taken the proxy's token: who refuses one is behind the orchestration.
        (error("401 - LLM Module: denied", 401), FaultKind.DEPLOYMENT_FORBIDDEN, None),
        (
            error("Content filtered due to safety violations.", location=INPUT),
            FaultKind.CONTENT_FILTERED,
            "Content filtered due to safety violations.",
        ),
        (
            error(f"400 - {INPUT}: Prompt attack detected.", location=INPUT),
            FaultKind.CONTENT_FILTERED,
            f"{INPUT}: Prompt attack detected.",
        ),
    ],
)  # fmt: skip
def test_an_error_is_classified_by_what_failed_and_in_whose_words(
    said: JSON, kind: FaultKind, message: str | None
) -> None:
    for status, body in in_shapes(said):
        fault = fault_from(status, {}, json.dumps(body).encode())

        assert fault.kind is kind, body
        assert message in (None, fault.message)
        assert "SECRET" not in repr(fault)


def test_an_error_within_a_stream_is_classified_as_one_with_a_status() -> None:
    for said, kind in (
        (error("400 - LLM Module: Model gpt-9 in version 2 not found."), FaultKind.RESOURCE_NOT_FOUND),
        (error("429 - LLM Module: slow", 429), FaultKind.RATE_LIMITED),
        (error("blocked", location=INPUT), FaultKind.CONTENT_FILTERED),
        (error("401 - LLM Module: denied", 401), FaultKind.DEPLOYMENT_FORBIDDEN),
        (error("400 - LLM Module: maximum context length is 10 tokens"), FaultKind.CONTEXT_LENGTH_EXCEEDED),
    ):
        assert fault_of_orchestration([error("500 - x", 500), said]).kind is kind
    assert fault_of_orchestration("what?").kind is FaultKind.STREAM_BROKEN


@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for function 'f': 'model x not found' is not valid under any of the given schemas.",
        "Unsupported parameter: 'temperature' with model gpt-5.5 is not supported.",
        "Model gpt-5 not found. was what you wrote, and it is no schema.",
        "No deployment was named in the tool's description.",
        "You wrote: Model name must be one of these.",
    ],
)
def test_what_a_vendor_quotes_of_the_request_says_nothing_of_the_deployment(words: str) -> None:
    for status, body in in_shapes(error(f"400 - LLM Module: {words}")):
        fault = fault_from(status, {}, json.dumps(body).encode())

        assert (fault.kind, fault.message) == (FaultKind.INVALID_REQUEST, words)


def test_a_filters_findings_are_named_and_nothing_of_what_it_found_them_in() -> None:
    data = {
        "azure_content_safety": {"Hate": 4, "Violence": 0, "SelfHarm": 2},
        "llama_guard_3_8b": {"privacy": True, "hate": False},
        "x" * 50: {"y": True},
        "odd": {"<SECRET>": True, "n": "SECRET"},
    }
    results = {**ECHO, "input_filtering": {"message": "SECRET", "data": data}}
    for status, body in in_shapes(error("Blocked.", location=INPUT, results=results)):
        fault = fault_from(status, {}, json.dumps(body).encode())

        found = "azure_content_safety: Hate, azure_content_safety: SelfHarm, llama_guard_3_8b: privacy"
        assert fault.message == f"Blocked. (found by {found})"
        assert fault.code == "content_filter"


def test_when_to_come_back_is_read_from_the_error_and_never_from_the_prompt() -> None:
    limited = error("429 - LLM Module: slow down", 429, headers={"Retry-After": "7"})

    assert fault_from(429, {}, json.dumps({"error": limited}).encode()).retry_after == 7
    assert fault_of_orchestration(limited).retry_after == 7
    assert fault_from(429, {"retry-after": "3"}, json.dumps({"error": error("slow", 429)}).encode()).retry_after == 3
    for said in (error("429 - LLM Module: slow", 429), error("500 - LLM Module: no", 500)):
        assert fault_from(said["code"], {}, json.dumps({"error": said}).encode()).retry_after is None


def test_the_quota_of_sap_ai_core_is_told_from_that_of_a_provider() -> None:
    body = json.dumps({"error": error(f"429 - LLM Module: {LIMIT}", 429)}).encode()

    assert fault_from(429, {}, body).quota is Quota.MODEL
    assert fault_of_orchestration(error("429 - LLM Module: no capacity", 429)).quota is Quota.ENDPOINT


@pytest.mark.parametrize(
    "said",
    [
        {"request_id": "r", "code": "429", "message": "429 - LLM Module: slow"},
        {"code": "429", "message": "slow"},
        {"code": 429, "message": "slow", "location": None},
    ],
)
@pytest.mark.parametrize("results", ["intermediate_results", "module_results"])
def test_an_error_of_another_shape_keeps_its_code_and_takes_no_advice_of_the_prompt(said: JSON, results: str) -> None:
    said = {**said, results: {"templating": [{"role": "user", "content": "SECRET: retry after 50 seconds"}]}}
    earlier = {"code": "500", "message": "failed"}
    whole = [fault_from(429, {}, json.dumps(body).encode()) for body in ({"error": said}, {"error": [said]}, said)]
    streamed = [fault_of_orchestration(said), fault_of_orchestration([earlier, said])]
    for fault in (*whole, *streamed):
        assert (fault.kind, fault.retry_after) == (FaultKind.RATE_LIMITED, None)
        assert "SECRET" not in repr(fault)
    for fault in streamed:
        assert (fault.message, fault.status) == ("slow", 429)


def test_an_error_whose_prompt_is_too_long_to_be_read_says_the_same_without_it() -> None:
    said = error("400 - LLM Module: prompt is too long: 215432 tokens > 200000 maximum", results={"templating": PROMPT})
    quoting = error('400 - LLM Module: you said {"a": 1,"intermediate_results": 2}', results={"templating": PROMPT})
    for each in (said, quoting):
        for status, body in in_shapes(each):
            written = json.dumps(body).encode()
            cut = written[: written.rindex(b"maximum context")]
            expected = fault_from(status, {}, json.dumps(strip(body)).encode())

            assert fault_from(status, {}, cut) == expected
            assert "SECRET" not in repr(expected)


def strip(body: JSON) -> JSON:
    """An error as far as it comes before the first prompt that it repeats."""
    match body:
        case {"error": [first, *_]}:
            return {"error": [strip(first)]}
        case {"error": said}:
            return {"error": strip(said)}
        case _:
            return {name: value for name, value in body.items() if not name.endswith("_results")}


def test_an_error_that_does_not_say_where_it_happened_is_read_all_the_same() -> None:
    said = {"request_id": "r", "code": 429, "message": "429 - LLM Module: slow"}

    assert fault_of_orchestration(said).kind is FaultKind.RATE_LIMITED
    assert fault_from(429, {}, json.dumps({"error": said}).encode()).message == "slow"


def test_other_errors_are_none_of_orchestrations() -> None:
    for body in ({"error": {"code": "404", "message": "x"}}, {"message": "x"}, {"error": []}, [], None, "x", {}):
        assert orchestration_errors.read(body) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "templating", "a"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["code", "headers", "intermediate_results", "module_results"]), json_values))
def test_no_error_is_so_odd_that_it_cannot_be_read(more: JSON) -> None:
    body = {"message": "m", "location": INPUT, **more}

    assert fault_from(400, {}, json.dumps({"error": body}).encode()).kind is FaultKind.CONTENT_FILTERED
    assert fault_of_orchestration(body).kind is FaultKind.CONTENT_FILTERED
