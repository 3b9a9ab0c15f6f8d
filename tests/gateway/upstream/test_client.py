"""Calls to deployments, against a whole emulated AI Core."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import emulator
from dialects.core.conversation import JSON
from dialects.core.faults import FaultError, FaultKind, Quota
from gateway.config.loader import load
from gateway.config.settings import pools
from gateway.requests.lifetime import Lifetime
from gateway.upstream.client import AICoreClient
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import TokenSource
from gateway.upstream.transport import Transport
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.policy import Timeouts
from routing.request_router import RequestRouter
from tests.support.running import Cloud, config_of
from tests.support.worlds import mixed_world

MODEL = "gpt-4.1"
BODY: JSON = {"messages": [{"role": "user", "content": "Hello"}]}
STREAM = {**BODY, "stream": True}
TIMEOUTS = Timeouts(connect=60)
HASTY = Timeouts(connect=60, answer=2.0)
NOW = 1_700_000_000.0
OBSERVABILITY = {"ai-inference-observability-labels": "ext.ai.sap.com/team=search"}


class Bench:
    """AI Core as the gateway sees it, with a token source whose fetches are counted."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(config_of(cloud, {MODEL: [], "gpt-5": []})))
        settings = load(file, {}, folder)
        self.cloud = cloud
        self.transport = Transport()
        self.management = ManagementClient()
        self.fetched: list[str] = []
        self.time = 0.0
        self.tokens = {
            name: TokenSource(partial(self._fetch, name, account.key), clock=lambda: self.time)
            for name, account in settings.subaccounts.items()
        }
        tenants = {"eu": "tenant-1", "us": ""}
        self.core = AICoreClient(self.transport, self.management, self.tokens, tenants, lambda: NOW, OBSERVABILITY)
        self.router = RequestRouter(LoadBalancer(pools(settings)), sleep=lambda _: None)

    def _fetch(self, name, key):
        self.fetched.append(name)
        return self.management.fetch_token(key)

    def attempt(self) -> Attempt:
        attempt = next(self.router.attempts(MODEL))
        attempt.lease.close()
        return attempt

    def call(self, attempt: Attempt, *, stream: bool = False, timeouts: Timeouts = TIMEOUTS) -> bytes:
        body = STREAM if stream else BODY
        return self.read(attempt, body, stream=stream, timeouts=timeouts)

    def read(self, attempt, body, *, stream, timeouts=TIMEOUTS, seconds=60.0) -> bytes:
        reader = self.core.begin(
            attempt, body, stream=stream, timeouts=timeouts, lifetime=Lifetime(seconds), headers={}
        )
        with closing(reader):
            return reader.read()

    def fault(self, attempt: Attempt, kind: str, **more: object):
        self.cloud.fault(attempt.endpoint.deployment, kind, **more)
        with pytest.raises(FaultError) as caught:
            self.call(attempt, timeouts=HASTY if kind == "hang" else TIMEOUTS)
        return caught.value.fault


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with emulator.serve(mixed_world()) as running:
        bench = Bench(Cloud(running.url), tmp_path)
        with closing(bench.transport), closing(bench.management):
            yield bench


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_call_says_who_asks_for_whom_and_in_which_form(bench: Bench, stream: bool) -> None:
    attempt = bench.attempt()
    said = bench.call(attempt, stream=stream)

    assert said.startswith(b"data: {" if stream else b"{")
    [sent] = bench.cloud.requests()
    assert (sent["method"], sent["status"]) == ("POST", 200)
    assert sent["headers"]["ai-resource-group"] == attempt.endpoint.resource_group
    assert sent["headers"]["accept"] == ("text/event-stream" if stream else "application/json")
    assert sent["headers"]["content-type"] == "application/json"


def test_every_call_of_a_deployment_has_the_client_type_and_the_configured_labels(bench: Bench) -> None:
    attempt = bench.attempt()
    bench.call(attempt)
    bench.core.ask_nothing(attempt.endpoint, attempt.protocol)

    sent = [each["headers"] for each in bench.cloud.requests()]
    assert [each["ai-client-type"] for each in sent] == ["SAP AI Core LLM proxy"] * 2
    assert [each["ai-inference-observability-labels"] for each in sent] == ["ext.ai.sap.com/team=search"] * 2


def test_the_tenant_is_named_where_it_is_known(bench: Bench) -> None:
    for _ in range(4):
        bench.call(bench.attempt())

    named = {(each["tenant"], each["headers"].get("ai-tenant-id")) for each in bench.cloud.requests()}
    assert named == {("eu", "tenant-1"), ("us", None)}


def test_a_token_is_fetched_once_for_many_calls(bench: Bench) -> None:
    for _ in range(6):
        bench.call(bench.attempt())

    assert sorted(bench.fetched) == ["eu", "us"]


def test_a_token_that_is_refused_is_renewed_and_the_call_repeated_once(bench: Bench) -> None:
    attempt = bench.attempt()
    bench.call(attempt)
    bench.cloud.ask("DELETE", "/admin/tokens")

    assert b"Happy to help" in bench.call(attempt)
    assert bench.fetched == [attempt.endpoint.subaccount] * 2


def test_an_endpoint_that_refuses_every_token_is_asked_twice_and_no_more(bench: Bench) -> None:
    fault = bench.fault(bench.attempt(), "401")

    assert (fault.kind, fault.status) == (FaultKind.REFUSED_CREDENTIALS, 401)
    assert len(bench.cloud.requests()) == 2
    assert len(bench.fetched) == 2


def test_a_deployment_that_is_forbidden_is_asked_again_with_a_new_token_if_the_old_one_is_old(bench: Bench) -> None:
    """Rights that were given since are not in it; a young one is not renewed for every such answer."""
    attempt = bench.attempt()
    counts = []
    for bench.time in (0.0, 59.0, 60.0, 61.0):
        fault = bench.fault(attempt, "403")
        counts.append((len(bench.cloud.requests()), len(bench.fetched)))

    assert (fault.kind, fault.status) == (FaultKind.DEPLOYMENT_FORBIDDEN, 403)
    assert counts == [(1, 1), (2, 1), (4, 2), (5, 2)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("403-provider", FaultKind.REQUEST_FORBIDDEN),
        ("403-html", FaultKind.REQUEST_FORBIDDEN),
        ("404-provider", FaultKind.RESOURCE_NOT_FOUND),
    ],
)
def test_a_refusal_of_the_request_itself_costs_no_token(bench: Bench, kind: str, expected: FaultKind) -> None:
    bench.time = 100.0
    fault = bench.fault(bench.attempt(), kind)

    assert expected is fault.kind
    assert (len(bench.cloud.requests()), len(bench.fetched)) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "expected", "quota"),
    [
        ("500", FaultKind.SERVER_ERROR, Quota.ENDPOINT),
        ("503", FaultKind.OVERLOADED, Quota.ENDPOINT),
        ("429-quota", FaultKind.RATE_LIMITED, Quota.MODEL),
        ("429-provider", FaultKind.RATE_LIMITED, Quota.ENDPOINT),
        ("404", FaultKind.GONE, Quota.ENDPOINT),
        ("400", FaultKind.INVALID_REQUEST, Quota.ENDPOINT),
        ("reset", FaultKind.UNREACHABLE, Quota.ENDPOINT),
        ("hang", FaultKind.TIMEOUT, Quota.ENDPOINT),
    ],
)
def test_a_failure_is_understood_and_the_call_made_once(
    bench: Bench, kind: str, expected: FaultKind, quota: Quota
) -> None:
    fault = bench.fault(bench.attempt(), kind)

    assert (expected, quota) == (fault.kind, fault.quota)
    assert len(bench.cloud.requests()) == 1


def test_a_hint_when_to_come_back_is_passed_on(bench: Bench) -> None:
    assert bench.fault(bench.attempt(), "429-provider", retry_after=7).retry_after == 7.0


def test_what_an_endpoint_keeps_can_be_asked_for(bench: Bench) -> None:
    attempt = next(bench.router.attempts("gpt-5", client="openai-responses"))
    attempt.lease.close()
    made = json.loads(bench.read(attempt, {"input": "Hello"}, stream=False, timeouts=Timeouts()))
    path = f"/responses/{made['id']}"

    status, body = bench.core.manage(attempt.endpoint, "GET", path, Timeouts(), Lifetime(60.0))
    assert (200, made["id"]) == (status, json.loads(body)["id"])
    assert bench.core.manage(attempt.endpoint, "DELETE", path, Timeouts(), Lifetime(60.0))[0] == 200
    with pytest.raises(FaultError) as caught:
        bench.core.manage(attempt.endpoint, "GET", path, Timeouts(), Lifetime(60.0))
    assert FaultKind.NOT_FOUND is caught.value.fault.kind


def test_a_probe_gives_the_status_of_whatever_answers(bench: Bench) -> None:
    endpoint = bench.attempt().endpoint

    assert bench.core.probe(endpoint) < 500
    with pytest.raises(FaultError):
        bench.core.probe(Endpoint(endpoint.subaccount, "http://127.0.0.1:9/v2/inference/deployments/d", MODEL))


@pytest.mark.parametrize("stream", [False, True])
def test_no_call_outlasts_the_request(bench: Bench, stream: bool) -> None:
    attempt = bench.attempt()
    bench.call(attempt)
    bench.cloud.fault(attempt.endpoint.deployment, "hang")
    began = time.monotonic()
    with pytest.raises(FaultError, match="longer than the proxy allows"):
        bench.read(attempt, BODY, stream=stream, timeouts=Timeouts(), seconds=0.2)

    assert 0.2 <= time.monotonic() - began < 60


def test_a_request_that_is_over_is_not_sent(bench: Bench) -> None:
    attempt = bench.attempt()
    bench.call(attempt)
    with pytest.raises(FaultError, match="longer than the proxy allows"):
        bench.read(attempt, BODY, stream=False, seconds=0.0)

    assert len(bench.cloud.requests()) == 1


def test_a_stream_is_taken_as_it_comes(bench: Bench) -> None:
    reader = bench.core.begin(
        bench.attempt(), STREAM, stream=True, timeouts=TIMEOUTS, lifetime=Lifetime(60.0), headers={}
    )
    with closing(reader):
        reader.head(60.0)
        said = b""
        while (piece := reader.take(60.0)) is not None:
            said += piece

    assert reader.content_type == "text/event-stream"
    assert said.rstrip().endswith(b"data: [DONE]")
