import subprocess
import sys
from collections.abc import Iterator

import pytest

import routing
import routing.model_names
from dialects.core.faults import Fault, FaultKind
from routing import Endpoint, LoadBalancer, NoEndpointError, Policy, RequestRouter, load_balance_url, route_request
from tests.routing.scenes import in_flight

URL = "https://{}.example/v2/inference/deployments/{}"
REQUEST = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


def at(subaccount: str, deployment: str, model: str) -> Endpoint:
    return Endpoint(subaccount, URL.format(subaccount, deployment), model, resource_group=f"group-{subaccount}")


POOLS = {
    "gpt-5": [at("eu", "d1", "gpt-5"), at("eu", "d2", "gpt-5"), at("us", "d7", "gpt-5")],
    "gpt-4.1": [at("us", "d8", "gpt-4.1")],
    "anthropic--claude-4.5-sonnet": [at("eu", "d3", "anthropic--claude-4.5-sonnet")],
    "text-embedding-3-small": [at("eu", "d4", "text-embedding-3-small")],
}


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    routing.configure(None)


@pytest.fixture
def router() -> RequestRouter:
    router = RequestRouter(LoadBalancer(POOLS))
    routing.configure(router)
    return router


@pytest.mark.parametrize("call", [lambda: load_balance_url("gpt-5"), lambda: route_request(REQUEST)])
def test_without_a_router_it_says_what_to_do(call):
    routing.configure(None)
    with pytest.raises(RuntimeError, match=r"call routing\.configure\(RequestRouter\(LoadBalancer\(pools\)\)\) first"):
        call()


@pytest.mark.usefixtures("router")
class TestLoadBalanceUrl:
    def test_it_gives_url_subaccount_resource_group_and_model(self):
        assert load_balance_url("gpt-4.1") == (URL.format("us", "d8"), "us", "group-us", "gpt-4.1")

    def test_subaccounts_take_turns_and_then_their_deployments(self):
        assert [load_balance_url("gpt-5")[0].rpartition("/")[2] for _ in range(6)] == [
            "d1",
            "d7",
            "d2",
            "d7",
            "d1",
            "d7",
        ]

    @pytest.mark.parametrize(
        ("model", "final"),
        [
            ("claude-3-opus", "anthropic--claude-4.5-sonnet"),
            ("claude-sonnet-4-5-20250929", "anthropic--claude-4.5-sonnet"),
            ("gpt-3.5-turbo", "gpt-5"),
            ("mistral-tiny", "gpt-5"),
        ],
    )
    def test_a_fallback_may_answer_and_is_named(self, model, final):
        assert final == load_balance_url(model)[3]

    def test_nothing_stays_in_flight(self, router):
        load_balance_url("gpt-5")

        assert not any(in_flight(router.balancer).values())


@pytest.mark.parametrize(
    ("model", "whose", "family"),
    [
        ("claude-3-opus", "Claude model", "claude-opus"),
        ("gemini-2.5-flash", "Gemini model", "gemini"),
        ("mistral-tiny", "Model", "gpt"),
    ],
)
def test_where_there_is_nothing_a_value_error_names_the_model_and_its_fallbacks(model, whose, family):
    routing.configure(RequestRouter(LoadBalancer({"sonar": [at("eu", "d1", "sonar")]})))
    names = ", ".join((model, *routing.model_names.FALLBACKS[family]))
    regret = f"{whose} '{model}' and fallbacks not available in any subAccount. No URLs for model {names}"
    with pytest.raises(ValueError, match="not available in any subAccount") as caught:
        load_balance_url(model)

    assert str(caught.value) == regret
    assert isinstance(caught.value, NoEndpointError)
    assert (caught.value.fault.kind, caught.value.fault.status) == (FaultKind.NOT_FOUND, 404)
    assert caught.value.fault.message == regret


@pytest.mark.parametrize("model", ["gpt-5" * 41, "@" * 20_000 + "\nx", "gpt-5\n"])
@pytest.mark.parametrize("call", [load_balance_url, lambda model: route_request(REQUEST, model)])
@pytest.mark.usefixtures("router")
def test_a_name_that_no_model_can_have_is_a_value_error_that_does_not_repeat_it(call, model):
    with pytest.raises(ValueError, match=r"^model must be a name of at most 200 characters") as caught:
        call(model)

    assert len(str(caught.value)) < 100


def test_where_all_rest_the_error_says_until_when():
    policy = Policy()
    router = RequestRouter(LoadBalancer({"o3": [at("eu", "d1", "o3")]}, policy=policy))
    routing.configure(router)
    next(router.attempts("o3")).failed(Fault(FaultKind.RATE_LIMITED, "too many", 429, retry_after=100))
    with pytest.raises(NoEndpointError, match="Model 'o3' and fallbacks not available") as caught:
        load_balance_url("o3")

    assert FaultKind.RATE_LIMITED is caught.value.fault.kind
    assert caught.value.wait is not None
    assert 90 < caught.value.wait <= 110


@pytest.mark.parametrize("model", [None, 5, b"gpt-5", ["gpt-5"]])
@pytest.mark.usefixtures("router")
def test_what_is_no_text_is_no_name(model):
    with pytest.raises(ValueError, match=r"^model must be a name of at most 200 characters"):
        load_balance_url(model)


@pytest.mark.usefixtures("router")
class TestTheLog:
    def test_a_fallback_is_a_warning(self, caplog):
        load_balance_url("claude-3-opus")
        load_balance_url("mistral-tiny")
        load_balance_url("gpt-5-latest")

        assert caplog.messages == [
            "'claude-3-opus' is not deployed: requests go to anthropic--claude-4.5-sonnet instead",
            "'mistral-tiny' is not deployed: requests go to gpt-5 instead",
        ]

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            ("gemini-2.5-flash", "The model 'gemini-2.5-flash' is not deployed. Deployed: o3."),
            ("@" * 300, "model must be a name of at most 200 characters, none of them a control character"),
            (None, "model must be a name of at most 200 characters, none of them a control character"),
            ("o3", "the quota of every deployment of 'o3' is used up"),
        ],
    )
    def test_so_is_a_failure_and_it_says_why(self, caplog, router, model, said):
        router.balancer.replace_pools({"o3": [at("eu", "d1", "o3")]})
        next(router.attempts("o3")).failed(Fault(FaultKind.RATE_LIMITED, "x", 429, retry_after=100))
        caplog.clear()
        with pytest.raises(NoEndpointError):
            load_balance_url(model)

        assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
            ("WARNING", f"no endpoint is selected: {said}")
        ]


@pytest.mark.usefixtures("router")
class TestRouteRequest:
    def test_it_gives_url_body_subaccount_and_protocol(self):
        url, body, subaccount, protocol = route_request(REQUEST)

        assert url == URL.format("eu", "d1") + "/chat/completions?api-version=2024-12-01-preview"
        assert body["messages"] == REQUEST["messages"]
        assert subaccount == "eu"
        assert protocol.name == "openai-chat"

    def test_model_and_stream_may_be_said_apart(self):
        route = route_request(REQUEST, "claude-sonnet-4-5", stream=True)

        assert route.endpoint_url == URL.format("eu", "d3") + "/converse-stream"
        assert REQUEST == {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


class TestThePackage:
    def test_it_offers_what_it_promises(self):
        assert sorted(routing.__all__) == sorted(set(routing.__all__))
        assert all(hasattr(routing, name) for name in routing.__all__)

    @pytest.mark.parametrize(
        "name",
        [
            "LoadBalancer",
            "RequestRouter",
            "CircuitBreaker",
            "HealthChecker",
            "LoadBalancingStrategy",
            "RoundRobinStrategy",
            "LeastConnectionsStrategy",
            "WeightedStrategy",
            "ClaudeConverseProtocol",
            "ClaudeInvokeProtocol",
            "GeminiGenerateProtocol",
            "OpenAIChatProtocol",
            "load_balance_url",
            "route_request",
        ],
    )
    def test_the_public_names_are_among_it(self, name):
        assert name in routing.__all__

    def test_importing_it_needs_neither_a_web_framework_nor_an_http_client(self):
        code = "import sys, routing; print(sorted({'flask', 'requests', 'urllib3', 'pydantic'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout == "[]\n"
