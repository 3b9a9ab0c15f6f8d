"""Who is blamed when a request is refused on its way, or by the provider: its caller, and nobody else."""

from pathlib import Path

import pytest

from tests.drill import MODEL, two_deployments
from tests.end_to_end.test_edges import shape_of
from tests.support.running import Cloud, Proxy, config_of, running_proxy
from tests.support.talking import DIALECTS, ONE_OF_EACH, SHAPES, request_of

pytestmark = pytest.mark.repeats

NO_ACCESS = "No access to gs://somebody/else.png"
REFUSALS = {
    "403-provider": (403, "No access to …"),
    "404-provider": (404, "No access to …"),
    "403-html": (403, "The request was refused between the proxy and the model, for example by a firewall."),
}
WORDS = {
    ("anthropic", 403): "permission_error",
    ("anthropic", 404): "not_found_error",
    ("google", 403): "PERMISSION_DENIED",
    ("google", 404): "NOT_FOUND",
    ("openai", 403): "invalid_request_error",
    ("openai", 404): "invalid_request_error",
}


def standings(proxy: Proxy) -> set[tuple[str, str]]:
    rows = proxy.ask("GET", "/router/state").json["endpoints"]
    return {(row["circuit"], row["standing"]) for row in rows}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_told_its_caller_in_his_dialect_after_two_calls_and_hurts_nobody_else(
    cloud: Cloud, tmp_path: Path, kind: str, dialect: str, stream: bool
) -> None:
    status, message = REFUSALS[kind]
    path, body = request_of(dialect, MODEL, stream=stream)
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        for deployment in (a, b):
            cloud.fault(deployment, kind, message=NO_ACCESS)
        told = [proxy.ask("POST", path, body) for _ in range(6)]
        calls = [len(cloud.requests(deployment)) for deployment in (a, b)]
        after = standings(proxy)
        cloud.heal()
        other = proxy.ask("POST", path, body)

    assert [each.status for each in told] == [status] * 6
    error = told[0].json["error"]
    assert shape_of(told[0].json) == SHAPES[dialect]
    assert error.get("status", error.get("type")) == WORDS[SHAPES[dialect], status]
    assert message == error["message"]
    assert "retry-after" not in told[0].headers
    assert calls == [6, 6]
    assert after == {("closed", "ready")}
    assert (other.status, other.headers["x-proxy-attempts"]) == (200, "1")


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_every_provider_is_understood(cloud: Cloud, tmp_path: Path, model: str, kind: str) -> None:
    with running_proxy(cloud, tmp_path, **config_of(cloud, {model: []})) as proxy:
        for deployment in cloud.deployments(model):
            cloud.fault(deployment, kind, message=NO_ACCESS)
        path, body = request_of("chat", model, stream=False)
        told = proxy.ask("POST", path, body)
        after = standings(proxy)

    assert (told.status, told.json["error"]["message"]) == REFUSALS[kind]
    assert after == {("closed", "ready")}
    assert {each["tenant"] for each in cloud.requests()} == {"eu", "us"}
    assert len(cloud.requests()) == 2


@pytest.mark.parametrize("kind", ["403", "404"])
def test_what_ai_core_says_of_all_deployments_is_not_told_as_the_callers_mistake(
    cloud: Cloud, tmp_path: Path, kind: str
) -> None:
    path, body = request_of("messages", MODEL, stream=False)
    with two_deployments(cloud, tmp_path) as (proxy, a, b):
        for deployment in (a, b):
            cloud.fault(deployment, kind)
        told = proxy.ask("POST", path, body)

    assert (told.status, told.json["error"]["type"]) == (502, "api_error")
    assert "RBAC" not in told.json["error"]["message"]
