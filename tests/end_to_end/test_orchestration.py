"""Tenants that have orchestration: alone, beside deployments of one model, and with modules around the models."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

import emulator
from emulator.catalogue import orchestrated
from emulator.world import Tenant, World, orchestration_tenant, tenant
from tests.end_to_end.test_edges import shape_of
from tests.end_to_end.test_matrix import SDKS
from tests.matrix.clients import Client
from tests.matrix.scenes import WEATHER, Ask
from tests.support.running import KEY, Cloud, Proxy, running_proxy
from tests.support.talking import DIALECTS, SHAPES, request_of, sent

CLAUDE, GPT, GEMINI, NOVA = "anthropic--claude-4.5-sonnet", "gpt-5.5", "gemini-3.5-flash", "amazon--nova-pro"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ODD = "{{?name}}, {{ ?x }}, {{?}}, {{?two words}} and {{plain}}"
MASKING = {
    "providers": [
        {
            "type": "sap_data_privacy_integration",
            "method": "anonymization",
            "entities": [{"type": "profile-email"}],
        }
    ]
}
GROUNDING = {
    "type": "document_grounding_service",
    "config": {
        "filters": [{"id": "f", "data_repository_type": "vector"}],
        "placeholders": {"input": ["question"], "output": "findings"},
    },
}
FILTERING = {"input": {"filters": [{"type": "azure_content_safety", "config": {"violence": 0}}]}}


@contextmanager
def serving_tenant(owner: Tenant, folder: Path, **config: Any) -> Iterator[Proxy]:
    """Serve a proxy that knows the service key of a tenant, and nothing else of it."""
    with emulator.serve(World((owner,))) as running:
        cloud = Cloud(running.url)
        accounts = {
            name: {"service_key": known["service_key"], "resource_group": known["resource_group"], "discovery": True}
            for name, known in cloud.tenants.items()
        }
        with running_proxy(cloud, folder, subAccounts=accounts, **config) as proxy:
            yield proxy


@pytest.fixture(scope="module")
def shared_lone_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy whose tenant has one orchestration deployment, and nothing else."""
    with serving_tenant(orchestration_tenant("eu", "team-a"), tmp_path_factory.mktemp("lone")) as proxy:
        yield proxy


@pytest.fixture
def lone_proxy(shared_lone_proxy: Proxy) -> Iterator[Proxy]:
    shared_lone_proxy.cloud.forget()
    yield shared_lone_proxy
    shared_lone_proxy.cloud.check_requests()


@pytest.fixture(scope="module")
def clients(shared_lone_proxy: Proxy) -> Iterator[dict[str, Client]]:
    with ExitStack() as owned:
        made = [owned.enter_context(closing(sdk(shared_lone_proxy.url, KEY))) for sdk in SDKS]
        yield {client.dialect: client for client in made}


@pytest.fixture
def serve_orchestration(tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    """Serve a proxy of one's own, whose tenant has one orchestration deployment; given its config section."""
    with ExitStack() as owned:

        def serve(**section: Any) -> Proxy:
            owner = orchestration_tenant("eu", "default")
            return owned.enter_context(serving_tenant(owner, tmp_path, orchestration=section))

        yield serve


# A tenant with one orchestration deployment and a service key, and nothing else


def test_every_model_that_orchestration_serves_is_listed(lone_proxy: Proxy) -> None:
    listed = [each["id"] for each in lone_proxy.ask("GET", "/v1/models").json["data"]]

    assert {*listed} <= {*orchestrated()}
    assert {CLAUDE, GPT, GEMINI, NOVA, "gemini-embedding"} <= {*listed}


@STREAMED
@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI, NOVA])
@pytest.mark.parametrize("dialect", [sdk.dialect for sdk in SDKS])
def test_every_vendors_sdk_is_served_every_family(
    clients: dict[str, Client], lone_proxy: Proxy, dialect: str, model: str, stream: bool
) -> None:
    ask = Ask("Please use get_weather.", system="Be brief.", tools=(WEATHER,), results=("22 °C",))
    first, second = clients[dialect].ask(model, ask, stream=stream)

    assert [call.name for call in first.calls] == ["get_weather"]
    assert "The tool answered: 22 °C" in second.text
    assert (second.counted.prompt > 0, second.counted.output > 0) == (True, True)
    assert [status for status, _ in sent(lone_proxy)] == [200, 200]


def test_embeddings_are_served(lone_proxy: Proxy) -> None:
    with openai.OpenAI(base_url=f"{lone_proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        made = client.embeddings.create(model="gemini-embedding", input=["one", "two"], dimensions=256)

    assert [(each.index, len(each.embedding)) for each in made.data] == [(0, 256), (1, 256)]
    assert [each["path"].rpartition("/v2/")[2] for each in lone_proxy.cloud.requests()] == ["embeddings"]


@STREAMED
@pytest.mark.parametrize("model", [CLAUDE, GPT])
@pytest.mark.parametrize("dialect", [sdk.dialect for sdk in SDKS])
def test_what_looks_like_a_placeholder_arrives_as_it_was_written(
    clients: dict[str, Client], lone_proxy: Proxy, dialect: str, model: str, stream: bool
) -> None:
    ask = Ask(f"scene:echo {ODD}", history=((f"What is {ODD}?", f"It is {ODD}."),))
    [answer] = clients[dialect].ask(model, ask, stream=stream)

    assert answer.text == ODD
    assert [status for status, _ in sent(lone_proxy)] == [200]


def test_state_shows_what_is_orchestration(lone_proxy: Proxy) -> None:
    [row] = [each for each in lone_proxy.ask("GET", "/router/state").json["endpoints"] if each["model"] == GPT]

    assert (row["orchestration"], row["standby"], row["standing"]) == (True, True, "ready")


def test_the_service_does_not_retry_by_itself(serve_orchestration: Callable[..., Proxy]) -> None:
    """The proxy does: each of its attempts calls the model once."""
    proxy = serve_orchestration()
    [deployment] = [each["id"] for each in proxy.cloud.tenants["eu"]["deployments"]]
    proxy.cloud.fault(deployment, "500")
    path, body = request_of("chat", GPT, stream=False)
    told = proxy.ask("POST", path, body)
    asked = proxy.cloud.requests()

    assert told.status >= 500
    assert [each["model_calls"] for each in asked] == [1] * len(asked)
    assert told.headers["x-proxy-attempts"] == str(len(asked))


@STREAMED
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_that_no_deployment_has_is_not_found_in_the_services_words_and_nobody_is_ejected(
    tmp_path: Path, dialect: str, stream: bool
) -> None:
    owner = orchestration_tenant("eu", "default", copies=3)
    section = {"models": ["gpt-0", GPT], "per_model": {GPT: {"version": "1999"}}}
    with serving_tenant(owner, tmp_path, orchestration=section) as proxy:
        for model, version in (("gpt-0", "latest"), (GPT, "1999")):
            proxy.cloud.forget()
            told = [proxy.ask("POST", *request_of(dialect, model, stream=stream)) for _ in range(3)]
            rows = [row for row in proxy.ask("GET", "/router/state").json["endpoints"] if row["model"] == model]

            assert [(each.status, shape_of(each.json)) for each in told] == [(404, SHAPES[dialect])] * 3
            assert {each.json["error"]["message"] for each in told} == {
                f"Model {model} in version {version} not found."
            }
            assert len(proxy.cloud.requests()) == 6
            assert [row["standing"] for row in rows] == ["ready"] * 3


# Beside deployments of one model


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy whose tenant has a deployment of GPT, and one of orchestration."""
    with serving_tenant(tenant("eu", "default", (GPT,), copies=1), tmp_path) as proxy:
        yield proxy
        proxy.cloud.check_requests()


def of_orchestration(proxy: Proxy) -> str:
    """The path of the orchestration deployment in the header that says who answered."""
    known = proxy.cloud.tenants["eu"]["deployments"]
    return next(f"eu/{each['id']}" for each in known if each["model"] is None)


def answers(proxy: Proxy, model: str, number: int, *, stream: bool = False) -> list[tuple[int, str]]:
    """Ask so often: the status of each answer, and who gave it."""
    path, body = request_of("chat", model, stream=stream)
    told = [proxy.ask("POST", path, body) for _ in range(number)]
    return [(each.status, each.headers.get("x-proxy-deployment", "")) for each in told]


@STREAMED
def test_a_deployment_of_the_model_alone_is_asked_first_and_orchestration_when_it_is_out(
    both: Proxy, stream: bool
) -> None:
    [direct] = both.cloud.deployments(GPT)
    well = answers(both, GPT, 4, stream=stream)
    both.cloud.fault(direct, "503")
    broken = answers(both, GPT, 4, stream=stream)

    assert well == [(200, f"eu/{direct}")] * 4
    assert broken == [(200, of_orchestration(both))] * 4


def test_what_orchestration_cannot_be_asked_is_told_when_the_deployment_that_can_is_back(tmp_path: Path) -> None:
    with serving_tenant(tenant("eu", "default", ("text-embedding-3-small",), copies=1), tmp_path) as proxy:
        [direct] = proxy.cloud.deployments("text-embedding-3-small")
        proxy.cloud.fault(direct, "429-provider", retry_after=30)
        body = {"model": "text-embedding-3-small", "input": [[9906, 1917]]}
        busy = proxy.ask("POST", "/v1/embeddings", body)
        words = [proxy.ask("POST", "/v1/embeddings", body | {"input": "Hello"}) for _ in range(2)]

    assert busy.status == 429
    assert "retry-after" in busy.headers
    assert [each.status for each in words] == [200, 200]


def test_a_model_that_orchestration_alone_serves_is_served_beside(both: Proxy) -> None:
    assert answers(both, CLAUDE, 2) == [(200, of_orchestration(both))] * 2


def test_what_is_not_on_standby_takes_turns(tmp_path: Path) -> None:
    owner = tenant("eu", "default", (GPT,), copies=1)
    with serving_tenant(owner, tmp_path, orchestration={"standby": False}) as proxy:
        expected = {f"eu/{proxy.cloud.deployments(GPT)[0]}", of_orchestration(proxy)}

        assert {who for _, who in answers(proxy, GPT, 4)} == expected


def test_models_that_the_settings_list_are_served_instead_of_the_catalogues(
    serve_orchestration: Callable[..., Proxy],
) -> None:
    proxy = serve_orchestration(models=[GPT])

    assert [each["id"] for each in proxy.ask("GET", "/v1/models").json["data"]] == [GPT]


# Modules around the models


@STREAMED
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_prompt_that_a_filter_stops_is_refused_in_the_clients_words_without_the_prompt(
    serve_orchestration: Callable[..., Proxy], dialect: str, stream: bool
) -> None:
    proxy = serve_orchestration(filtering=FILTERING)
    path, body = request_of(dialect, GPT, stream=stream, text="harm:violence and a secret word")
    told = proxy.ask("POST", path, body)

    assert (told.status, shape_of(told.json)) == (400, SHAPES[dialect])
    assert "Content filtered due to safety violations" in told.json["error"]["message"]
    assert b"secret word" not in told.body
    assert len(proxy.cloud.requests()) == 1


@STREAMED
@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
def test_what_is_masked_never_reaches_the_model(
    serve_orchestration: Callable[..., Proxy], model: str, stream: bool
) -> None:
    proxy = serve_orchestration(masking=MASKING)
    path, body = request_of("chat", model, stream=stream, text="scene:echo Write to ada@example.com today")
    told = proxy.ask("POST", path, body)

    assert told.status == 200
    assert b"MASKED_EMAIL" in told.body
    assert b"ada@example.com" not in told.body


@STREAMED
def test_a_grounding_that_has_no_place_is_named(serve_orchestration: Callable[..., Proxy], stream: bool) -> None:
    proxy = serve_orchestration(grounding=GROUNDING)
    path, body = request_of("chat", GPT, stream=stream)
    begun = {**body, "messages": [*body["messages"], {"role": "assistant", "content": "It is"}]}
    placed, unplaced = [proxy.ask("POST", path, each) for each in (body, begun)]

    assert [each.status for each in (placed, unplaced)] == [200, 200]
    assert "grounding" not in placed.headers.get("x-proxy-dropped", "")
    assert "grounding" in unplaced.headers["x-proxy-dropped"]


def test_what_is_embedded_is_masked_too(serve_orchestration: Callable[..., Proxy]) -> None:
    proxy = serve_orchestration(masking=MASKING)
    texts = ["Write to ada@example.com", "Write to MASKED_EMAIL"]
    told = proxy.ask("POST", "/v1/embeddings", {"model": "gemini-embedding", "input": texts})
    masked, plain = [each["embedding"] for each in told.json["data"]]

    assert masked == plain
    proxy.cloud.check_requests()


def test_a_model_may_be_set_apart_from_what_is_done_around_all(serve_orchestration: Callable[..., Proxy]) -> None:
    proxy = serve_orchestration(masking=MASKING, per_model={"gpt-5.5": {"masking": None, "timeout": 30}})
    for model in (GPT, CLAUDE):
        proxy.ask("POST", *request_of("chat", model, stream=False))
    apart, other = [body["config"]["modules"] for _, body in sent(proxy)]

    assert (apart.get("masking"), apart["prompt_templating"]["model"]["timeout"]) == (None, 30)
    assert other["masking"] == MASKING


def test_orchestrations_own_fallbacks_answer_where_the_model_fails(serve_orchestration: Callable[..., Proxy]) -> None:
    proxy = serve_orchestration(models=["gpt-6", GPT], per_model={"gpt-6": {"fallbacks": [GPT]}})

    assert [status for status, _ in answers(proxy, "gpt-6", 1)] == [200]
    [(_, body)] = sent(proxy)
    assert [each["prompt_templating"]["model"]["name"] for each in body["config"]["modules"]] == ["gpt-6", GPT]
