"""Whatever goes wrong, no secret, no address and no other caller's words come out: not in answers, not in logs."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import emulator
from emulator.faults import FaultKind
from tests.end_to_end.test_departure import MODELS, asking
from tests.support.processes import until
from tests.support.running import KEY, Cloud, HttpAnswer, Proxy, config_of, running_proxy
from tests.support.worlds import mixed_world

pytestmark = pytest.mark.repeats

TIMEOUTS = {"first_event": 2, "idle": 2, "answer": 2}
OTHERS_WORDS = "another-callers-private-words"
OWN_WORDS = "my-own-private-words"
INTERNAL = (
    "core.team.svc.cluster.local",
    "10.1.2.3",
    "fd00:ec2::254",
    "TOKEN-IN-WORDS",
    "dXNlcjpwYXNzd29yZA==",
    "KEY-IN-URL",
)
"""What foreign words may hold beside the proxy's own secrets: addresses, and keys of somebody else."""
QUIET = {FaultKind.HANG, FaultKind.STALL}
"""What only a time-out brings to light."""
NO_FAILURE = {FaultKind.SLOW}
"""An answer that comes late."""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with emulator.serve(mixed_world()) as running:
        yield Cloud(running.url)


@pytest.fixture(scope="module")
def proxy(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    routing = {
        "timeouts": TIMEOUTS,
        "breaker": {"failure_threshold": 1000, "failure_rate": 2},
        "cooldown": dict.fromkeys(("base", "base_cap", "credentials", "credentials_cap"), 0.001) | {"floor": 0},
        "retry": {"backoff_base": 0.01, "backoff_cap": 0.01, "hint_cap": 0.01, "max_attempts": 2},
    }
    with running_proxy(cloud, tmp_path_factory.mktemp("proxy"), routing=routing) as proxy:
        yield proxy


@pytest.fixture
def secrets(cloud: Cloud, proxy: Proxy) -> list[str]:
    """Everything that only the proxy should know."""
    keys = [account["service_key"] for account in config_of(cloud)["subAccounts"].values()]
    named = [key[name] for key in keys for name in ("clientid", "clientsecret", "url")]
    tokens = [source.token() for source in proxy.gateway._tokens.values()]
    host = cloud.url.removeprefix("http://")
    return [*named, *tokens, *(base64.b64encode(each.encode()).decode() for each in named), host, "/v2/inference"]


def everything_in(told: HttpAnswer) -> str:
    return f"{told.status} {json.dumps(told.headers)} {told.body.decode('utf-8', 'replace')}"


def break_all(proxy: Proxy, model: str, kind: FaultKind, message: str) -> None:
    cloud = proxy.cloud
    cloud.heal()
    cloud.forget()
    for endpoint in proxy.gateway.balancer.endpoints(model):
        # A deployment that was gone is not asked again before somebody has seen it.
        proxy.gateway.balancer.breaker(endpoint).readmit()
    for deployment in cloud.deployments(model):
        cloud.fault(deployment, kind.value, after_events=1, message=message)


def gossip(cloud: Cloud) -> str:
    """An error message as indiscreet as one can be, without being a word that is refused."""
    host = cloud.url.removeprefix("http://")
    return (
        f"cannot reach {cloud.url}/v2/inference/deployments/d0 with Authorization: Bearer eyJhbGciOi.e30.sig,"
        f" nor {host}/v2/x, {INTERNAL[0]}:443/v2/x, {INTERNAL[1]} or [{INTERNAL[2]}]:443"
        f" with Bearer%20{INTERNAL[3]} or Basic {INTERNAL[4]} or ?api-key={INTERNAL[5]}&sig={INTERNAL[5]}"
    )


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    for name in ("sap_ai_proxy", "routing", "gateway", "dialects"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "kind", [kind for kind in FaultKind if kind not in QUIET | NO_FAILURE], ids=lambda kind: kind.value
)
@pytest.mark.parametrize("client", MODELS)
def test_no_failure_tells_what_only_the_proxy_should_know(
    proxy: Proxy, secrets: list[str], lines: pytest.LogCaptureFixture, client: str, kind: FaultKind, stream: bool
) -> None:
    model, _ = MODELS[client]
    cloud = proxy.cloud
    cloud.heal()
    path, body = asking(client, OTHERS_WORDS)
    proxy.ask("POST", path, body)
    break_all(proxy, model, kind, gossip(cloud))
    path, body = asking(client, OWN_WORDS, stream=stream)
    path = path if stream else path.replace(":streamGenerateContent?alt=sse", ":generateContent")
    told = everything_in(proxy.ask("POST", path, body))
    # Each of the two requests has its line, which another thread writes.
    assert until(lambda: [record.name for record in lines.records].count("sap_ai_proxy.exchange") == 2)
    logged = lines.text

    assert kind.value in [each["fault"] for each in cloud.requests()]
    for secret in (*secrets, *INTERNAL, OTHERS_WORDS, "eyJhbGciOi", KEY):
        assert secret not in told
        assert secret not in logged
    assert OWN_WORDS not in logged


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", sorted(QUIET, key=lambda kind: kind.value), ids=lambda kind: kind.value)
def test_no_silence_tells_it_either(
    proxy: Proxy, secrets: list[str], lines: pytest.LogCaptureFixture, kind: FaultKind, stream: bool
) -> None:
    break_all(proxy, "gpt-4.1", kind, "x")
    path, body = asking("openai", OWN_WORDS, stream=stream)
    told = everything_in(proxy.ask("POST", path, body))

    for secret in (*secrets, KEY):
        assert secret not in told
        assert secret not in lines.text
    assert OWN_WORDS not in lines.text


@pytest.mark.parametrize("seat", ["token", "management"])
@pytest.mark.parametrize("kind", [FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN, FaultKind.INVALID, FaultKind.NOT_FOUND])
def test_a_refused_service_key_is_not_shown(
    cloud: Cloud, tmp_path: Path, secrets: list[str], lines: pytest.LogCaptureFixture, seat: str, kind: FaultKind
) -> None:
    cloud.heal()
    for tenant in ("eu", "us"):
        cloud.fault(f"{seat}:{tenant}", kind.value, message=gossip(cloud))
    config = config_of(cloud, {"gpt-4.1": []})
    for account in config["subAccounts"].values():
        account["discovery"] = True
    with running_proxy(cloud, tmp_path, **config) as proxy:
        path, body = asking("openai", OWN_WORDS, stream=False)
        told = "".join(
            everything_in(proxy.ask(*asked))
            for asked in (("POST", path, body), ("GET", "/ready"), ("GET", "/router/state"), ("GET", "/metrics"))
        )
    cloud.heal()

    for secret in (*secrets, *INTERNAL, "eyJhbGciOi"):
        assert secret not in told
        assert secret not in lines.text
    assert OWN_WORDS not in lines.text


@pytest.mark.parametrize("path", ["/", "/router/state", "/metrics", "/v1/models", "/ready", "/health"])
def test_no_window_shows_what_only_the_proxy_should_know(proxy: Proxy, secrets: list[str], path: str) -> None:
    told = everything_in(proxy.ask("GET", path))

    for secret in (*secrets, KEY, OTHERS_WORDS, OWN_WORDS):
        assert secret not in told


def test_a_defect_of_the_proxy_tells_nothing_of_itself(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("inner-details")

    monkeypatch.setattr(proxy.gateway, "exchange", fail)
    path, body = asking("anthropic", OWN_WORDS, stream=False)
    told = proxy.ask("POST", path, body)

    assert told.status == 500
    assert told.json == {
        "type": "error",
        "error": {
            "type": "api_error",
            "message": "The proxy failed because of a defect in it; the log of the proxy has the details.",
        },
    }
    assert "inner-details" in lines.text
    assert OWN_WORDS not in lines.text
