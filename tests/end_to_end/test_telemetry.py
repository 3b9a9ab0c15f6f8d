"""Traces and metrics of real requests through the real proxy, as an OpenTelemetry collector gets them."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes

import emulator
from tests.docs.blocks import blocks_of
from tests.support.collector import Collector, SentSpan, running_collector
from tests.support.processes import COMMAND, PATIENCE, ROOT, Place, free_port, new_place
from tests.support.running import KEY, Cloud, HttpAnswer, Proxy, config_of, running_proxy
from tests.support.talking import request_of
from tests.support.worlds import mixed_world

SERVER, CLIENT = 2, 3
CLAUDE = "anthropic--claude-4.5-sonnet"
TRACE, CALLER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
UNSAMPLED = "5bf92f3577b34da6a3ce929d0e0e4736"
PROMPT = "PROMPT-MARKER"
ID = "aicore_proxy.request.id"
PAGE = ROOT / "docs/observability-otel.md"
TOKEN = re.compile(rb"[0-9a-f-]{36}\.[0-9a-f-]{36}")
"""What an access token of the emulator looks like."""


@dataclass
class Scene:
    """What some requests left behind: at the collector, in the emulator, and in the log."""

    collector: Collector
    upstream: list[dict[str, Any]]
    secrets: list[str]
    caller: str
    log: str

    def of(self, name: str) -> tuple[SentSpan, list[SentSpan]]:
        """The span of the request with this id, and those of its attempts in their order."""
        spans = self.collector.spans()
        [request] = [each for each in spans if each.attributes.get(ID) == name]
        return request, [each for each in spans if each.parent == request.id]

    def traceparents(self, name: str) -> list[str | None]:
        return [
            each["headers"].get("traceparent") for each in self.upstream if each["headers"].get("x-request-id") == name
        ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Some requests through a proxy with telemetry, which has ended."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("sap_ai_proxy.exchange")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    with (
        pytest.MonkeyPatch.context() as patch,
        running_collector() as collector,
        emulator.serve(mixed_world()) as world,
    ):
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET-OF-THE-COLLECTOR")
        cloud = Cloud(world.url)
        routing = {"retry": {"max_attempts": 2}}
        with running_proxy(
            cloud, tmp_path_factory.mktemp("traced"), telemetry={"otlp": True}, routing=routing
        ) as proxy:
            secrets = make_requests(proxy)
            caller = proxy.gateway.auth.admit([KEY])
        keys = [account["service_key"] for account in config_of(cloud)["subAccounts"].values()]
        upstream = cloud.requests()
        secrets += [key[name] for key in keys for name in ("clientid", "clientsecret")]
        yield Scene(collector, upstream, secrets, caller.name if caller else "", "\n".join(lines))
    log.removeHandler(handler)
    log.setLevel(level)


def make_requests(proxy: Proxy) -> list[str]:
    """Make them, and give what was said in an answer."""

    def ask(name: str, dialect: str, model: str, *, stream: bool = False, **headers: str) -> HttpAnswer:
        path, body = request_of(dialect, model, stream=stream, text=PROMPT)
        return proxy.ask("POST", path, body, **{"X-Request-Id": name, **headers})

    cloud = proxy.cloud
    ask("streamed", "messages", CLAUDE, stream=True, traceparent=f"00-{TRACE}-{CALLER_SPAN}-01")
    whole = ask("whole", "chat", "gpt-5")
    ask("unsampled", "chat", "gpt-5", traceparent=f"00-{UNSAMPLED}-{CALLER_SPAN}-00")
    for deployment in cloud.deployments("gemini-3.5-flash", "eu"):
        cloud.fault(deployment, "503")
    ask("failover", "gemini", "gemini-3.5-flash", stream=True)
    for deployment in cloud.deployments("gpt-5.5"):
        cloud.fault(deployment, "429-provider", retry_after=300, message=f"{PROMPT} refused")
    ask("failed", "responses", "gpt-5.5")
    embedding = {"model": "text-embedding-3-small", "input": PROMPT}
    proxy.ask("POST", "/v1/embeddings", embedding, **{"X-Request-Id": "embedded"})
    ask("unknown", "chat", f"nobody-{PROMPT}")
    proxy.ask("POST", "/v1/messages", {}, **{"X-Request-Id": "strange", "Authorization": "Bearer WRONG-KEY"})
    return [whole.json["choices"][0]["message"]["content"]]


def test_a_streamed_request_is_a_span_of_the_server_with_one_of_a_client_below_it(scene: Scene) -> None:
    request, [attempt] = scene.of("streamed")

    assert (request.kind, request.name) == (SERVER, f"chat {CLAUDE}")
    assert (attempt.kind, attempt.name) == (CLIENT, f"chat {CLAUDE}")
    assert (request.trace, request.parent) == (TRACE, CALLER_SPAN)
    assert attempt.trace == TRACE
    assert 0 < attempt.seconds <= request.seconds < 60
    assert (request.is_error, attempt.is_error) == (False, False)


def test_the_span_of_an_attempt_has_the_attributes_of_the_conventions(scene: Scene) -> None:
    _, [attempt] = scene.of("streamed")
    [call] = [each for each in scene.upstream if each["headers"].get("x-request-id") == "streamed"]
    first = attempt.attributes.pop(gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK)
    input_tokens = attempt.attributes.pop(gen_ai.GEN_AI_USAGE_INPUT_TOKENS)
    output_tokens = attempt.attributes.pop(gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS)

    assert attempt.attributes == {
        gen_ai.GEN_AI_OPERATION_NAME: gen_ai.GenAiOperationNameValues.CHAT.value,
        gen_ai.GEN_AI_PROVIDER_NAME: gen_ai.GenAiProviderNameValues.AWS_BEDROCK.value,
        gen_ai.GEN_AI_REQUEST_MODEL: CLAUDE,
        gen_ai.GEN_AI_REQUEST_STREAM: True,
        gen_ai.GEN_AI_RESPONSE_MODEL: CLAUDE,
        gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: ["end"],
        server_attributes.SERVER_ADDRESS: "127.0.0.1",
        server_attributes.SERVER_PORT: int(call["headers"]["host"].rpartition(":")[2]),
        "aicore_proxy.subaccount": call["tenant"],
        "aicore_proxy.deployment": call["deployment"],
        "aicore_proxy.reason": "round-robin",
        "aicore_proxy.protocol": "claude-invoke",
    }
    assert 0 < first <= attempt.seconds
    assert input_tokens > 0
    assert output_tokens > 0


def test_the_span_of_a_request_says_who_asked_and_where_it_went(scene: Scene) -> None:
    request, [attempt] = scene.of("streamed")
    place = f"{attempt.attributes['aicore_proxy.subaccount']}/{attempt.attributes['aicore_proxy.deployment']}"

    assert request.attributes["aicore_proxy.caller"] == scene.caller
    assert request.attributes["aicore_proxy.client.dialect"] == "anthropic-messages"
    assert request.attributes["aicore_proxy.trail"] == f"{place} ok"
    assert request.attributes["aicore_proxy.attempts"] == 1
    assert request.attributes[http_attributes.HTTP_RESPONSE_STATUS_CODE] == 200
    assert request.attributes[gen_ai.GEN_AI_REQUEST_MODEL] == CLAUDE
    assert request.attributes[gen_ai.GEN_AI_RESPONSE_MODEL] == CLAUDE
    assert request.attributes["aicore_proxy.overhead"] <= request.seconds
    assert request.resource["service.name"] == "sap-ai-core-llm-proxy"
    assert f"id=streamed trace={TRACE}" in scene.log


def test_the_upstream_continues_the_span_of_its_attempt(scene: Scene) -> None:
    _, [attempt] = scene.of("streamed")

    assert scene.traceparents("streamed") == [f"00-{TRACE}-{attempt.id}-01"]


def test_a_request_without_a_trace_begins_one_that_stands_in_the_log(scene: Scene) -> None:
    request, [attempt] = scene.of("whole")

    assert request.parent == ""
    assert [(each or "")[:53] for each in scene.traceparents("whole")] == [f"00-{request.trace}-{attempt.id}-"]
    assert f"id=whole trace={request.trace}" in scene.log
    assert attempt.attributes[gen_ai.GEN_AI_PROVIDER_NAME] == gen_ai.GenAiProviderNameValues.AZURE_AI_OPENAI.value
    assert gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK not in attempt.attributes


def test_a_trace_that_its_caller_does_not_sample_is_passed_on_and_not_sent(scene: Scene) -> None:
    [traceparent] = scene.traceparents("unsampled")
    assert traceparent is not None

    assert (traceparent[:36], traceparent[-3:]) == (f"00-{UNSAMPLED}-", "-00")
    assert CALLER_SPAN not in traceparent
    assert not [each for each in scene.collector.spans() if each.trace == UNSAMPLED]


def test_a_failover_shows_two_attempts_of_which_the_first_has_its_error(scene: Scene) -> None:
    request, attempts = scene.of("failover")
    first, second = attempts

    assert request.begun <= first.begun <= first.ended <= second.begun <= second.ended <= request.ended
    assert (first.is_error, second.is_error, request.is_error) == (True, False, False)
    assert first.attributes[error_attributes.ERROR_TYPE] == "overloaded"
    assert first.attributes[http_attributes.HTTP_RESPONSE_STATUS_CODE] == 503
    assert first.attributes["aicore_proxy.subaccount"] == "eu"
    assert gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS not in first.attributes
    assert error_attributes.ERROR_TYPE not in second.attributes
    assert second.attributes[gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS] > 0
    assert second.attributes[gen_ai.GEN_AI_PROVIDER_NAME] == gen_ai.GenAiProviderNameValues.GCP_VERTEX_AI.value
    assert request.attributes["aicore_proxy.attempts"] == 2
    assert error_attributes.ERROR_TYPE not in request.attributes


def test_a_request_that_fails_everywhere_has_its_error(scene: Scene) -> None:
    request, attempts = scene.of("failed")

    assert len(attempts) == 2
    assert {each.attributes[error_attributes.ERROR_TYPE] for each in [request, *attempts]} == {"rate_limited"}
    assert request.attributes[http_attributes.HTTP_RESPONSE_STATUS_CODE] == 429
    assert not request.is_error  # a server's span of a 4xx is none of its errors
    assert [each for each in [request, *attempts] if gen_ai.GEN_AI_RESPONSE_MODEL in each.attributes] == []


def test_embeddings_are_an_operation_of_their_own(scene: Scene) -> None:
    request, [attempt] = scene.of("embedded")

    assert request.name == attempt.name == "embeddings text-embedding-3-small"
    assert request.attributes[gen_ai.GEN_AI_OPERATION_NAME] == gen_ai.GenAiOperationNameValues.EMBEDDINGS.value
    assert attempt.attributes[gen_ai.GEN_AI_USAGE_INPUT_TOKENS] > 0


@pytest.mark.parametrize(
    ("name", "status", "error"), [("unknown", 404, "not_found"), ("strange", 401, "unauthenticated")]
)
def test_a_request_that_is_refused_is_a_span_without_attempts(scene: Scene, name: str, status: int, error: str) -> None:
    request, attempts = scene.of(name)

    assert attempts == []
    assert f"id={name} trace={request.trace}" in scene.log
    assert request.attributes[http_attributes.HTTP_RESPONSE_STATUS_CODE] == status
    assert request.attributes[error_attributes.ERROR_TYPE] == error


def test_requests_and_calls_are_measured_in_the_buckets_of_the_conventions(scene: Scene) -> None:
    seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    first = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
    expected = {
        gen_ai_metrics.GEN_AI_SERVER_REQUEST_DURATION: ("s", seconds),
        gen_ai_metrics.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN: ("s", first),
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION: ("s", seconds),
        gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE: ("{token}", [4**power for power in range(14)]),
    }
    units = scene.collector.metrics()
    measured = {
        name: (units[name], list(scene.collector.points(name)[0][1].explicit_bounds))
        for name in units
        if name.startswith("gen_ai.")
    }

    assert measured == expected


def test_every_request_is_counted_with_its_model_and_its_error(scene: Scene) -> None:
    points = scene.collector.points(gen_ai_metrics.GEN_AI_SERVER_REQUEST_DURATION)
    counted = {
        (each[gen_ai.GEN_AI_REQUEST_MODEL], each.get(error_attributes.ERROR_TYPE)): point.count
        for each, point in points
    }

    assert counted == {
        (CLAUDE, None): 1,
        ("gpt-5", None): 2,
        ("gemini-3.5-flash", None): 1,
        ("gpt-5.5", "rate_limited"): 1,
        ("text-embedding-3-small", None): 1,
        ("unknown", "not_found"): 1,
        ("unknown", "unauthenticated"): 1,
    }


def test_calls_are_counted_by_deployment_and_tokens_by_kind(scene: Scene) -> None:
    calls = Counter[str]()
    for attributes, point in scene.collector.points(gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION):
        calls[attributes["aicore_proxy.deployment"]] += point.count
    request, _ = scene.of("streamed")
    tokens = {
        attributes[gen_ai.GEN_AI_TOKEN_TYPE]: point.sum
        for attributes, point in scene.collector.points(gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE)
        if attributes[gen_ai.GEN_AI_REQUEST_MODEL] == CLAUDE
    }

    assert calls == Counter(each["deployment"] for each in scene.upstream)
    assert tokens == {
        gen_ai.GenAiTokenTypeValues.INPUT.value: request.attributes[gen_ai.GEN_AI_USAGE_INPUT_TOKENS],
        gen_ai.GenAiTokenTypeValues.OUTPUT.value: request.attributes[gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS],
    }


def test_the_state_of_every_endpoint_is_measured(scene: Scene) -> None:
    def by_endpoint(name: str) -> dict[tuple[str, str], list[Any]]:
        found: dict[tuple[str, str], list[Any]] = {}
        for each, point in scene.collector.points(f"aicore_proxy.endpoint.{name}"):
            place = each["aicore_proxy.deployment"], each["aicore_proxy.model"]
            value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
            found.setdefault(place, []).append((each.get("aicore_proxy.circuit"), value))
        return found

    in_flight, circuits, cooldowns = map(by_endpoint, ("in_flight", "circuit", "cooldown"))
    cooled = {place[1] for place, [(_, seconds)] in cooldowns.items() if seconds > 0}

    assert len(in_flight) == len(circuits) == len(cooldowns) == 34 * 2
    assert {value for [(_, value)] in in_flight.values() for _ in [0]} == {0}
    assert {tuple(sorted(each)) for each in circuits.values()} == {(("closed", 1), ("half-open", 0), ("open", 0))}
    assert cooled == {"gpt-5.5"}


def test_no_prompt_no_answer_and_no_key_is_sent(scene: Scene) -> None:
    sent = b"".join(body for _, body in scene.collector.raw)
    markers = [PROMPT, KEY, "WRONG-KEY", "SECRET-OF-THE-COLLECTOR", "Bearer", *scene.secrets]

    assert b"chat" in sent
    assert [each for each in markers if each.encode() in sent] == []
    assert TOKEN.search(sent) is None


def test_a_collector_that_is_not_there_costs_no_request_anything(
    shared_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with running_proxy(shared_cloud, tmp_path, telemetry={"otlp": True}) as proxy:
        answers = [proxy.ask("POST", *request_of("chat", "gpt-5", stream=stream)) for stream in (False, True, False)]
        proxy.gateway.close_telemetry(0.1)
        answers.append(proxy.ask("POST", *request_of("chat", "gpt-5", stream=False)))

    assert [each.status for each in answers] == [200] * 4


class Traced(Place):
    """A place in whose environment nothing is sent to a collector before the end."""

    @property
    def env(self) -> dict[str, str]:
        never = dict.fromkeys(("OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"), "600000")
        path = os.pathsep.join((str(Path(COMMAND[0]).parent), os.environ["PATH"]))
        return {**super().env, **never, "PATH": path, "OTEL_SERVICE_NAME": "demo"}


def test_a_served_proxy_traces_in_its_worker_and_sends_what_is_left_when_it_ends(tmp_path: Path) -> None:
    made, port = new_place(tmp_path), free_port()
    place = Traced(made.home, made.folder)
    [command] = [each.text for each in blocks_of(PAGE) if each.text.startswith("OTEL_EXPORTER_OTLP_ENDPOINT=")]
    body = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hello"}]}
    with running_collector() as collector:
        command = command.replace("http://127.0.0.1:4318", collector.url).strip() + f" --demo --port {port}"
        with place.running(command, command=("bash", "-c")) as run:
            run.await_answer(f"http://127.0.0.1:{port}")
            answer = Proxy(f"http://127.0.0.1:{port}", None, None).ask("POST", "/v1/chat/completions", body)  # type: ignore[arg-type]
            early = list(collector.raw)
            run.process.terminate()
            code = run.process.wait(PATIENCE)
    names = [(each.name, each.kind, each.resource["service.name"]) for each in collector.spans()]

    assert (answer.status, early, code) == (200, [], 0)
    assert names == [("chat gpt-5.5", CLIENT, "demo"), ("chat gpt-5.5", SERVER, "demo")]
    assert gen_ai_metrics.GEN_AI_SERVER_REQUEST_DURATION in collector.metrics()
    assert "telemetry" not in run.said.lower()
