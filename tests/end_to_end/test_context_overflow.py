"""A conversation that is longer than the model takes: one call, nobody is blamed, and the client knows what to do."""

import json
from typing import Any

import pytest

from tests.support.running import Proxy
from tests.support.talking import DIALECTS, MESSAGES, ONE_OF_EACH, RESPONSES, request_of

RECOGNISED = {
    "chat": '"code":"context_length_exceeded"',
    "messages": "prompt is too long",
    "responses": '"code":"context_length_exceeded"',
    "gemini": "input token count",
}
"""By which words each client knows that it must shorten the conversation."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_a_client_is_told_of_an_overflow_in_its_own_words_after_one_call(
    wide_proxy: Proxy, model: str, dialect: str, stream: bool
) -> None:
    (deployment,) = wide_proxy.cloud.deployments(model)
    wide_proxy.cloud.fault(deployment, "400-overflow")
    path, body = request_of(dialect, model, stream=stream)
    told = wide_proxy.ask("POST", path, body)

    in_stream = stream and dialect == "responses"
    assert (200 if in_stream else 400) == told.status
    assert RECOGNISED[dialect] in told.body.decode()
    assert len(wide_proxy.cloud.requests()) == 1
    assert {row["circuit"] for row in wide_proxy.ask("GET", "/router/state").json["endpoints"]} == {"closed"}
    assert 'outcome="context_length_exceeded"' in wide_proxy.ask("GET", "/metrics").body.decode()


@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_a_stream_of_responses_fails_within_as_openais_own_does(wide_proxy: Proxy, model: str) -> None:
    """Codex takes any 400 for a mistake that shortening does not mend."""
    (deployment,) = wide_proxy.cloud.deployments(model)
    wide_proxy.cloud.fault(deployment, "400-overflow")
    told = wide_proxy.ask("POST", RESPONSES, {"model": model, "stream": True, "input": "Hello there"})

    events: list[Any] = [json.loads(line[6:]) for line in told.body.decode().splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert events[-1]["response"]["error"]["code"] == "context_length_exceeded"
    assert len({event["response"]["id"] for event in events}) == 1


def test_a_mistake_that_is_no_overflow_stays_an_http_error_of_a_stream(wide_proxy: Proxy) -> None:
    (deployment,) = wide_proxy.cloud.deployments("gpt-4.1")
    wide_proxy.cloud.fault(deployment, "400", message="input.0: no")

    assert wide_proxy.ask("POST", RESPONSES, {"model": "gpt-4.1", "stream": True, "input": "Hello"}).status == 400


def test_token_counts_of_another_vendor_reach_an_anthropic_client(wide_proxy: Proxy) -> None:
    (deployment,) = wide_proxy.cloud.deployments("gemini-2.5-pro")
    wide_proxy.cloud.fault(deployment, "400-overflow")
    body = {"model": "gemini-2.5-pro", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    told = wide_proxy.ask("POST", MESSAGES, body).json["error"]

    assert told == {"type": "invalid_request_error", "message": "prompt is too long: 1196265 tokens > 1048576 maximum"}
