"""What clients see while a deployment is broken, out of quota, or on its way back."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.drill import MODEL, ROWS, Result, Row, ask, run, spent_on, two_deployments
from tests.support.processes import until
from tests.support.running import Cloud, Proxy, config_of, running_proxy
from tests.support.talking import DIALECTS, request_of

pytestmark = pytest.mark.repeats


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_clients_see_no_error_while_one_of_two_deployments_is_broken(row: Row, stream: bool) -> None:
    result = run(row, stream=stream)

    assert Result(row, stream, max(result.complete, result.wanted), min(result.spent, row.most)) == result


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_callers_own_mistake_is_passed_on_after_one_call(cloud: Cloud, tmp_path: Path, stream: bool) -> None:
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        for deployment in (a, b):
            cloud.fault(deployment, "400", message="messages.0: text is too odd")
        told = proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL, "stream": stream})

        assert told.status == 400
        assert "messages.0: text is too odd" in told.json["error"]["message"]
        assert len(cloud.requests()) == 1


HELLO = {"max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


def test_a_stream_that_is_cut_after_its_first_words_ends_as_an_error(cloud: Cloud, tmp_path: Path) -> None:
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        for deployment in (a, b):
            cloud.fault(deployment, "cut", after_events=3)
        told = proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL, "stream": True})

        assert told.status == 200
        assert b"event: error" in told.body
        assert b"message_stop" not in told.body
        assert len(cloud.requests()) == 1
        assert proxy.in_flight == 0


def test_a_deployment_that_recovers_is_back_within_its_timeout(cloud: Cloud, tmp_path: Path) -> None:
    breaker = {"timeout": 0.3, "fixed_timeout": True, "slow_start": 0.2}
    with two_deployments(cloud, tmp_path, breaker=breaker) as (proxy, a, _):
        cloud.fault(a, "500")
        assert all(ask(proxy, stream=False) for _ in range(12))
        assert circuit_of(proxy, a) != "closed"
        cloud.heal()
        cloud.forget()
        served = 0
        for _ in range(200):
            assert ask(proxy, stream=False)
            served = spent_on(proxy, cloud, a) if circuit_of(proxy, a) == "closed" else 0
            if served >= 3:
                break

        assert circuit_of(proxy, a) == "closed"
        assert served >= 3


def test_a_deployment_that_is_back_starts_slowly(cloud: Cloud, tmp_path: Path) -> None:
    breaker = {"timeout": 0.3, "fixed_timeout": True, "slow_start": 6_000}
    with two_deployments(cloud, tmp_path, breaker=breaker) as (proxy, a, _):
        cloud.fault(a, "500")
        assert all(ask(proxy, stream=False) for _ in range(12))
        cloud.heal()

        def is_back() -> bool:
            assert ask(proxy, stream=False)
            return circuit_of(proxy, a) == "closed"

        assert until(is_back)
        cloud.forget()
        assert all(ask(proxy, stream=False) for _ in range(44))

        assert len(cloud.requests(a)) == 4


@pytest.mark.parametrize("kind", ["cut", "cut-error"])
def test_streams_that_break_one_after_another_open_the_circuit(cloud: Cloud, tmp_path: Path, kind: str) -> None:
    breaker = {"failure_rate": 2, "timeout": 0.3, "timeout_jitter": 0, "slow_start": 0}
    with two_deployments(cloud, tmp_path, breaker=breaker) as (proxy, a, _):
        cloud.fault(a, kind, after_events=1)
        while circuit_of(proxy, a) == "closed" and len(cloud.requests(a)) < 10:
            ask(proxy, stream=True)

        assert len(cloud.requests(a)) == 5

        def probed_twice() -> bool:
            ask(proxy, stream=True)
            return len(cloud.requests(a)) == 7

        assert until(probed_twice)
        # Its time may be over already, but nobody has asked it since.
        assert circuit_of(proxy, a) != "closed"
        assert row_of(proxy, a)["k"] == 2


def circuit_of(proxy: Proxy, deployment: str) -> str:
    return row_of(proxy, deployment)["circuit"]


def row_of(proxy: Proxy, deployment: str) -> dict[str, Any]:
    rows = proxy.ask("GET", "/router/state").json["endpoints"]
    [found] = [row for row in rows if row["deployment"] == deployment]
    return found


def test_a_quota_of_ai_core_stops_its_model_in_its_subaccount_and_nothing_else(cloud: Cloud, tmp_path: Path) -> None:
    other = "gpt-4.1"
    config = config_of(cloud, {MODEL: [], other: []})
    with running_proxy(cloud, tmp_path, **config) as proxy:
        first, *_ = cloud.deployments(MODEL, "eu")
        sisters = cloud.deployments(MODEL, "eu")[1:]
        cloud.fault(first, "429-quota", retry_after=30)
        while not cloud.requests(first):
            assert proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL}).status == 200
        cloud.forget()
        for _ in range(12):
            assert proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL}).status == 200
            assert proxy.ask("POST", "/v1/chat/completions", {**HELLO, "model": other}).status == 200
        used = [each["deployment"] for each in cloud.requests()]

        assert sisters
        assert not {first, *sisters} & set(used)
        assert set(cloud.deployments(MODEL, "us")) <= set(used)
        assert set(cloud.deployments(other, "eu")) <= set(used)
        assert set(cloud.deployments(other, "us")) <= set(used)


def test_when_every_quota_is_used_up_the_caller_learns_when_to_come_back(cloud: Cloud, tmp_path: Path) -> None:
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        for deployment in (a, b):
            cloud.fault(deployment, "429-quota", retry_after=30)
        first = proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL})
        calls = len(cloud.requests())
        second = proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL})

        assert [first.status, second.status] == [429, 429]
        assert second.json["error"]["type"] == "rate_limit_error"
        assert 10 <= int(second.headers["retry-after"]) <= 33
        assert calls == len(cloud.requests())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_who_uses_up_the_last_quota_learns_it_as_who_comes_after(
    cloud: Cloud, tmp_path: Path, dialect: str, stream: bool
) -> None:
    """Without a hint a rest is five seconds and a little more."""
    path, body = request_of(dialect, MODEL, stream=stream)
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        cloud.fault(a, "429-quota")
        cloud.fault(b, "429-quota", retry_after=60)
        told = [proxy.ask("POST", path, body) for _ in range(2)]

    assert [each.status for each in told] == [429, 429]
    first, second = (int(each.headers["retry-after-ms"]) for each in told)
    assert 0 < second <= first <= 5500
    assert [str(-(-each // 1000)) for each in (first, second)] == [each.headers["retry-after"] for each in told]


def test_when_all_credentials_are_refused_the_caller_is_not_blamed(cloud: Cloud, tmp_path: Path) -> None:
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        for deployment in (a, b):
            cloud.fault(deployment, "401")
        told = proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL})

        assert told.status == 502
        assert told.json["error"]["type"] != "authentication_error"
        assert "Jwt" not in json.dumps(told.json)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_request_is_over_when_its_time_is(cloud: Cloud, tmp_path: Path, stream: bool) -> None:
    config = config_of(cloud, {MODEL: []})
    with running_proxy(cloud, tmp_path, **config, routing={"timeouts": {"total": 3}}) as proxy:
        for deployment in cloud.deployments(MODEL):
            cloud.fault(deployment, "hang")
        began = time.monotonic()
        told = proxy.ask("POST", "/v1/messages", {**HELLO, "model": MODEL, "stream": stream})

        # Without a limit it would be asked for minutes.
        assert 3 <= time.monotonic() - began < 30
        assert told.status == 504
        assert len(cloud.requests()) == 1
        assert proxy.in_flight == 0
