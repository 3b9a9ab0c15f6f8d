"""More texts than one call may have: divided, asked side by side, and joined, on real sockets."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import emulator
from emulator.world import World, orchestration_tenant, tenant
from gateway.cli.demo import config_for
from tests.end_to_end.test_departure import Caller
from tests.support.processes import until
from tests.support.running import KEY, Cloud, Proxy, running_proxy

GEMINI = "gemini-embedding"
NVIDIA = "nvidia--llama-3.2-nv-embedqa-1b"
TEXTS = [f"text number {number}" for number in range(1000)]


@pytest.fixture
def client(own_proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{own_proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def batches(cloud: Cloud, status: int = 200) -> list[list[str]]:
    """The texts of each call to Gemini that ended with *status*, in the order of the texts."""
    bodies = [each["body"] for each in cloud.requests() if each["status"] == status]
    sent = [[instance["content"] for instance in body["instances"]] for body in bodies]
    return sorted(sent, key=lambda texts: TEXTS.index(texts[0]))


def body_for(texts: list[str], **more: Any) -> dict[str, Any]:
    return {"model": GEMINI, "input": texts, "dimensions": 8, **more}


def test_a_thousand_texts_are_four_calls_to_gemini_and_come_back_in_order(
    client: openai.OpenAI, own_proxy: Proxy
) -> None:
    answer = client.embeddings.create(model=GEMINI, input=TEXTS, dimensions=8)

    assert batches(own_proxy.cloud) == [TEXTS[at : at + 250] for at in range(0, 1000, 250)]
    assert [item.index for item in answer.data] == list(range(1000))
    for at in (0, 249, 250, 999):
        [alone] = client.embeddings.create(model=GEMINI, input=TEXTS[at], dimensions=8).data
        assert answer.data[at].embedding == alone.embedding
    assert len({tuple(item.embedding) for item in answer.data}) == 1000
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 3000
    assert own_proxy.in_flight == 0


@pytest.mark.parametrize("form", ["float", "base64"])
def test_batches_come_in_the_form_that_was_asked_for(own_proxy: Proxy, form: str) -> None:
    answer = own_proxy.ask("POST", "/v1/embeddings", body_for(TEXTS[:300], encoding_format=form))

    kinds = Counter(type(item["embedding"]) for item in answer.json["data"])
    assert kinds == {list if form == "float" else str: 300}
    assert answer.headers["x-proxy-attempts"] == "2"
    assert answer.headers["x-proxy-trail"].count(" ok") == 2


@pytest.mark.parametrize("kind", ["500", "503", "reset", "garbage", "404"])
def test_a_batch_that_fails_goes_to_another_deployment_and_no_other_is_sent_again(own_proxy: Proxy, kind: str) -> None:
    cloud = own_proxy.cloud
    cloud.fault(cloud.deployments(GEMINI, "eu")[0], kind, times=1)
    answer = own_proxy.ask("POST", "/v1/embeddings", body_for(TEXTS))

    assert answer.status == 200
    assert [item["index"] for item in answer.json["data"]] == list(range(1000))
    assert len(cloud.requests()) == 5
    assert answer.headers["x-proxy-attempts"] == "5"
    again = Counter(each["body"]["instances"][0]["content"] for each in cloud.requests())
    assert sorted(again.values()) == [1, 1, 1, 2]
    assert own_proxy.in_flight == 0


def test_a_quota_that_is_used_up_is_asked_no_more_and_another_serves_the_rest(own_proxy: Proxy) -> None:
    cloud = own_proxy.cloud
    for deployment in cloud.deployments(GEMINI, "eu"):
        cloud.fault(deployment, "429-quota", retry_after=60)
    answer = own_proxy.ask("POST", "/v1/embeddings", body_for(TEXTS * 3))

    assert answer.status == 200
    assert len(answer.json["data"]) == 3000
    statuses = Counter(each["status"] for each in cloud.requests())
    assert statuses[200] == 12
    assert statuses[429] <= 4
    assert own_proxy.in_flight == 0


def test_a_quota_that_is_used_up_everywhere_is_told_at_once_with_the_time_to_come_back(own_proxy: Proxy) -> None:
    cloud = own_proxy.cloud
    for deployment in cloud.deployments(GEMINI):
        cloud.fault(deployment, "429-quota", retry_after=60)
    answer = own_proxy.ask("POST", "/v1/embeddings", body_for(TEXTS * 3))

    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 50 <= int(answer.headers["retry-after"]) <= 75
    assert len(cloud.requests()) <= 4 * len({each["deployment"] for each in cloud.requests()})
    assert own_proxy.in_flight == 0


def test_a_caller_that_leaves_ends_all_calls_and_no_more_are_made(own_proxy: Proxy) -> None:
    cloud = own_proxy.cloud
    for deployment in cloud.deployments(GEMINI):
        cloud.fault(deployment, "hang", delay=60)
    port = int(own_proxy.url.rpartition(":")[2])
    caller = Caller.ask(port, "/v1/embeddings", body_for(TEXTS * 3))
    assert until(lambda: len(cloud.requests()) == 4)

    caller.leave()

    assert until(lambda: own_proxy.in_flight == 0)
    assert len(cloud.requests()) == 4


def test_a_request_may_take_so_long_however_many_calls_it_makes(cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(cloud, tmp_path, routing={"timeouts": {"total": 2}}) as proxy:
        for deployment in cloud.deployments(GEMINI):
            cloud.fault(deployment, "hang", delay=60)
        answer = proxy.ask("POST", "/v1/embeddings", body_for(TEXTS * 3))

        assert (answer.status, answer.json["error"]["code"]) == (504, "timeout")
        assert 1 <= len(cloud.requests()) <= 4
        assert proxy.in_flight == 0


@pytest.mark.parametrize(
    ("model", "count", "calls"),
    [
        ("amazon--titan-embed-text", 9, 9),
        ("text-embedding-3-small", 2049, 2),
        (NVIDIA, 257, 2),
    ],
)
def test_each_vendor_is_asked_for_as_many_as_it_takes(
    client: openai.OpenAI, own_proxy: Proxy, model: str, count: int, calls: int
) -> None:
    texts = [f"text number {number}" for number in range(count)]
    answer = client.embeddings.create(model=model, input=texts, dimensions=256)
    [last] = client.embeddings.create(model=model, input=texts[-1], dimensions=256).data

    assert len(own_proxy.cloud.requests()) == calls + 1
    assert (len(answer.data), answer.data[-1].embedding) == (count, last.embedding)


def test_tokens_are_divided_as_texts_are(client: openai.OpenAI, own_proxy: Proxy) -> None:
    given = [[number, 7] for number in range(2100)]
    answer = client.embeddings.create(model="text-embedding-3-small", input=given, dimensions=8)

    sent = [each["body"]["input"] for each in own_proxy.cloud.requests()]
    assert sorted(sent, key=len) == [given[2048:], given[:2048]]
    assert len(answer.data) == 2100


def test_the_numbers_count_one_request_each_call_and_no_retry(own_proxy: Proxy) -> None:
    own_proxy.ask("POST", "/v1/embeddings", body_for(TEXTS))
    told = own_proxy.ask("GET", "/metrics").body.decode()

    label = f'model="{GEMINI}"'
    assert f'aicore_proxy_exchanges_total{{client="openai-embeddings",{label},outcome="ok"}} 1.0' in told
    assert f"aicore_proxy_attempts_total{{{label}}} 4.0" in told
    assert f'aicore_proxy_retries_total{{budget="spent",{label}}} 0.0' in told


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy with deployments of Gemini in one subaccount, and orchestration alone in another."""
    world = World((tenant("eu", "default", (GEMINI,), copies=1), orchestration_tenant("us", "team-a")))
    with emulator.serve(world) as running:
        cloud = Cloud(running.url)
        config = config_for(cloud.tenants)
        [there] = cloud.tenants["us"]["deployments"]
        entry = {"url": there["url"], "orchestration": True}
        config["subAccounts"]["us"]["deployment_models"] = {model: [entry] for model in (GEMINI, NVIDIA)}
        with running_proxy(cloud, tmp_path, **config) as proxy:
            yield proxy
            cloud.check_requests()


def test_a_batch_that_fails_goes_to_orchestration_in_its_own_form(both: Proxy) -> None:
    cloud = both.cloud
    cloud.fault(cloud.deployments(GEMINI, "eu")[0], "500", times=1)
    answer = both.ask("POST", "/v1/embeddings", body_for(TEXTS))
    alone = both.ask("POST", "/v1/embeddings", body_for(TEXTS[:1]))

    paths = Counter(each["path"].rpartition("/")[2] for each in cloud.requests())
    assert paths == {"gemini-embedding:predict": 5, "embeddings": 1}
    assert [item["index"] for item in answer.json["data"]] == list(range(1000))
    assert answer.json["data"][0]["embedding"] == pytest.approx(alone.json["data"][0]["embedding"])


def test_orchestration_alone_embeds_in_batches_with_openais_sdk(both: Proxy) -> None:
    with openai.OpenAI(base_url=f"{both.url}/v1", api_key=KEY, max_retries=0) as client:
        answer = client.embeddings.create(model=NVIDIA, input=TEXTS[:300], extra_body={"input_type": "passage"})

    bodies = [each["body"] for each in both.cloud.requests()]
    assert sorted(len(body["input"]["text"]) for body in bodies) == [44, 256]
    assert {body["input"]["type"] for body in bodies} == {"document"}
    assert [item.index for item in answer.data] == list(range(300))
    assert len({tuple(item.embedding) for item in answer.data}) == 300
    assert answer.usage.prompt_tokens > 300
