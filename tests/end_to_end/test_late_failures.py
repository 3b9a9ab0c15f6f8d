"""Failures that come when the headers have left: clients must read the reason from the stream."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.support.running import KEY, Cloud, Proxy, running_proxy
from tests.support.talking import DIALECTS, request_of

MODELS = ["gpt-4.1", "gpt-5"]


@pytest.fixture
def late(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy whose headers leave before its models fail."""
    for model in MODELS:
        for deployment in cloud.deployments(model):
            cloud.fault(deployment, "503", delay=1.5)
    with running_proxy(
        cloud, tmp_path, routing={"timeouts": {"keep_alive": 0.01}, "retry": {"max_attempts": 1}}
    ) as proxy:
        yield proxy


def reason(proxy: Proxy, dialect: str, model: str) -> str:
    """Why a model fails, as an answer in one piece says it."""
    for deployment in proxy.cloud.deployments(model):
        proxy.cloud.fault(deployment, "503")
    said: str = proxy.ask("POST", *request_of(dialect, model, stream=False)).json["error"]["message"]
    return said


@pytest.mark.parametrize("model", MODELS)
def test_openais_sdk_reads_why_a_response_failed_that_never_began(late: Proxy, model: str) -> None:
    client = openai.OpenAI(base_url=f"{late.url}/v1", api_key=KEY, max_retries=0)
    with client, client.responses.stream(model=model, input="Hello") as streaming:
        events = list(streaming)
    why = reason(late, "responses", model)

    assert [event.type for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert [event.sequence_number for event in events] == [0, 1, 2]
    assert [event.response.status for event in events] == ["in_progress", "in_progress", "failed"]
    assert len({event.response.id for event in events}) == 1
    assert ("server_error", why) == (events[-1].response.error.code, events[-1].response.error.message)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_reason_is_the_last_thing_in_the_stream(late: Proxy, dialect: str) -> None:
    told = late.ask("POST", *request_of(dialect, "gpt-4.1", stream=True))
    why = reason(late, dialect, "gpt-4.1")

    assert told.status == 200
    assert why.encode() in told.body.split(b"data: ")[-1]
