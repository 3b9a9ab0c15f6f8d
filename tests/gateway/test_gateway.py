"""The proxy without its web framework, in front of a whole emulated AI Core."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import emulator
from dialects.core.faults import FaultError, FaultKind
from gateway.config.loader import load
from gateway.gateway import Gateway
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.tokens import Token
from routing.endpoint import Candidate, Endpoint
from routing.policy import Policy
from routing.strategy import NO_CONTEXT, RoundRobinStrategy, SelectionContext
from tests.support.certificates import certificate
from tests.support.processes import until
from tests.support.running import Cloud, config_of
from tests.support.worlds import mixed_world

CLAUDE = "anthropic--claude-4.5-sonnet"
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
MODELS = {"gpt-4.1": [], "gpt-5": [], CLAUDE: [], "text-embedding-3-small": []}

Build = Callable[..., Gateway]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with emulator.serve(mixed_world()) as running:
        yield Cloud(running.url)


@pytest.fixture
def build(cloud: Cloud, tmp_path: Path) -> Iterator[Build]:
    with ExitStack() as owned:

        def make(**config: Any) -> Gateway:
            file = tmp_path / "config.json"
            file.write_text(json.dumps({**config_of(cloud, MODELS), **config}))
            numbers = count()
            gateway = Gateway(
                load(file, {}, tmp_path), now=lambda: 1_700_000_000.5, new_token=lambda: f"t{next(numbers)}"
            )
            gateway.start()
            owned.callback(gateway.close)
            return gateway

        yield make


def ask(gateway: Gateway, client: str = "openai-chat", headers: dict | None = None, **body: Any) -> Any:
    return gateway.exchange(client, {**HELLO, **body}, headers or {}, "me")


def test_ids_and_times_are_the_gateways_own(build: Build) -> None:
    gateway = build()
    answer = ask(gateway, model=CLAUDE).whole()

    assert (gateway.started, answer["created"]) == (1_700_000_000, 1_700_000_000)
    assert "t0" in answer["id"]


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        ({}, "an address of its host is not public, or is denied by upstream.media_deny"),
        ({"media_allow": "127.77.0.0/16"}, "the connection was refused"),
        (
            {"media_allow": "127.77.0.0/16", "media_deny": "127.77.66.55"},
            "an address of its host is not public, or is denied by upstream.media_deny",
        ),
    ],
)
def test_media_are_fetched_from_where_the_settings_say(
    build: Build, caplog: pytest.LogCaptureFixture, upstream: dict, reason: str
) -> None:
    """Nothing listens there."""
    caplog.set_level("INFO", "sap_ai_proxy")
    image = {"type": "image_url", "image_url": {"url": "http://127.77.66.55/a.png"}}
    exchange = ask(build(upstream=upstream), model=CLAUDE, messages=[{"role": "user", "content": [image]}])
    with pytest.raises(FaultError, match="Cannot fetch"):
        exchange.whole()

    assert f"a URL in a request was not fetched: {reason}" in caplog.messages


def test_as_many_connections_are_kept_as_requests_may_be_in_progress(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = list[int]()

    class Pool(ConnectionPool):
        def __init__(self, clock: Callable[[], float], most: int) -> None:
            super().__init__(clock, most)
            kept.append(most)

    monkeypatch.setattr("gateway.gateway.ConnectionPool", Pool)
    ask(build(server={"requests": 700}), model=CLAUDE).whole()

    assert kept == [700]


def test_an_exchange_begins_when_its_body_has_been_read(build: Build) -> None:
    gateway, before = build(), time.monotonic()
    exchanges = (
        ask(gateway, model=CLAUDE),
        gateway.embeddings({"model": "text-embedding-3-small", "input": "a"}, {}, "me"),
    )

    assert all(before <= exchange.incoming.began <= time.monotonic() for exchange in exchanges)


def test_a_model_that_is_not_deployed_is_a_fault(build: Build) -> None:
    gateway = build()
    for call in (
        lambda: ask(gateway, model="unheard-of"),
        lambda: gateway.embeddings({"model": "unheard-of", "input": "a"}, {}, "me"),
        lambda: gateway.resolve("unheard-of"),
    ):
        with pytest.raises(FaultError) as caught:
            call()
        assert FaultKind.NOT_FOUND is caught.value.fault.kind


def test_models_are_named_with_the_aliases_that_lead_to_one(build: Build) -> None:
    gateway = build(routing={"aliases": {"fast": "gpt-4.1", "lost": "unheard-of", "gpt-5": "gpt-4.1"}})

    assert (
        *sorted(set(gateway.model_names()) - {CLAUDE, "fast"}), CLAUDE, "fast",
    ) == ("gpt-4.1", "gpt-5", "text-embedding-3-small", CLAUDE, "fast")  # fmt: skip
    assert len(gateway.model_names()) == len(set(gateway.model_names()))


def test_a_name_of_the_users_own_is_described_as_what_its_deployment_runs(cloud: Cloud, tmp_path: Path) -> None:
    config = config_of(cloud, {"gpt-4.1": []})
    for account in config["subAccounts"].values():
        account["deployment_models"] = {"gpt": account["deployment_models"]["gpt-4.1"]}
        account["discovery"] = True
    config["model_filters"] = {"include": ["^gpt$"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    gateway = Gateway(load(tmp_path / "config.json", {}, tmp_path), now=lambda: 1_795_824_000.0)
    gateway.start()
    with closing(gateway):
        [described] = gateway.models()
        [ending] = gateway.state()["endings"]

        assert gateway.model_names() == ("gpt",)
        assert (described.name, described.context_length) == ("gpt", 1_047_576)
        assert described == gateway.model("gpt")
        assert ask(gateway, model="gpt").incoming.context_length() == 1_047_576
        assert (ending["model"], ending["on"], ending["ended"]) == ("gpt-4.1", "2026-10-14", True)


def test_it_is_ready_as_soon_as_one_subaccount_can_serve_and_names_those_that_cannot(
    build: Build, cloud: Cloud
) -> None:
    cloud.fault("token:us", "401")
    gateway = build()
    until(lambda: gateway.readiness().subaccounts["us"] != "no token yet")

    assert gateway.readiness().ready
    assert gateway.readiness().subaccounts == {
        "eu": "ok",
        "us": "no token: SAP AI Core's token service refuses the service key of this subaccount.",
    }
    ask(gateway, model="gpt-4.1").whole()


def test_it_is_not_ready_when_no_subaccount_gets_a_token(build: Build, cloud: Cloud) -> None:
    for subaccount in ("eu", "us"):
        cloud.fault(f"token:{subaccount}", "401")
    gateway = build()

    assert until(lambda: "no token yet" not in gateway.readiness().subaccounts.values())
    assert not gateway.readiness().ready


def test_whoever_asks_for_readiness_waits_for_nobody(build: Build) -> None:
    gateway = build()
    assert until(lambda: {"ok"} == {*gateway.readiness().subaccounts.values()})
    goes_on = threading.Event()
    for name in ("eu", "us"):
        source = gateway._tokens[name]
        source._held = None
        source._fetch = lambda: goes_on.wait(10) and Token("late", 100.0)
    meanwhile = [gateway.readiness() for _ in range(3)]
    goes_on.set()

    assert [each.subaccounts for each in meanwhile] == [{"eu": "no token yet", "us": "no token yet"}] * 3
    assert until(lambda: gateway.readiness().ready)


def test_the_state_has_the_requests_in_progress_and_until_when_tokens_are_valid(build: Build, cloud: Cloud) -> None:
    gateway = build(server={"requests": 3, "waiting": 4, "max_memory_bytes": 1 << 30})
    lifetime = gateway.lifetime()
    place = gateway.admission.enter("me", lifetime)
    lifetime.memory.take(1 << 20)
    state = gateway.state()
    place.release()

    assert state["saturation"] == {
        "requests": {"used": 1, "most": 3},
        "waiting": {"used": 0, "most": 4},
        "memory": {"used": 1 << 20, "most": 1 << 30},
    }
    assert sorted(state["credentials"]) == sorted(cloud.tenants)
    assert {each["fault"] for each in state["credentials"].values()} == {None}
    assert any((each["token_until"] or 0) > 1_700_000_060 for each in state["credentials"].values())


def test_the_state_has_the_end_of_the_certificate_in_a_service_key(cloud: Cloud, tmp_path: Path) -> None:
    ends = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    own = certificate(tmp_path, "client", ends=ends)
    config = config_of(cloud, MODELS)
    for account in config["subAccounts"].values():
        key = {name: value for name, value in account["service_key"].items() if name != "clientsecret"}
        account["service_key"] = {**key, "certificate": own.file.read_text(), "key": own.key_file.read_text()}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with closing(Gateway(load(tmp_path / "config.json", {}, tmp_path))) as gateway:
        found = gateway.state()["credentials"]

    assert {each["certificate_until"] for each in found.values()} == {ends.timestamp()}
    assert {each["token_until"] for each in found.values()} == {None}


def test_the_state_tells_how_every_endpoint_stands_and_where_none_is(build: Build) -> None:
    gateway = build()
    exchange = ask(gateway, model="gpt-4.1")
    attempt = exchange.next_attempt()
    [row] = [each for each in gateway.state()["endpoints"] if each["in_flight"]]

    assert (attempt.endpoint.subaccount, attempt.endpoint.deployment) == (row["subaccount"], row["deployment"])
    assert row["quota_domain"] == f"{row['subaccount']}/gpt-4.1"
    assert (row["standing"], row["circuit"], row["last_error"]) == ("ready", "closed", None)
    exchange.finish()
    assert json.dumps(gateway.state())
    assert sum(each["in_flight"] for each in gateway.state()["endpoints"]) == 0


def test_an_endpoint_that_only_a_listing_can_bring_back_has_no_time_to_come_back(build: Build) -> None:
    gateway = build()
    gone = gateway.balancer.endpoints("gpt-4.1")[0]
    gateway.balancer.breaker(gone).eject("the deployment's status is STOPPED")

    [row] = [each for each in gateway.state()["endpoints"] if each["deployment"] == gone.deployment]
    assert (row["standing"], row["seconds"], row["why"]) == ("gone", None, "the deployment's status is STOPPED")


def test_a_conversation_with_a_session_stays_in_one_subaccount_where_that_is_the_strategy(build: Build) -> None:
    gateway = build(routing={"strategy": "cache-affinity"})
    places = set()
    for number in range(6):
        exchange = ask(gateway, model=CLAUDE, headers={"X-Session-Id": "s1"}, user=f"u{number}")
        exchange.whole()
        places.add(exchange.headers()["x-proxy-deployment"].partition("/")[0])

    assert len(places) == 1


@pytest.mark.parametrize(
    ("effort", "tools", "dialect"),
    [("low", True, "openai-responses"), ("low", False, "openai-chat"), (None, True, "openai-chat")],
)
def test_tools_with_reasoning_go_where_both_are_taken(
    cloud: Cloud, tmp_path: Path, effort: str | None, tools: bool, dialect: str
) -> None:
    config = config_of(cloud, {"gpt-5": []})
    for account in config["subAccounts"].values():
        account["deployment_models"]["gpt-5.5"] = account["deployment_models"].pop("gpt-5")
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    gateway = Gateway(load(file, {}, tmp_path))
    gateway.start()
    tool = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
    body = {"reasoning_effort": effort} if effort else {}
    exchange = ask(gateway, model="gpt-5.5", **body, **({"tools": [tool]} if tools else {}))
    attempt = exchange.next_attempt()
    exchange.finish()
    gateway.close()

    assert dialect == attempt.protocol.dialect


def test_strategies_are_told_the_caller_the_tags_and_how_much_is_asked(build: Build) -> None:
    told: list[SelectionContext] = []

    class Watch(RoundRobinStrategy):
        def select_endpoint(self, candidates: Sequence[Candidate], context: SelectionContext = NO_CONTEXT) -> Endpoint:
            told.append(context)
            return super().select_endpoint(candidates, context)

        @classmethod
        def reads(cls, _policy: Policy) -> frozenset[str]:
            return frozenset({"input_tokens"})

    gateway = build()
    gateway.balancer.use(Watch())
    text = {"messages": [{"role": "user", "content": "word " * 700}]}
    ask(gateway, headers={"x-request-tags": "batch, night ,,"}, model="gpt-4.1", **text).whole()

    [context] = told
    assert (context.caller, context.tags) == ("me", {"batch", "night"})
    assert 900 < (context.input_tokens or 0) < 1100


def test_a_kept_answer_is_asked_for_where_it_was_made_until_it_is_deleted(build: Build) -> None:
    gateway = build()
    made = [
        gateway.exchange("openai-responses", {"model": "gpt-5", "input": f"Hello {number}"}, {}, "me").whole()["id"]
        for number in range(4)
    ]
    for answer in made:
        with pytest.raises(FaultError, match="not found"):
            gateway.kept("GET", answer, "somebody else")
        assert gateway.kept("GET", answer, "me")[0] == 200
        assert gateway.kept("DELETE", answer, "me")[0] == 200
        with pytest.raises(FaultError) as caught:
            gateway.kept("GET", answer, "me")
        assert (caught.value.fault.code, caught.value.fault.status) == ("response_not_found", 404)


def test_why_a_kept_answer_failed_is_told_without_addresses(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = build()
    made = gateway.exchange("openai-responses", {"model": "gpt-5", "input": "Hello"}, {}, "me").whole()["id"]
    failed = {"status": "failed", "error": {"code": "server_error", "message": "x"}, "output": []}
    monkeypatch.setattr(gateway._core, "manage", lambda *_: (200, json.dumps(failed).encode()))

    _, told = gateway.kept("GET", made, "me")
    assert json.loads(told) == {**failed, "error": {"code": "server_error", "message": "The model's endpoint failed."}}


def test_where_no_endpoint_can_be_had_a_request_is_over_before_its_first_attempt(build: Build) -> None:
    gateway = build()
    for endpoint in gateway.balancer.endpoints("gpt-4.1"):
        gateway.balancer.breaker(endpoint).eject("stopped")
    exchange = ask(gateway, model="gpt-4.1")

    with pytest.raises(FaultError) as caught:
        exchange.whole()
    assert FaultKind.UNAVAILABLE is caught.value.fault.kind
    assert "x-proxy-deployment" not in exchange.headers()


def test_a_stream_that_never_began_says_its_failure_in_the_dialect_of_the_client(build: Build) -> None:
    gateway = build()
    for endpoint in gateway.balancer.endpoints(CLAUDE):
        gateway.balancer.breaker(endpoint).eject("stopped")
    stream = gateway.stream(ask(gateway, "anthropic-messages", model=CLAUDE, max_tokens=5, stream=True))
    said = b"".join(stream)

    assert said.startswith(b"event: error\ndata: ")
    assert b"overloaded_error" in said


@pytest.mark.parametrize(
    ("model", "asked", "patience"),
    [
        ("gpt-5", {}, 600),
        ("gpt-5", {"reasoning_effort": "medium"}, 600),
        ("gpt-5", {"reasoning_effort": "high"}, 600),
        ("gpt-5", {"reasoning_effort": "low"}, 60),
        ("gpt-5", {"reasoning_effort": "minimal"}, 60),
        ("gpt-4.1", {}, 60),
        (CLAUDE, {"reasoning_effort": "high"}, 60),
    ],
)
def test_a_model_that_thinks_without_a_sign_of_life_is_given_time(
    build: Build, model: str, asked: dict[str, Any], patience: float
) -> None:
    timeouts = ask(build(), model=model, **asked).incoming.timeouts

    assert patience == timeouts.first_event
    assert (600 if patience == 600 else 120) == timeouts.idle
