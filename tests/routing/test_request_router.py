"""Which deployed model a name stands for, by which protocol it is asked, and the route in one piece."""

import copy
import logging
from dataclasses import replace

import pytest

from dialects.core.faults import FaultError, FaultKind
from routing.availability import NoEndpointError
from routing.endpoint import Candidate, Endpoint
from routing.load_balancer import LoadBalancer
from routing.model_names import How, Resolution, Unlisted
from routing.policy import ModelPolicy, Policy, RetryPolicy
from routing.protocols import (
    ClaudeConverseProtocol,
    ClaudeInvokeProtocol,
    GeminiGenerateProtocol,
    OpenAIChatProtocol,
    OpenAIResponsesProtocol,
)
from routing.request_router import RequestRouter
from routing.strategy import LoadBalancingStrategy, SelectionContext
from tests.routing.scenes import EU1, OVERLOADED, all_fail, endpoint, nothing_in_flight, place, pool_at


class TestNames:
    def test_a_name_is_resolved_once_and_says_how(self, router_of):
        attempts = router_of(pool_at("eu/d1")).attempts("gpt-5-2025-08-07")

        assert attempts.resolution == Resolution("gpt-5", "gpt-5-2025-08-07", How.NORMALISED)
        assert next(attempts).endpoint == endpoint("eu", "d1", "gpt-5")

    def test_aliases_and_fallbacks_are_the_policys(self, router_of):
        router = router_of(pool_at("eu/d1"), Policy(aliases={"fast": "gpt-5"}, fallbacks={"gemini": ("gpt-5",)}))

        assert How.ALIAS is router.attempts("fast").resolution.how
        assert How.FALLBACK is router.attempts("gemini-2.5-pro").resolution.how

    def test_fallbacks_can_be_switched_off(self, router_of):
        with pytest.raises(NoEndpointError):
            router_of(pool_at("eu/d1", model="gpt-4.1"), Policy(fallback=False)).attempts("gpt-3")

    def test_what_is_not_listed_yet_may_be_told(self, router_of):
        router = router_of(pool_at("eu/d1"), unlisted=lambda: Unlisted(("us",), 3.0))
        with pytest.raises(NoEndpointError, match="not known yet"):
            router.attempts("mistral")

    def test_what_is_deployed_later_is_found(self, router_of):
        router = router_of(pool_at("eu/d1"))
        assert router.names is router.names
        router.balancer.replace_pools(pool_at("eu/d2", model="gpt-9"))

        assert How.EXACT is router.attempts("gpt-9").resolution.how
        assert router.attempts("gpt-5").resolution == Resolution("gpt-9", "gpt-5", How.FALLBACK)

    def test_a_model_without_endpoints_is_not_deployed(self, router_of):
        router = router_of({"gpt-5": [], **pool_at("eu/d1", model="gpt-4.1")})

        assert router.attempts("gpt-5").resolution == Resolution("gpt-4.1", "gpt-5", How.FALLBACK)

    def test_an_unknown_model_is_refused_before_any_attempt(self, router_of):
        with pytest.raises(NoEndpointError) as caught:
            router_of(pool_at("eu/d1")).attempts("mistral-tiny")

        assert FaultKind.NOT_FOUND is caught.value.fault.kind


class TestOrchestration:
    SPARE = endpoint("eu", "d9", "gpt-5", orchestration=True, standby=True)

    @pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "anthropic-messages", "gemini"])
    def test_an_orchestration_deployment_is_asked_in_orchestration_whoever_asks(self, router_of, client):
        router = router_of({"gpt-5": [self.SPARE], **pool_at("eu/d1", model="gemini-3.5-flash")})

        assert [attempt.protocol.name for attempt in router.attempts("gpt-5", client=client)] == ["orchestration"]
        assert next(router.attempts("gemini-3.5-flash", client=client)).protocol.name == "gemini-generate"

    def test_each_attempt_speaks_what_its_endpoint_does(self, router_of):
        attempts = router_of({"gpt-5": [self.SPARE, endpoint("eu", "d1", "gpt-5")]}).attempts("gpt-5")
        spoken = []
        for attempt in attempts:
            spoken.append((place(attempt), attempt.protocol.name))
            attempt.failed(OVERLOADED)

        assert spoken[:2] == [("eu/d1", "openai-chat"), ("eu/d9", "orchestration")]

    def test_embeddings_are_asked_in_a_protocol_of_their_own(self, router_of):
        router = router_of({"text-embedding-3-small": [replace(self.SPARE, model="text-embedding-3-small")]})
        [attempt] = router.attempts("text-embedding-3-small", client="openai-embeddings")

        assert attempt.protocol.name == "orchestration-embeddings"
        with pytest.raises(FaultError, match="has no conversations"):
            router.attempts("text-embedding-3-small")

    def test_what_is_registered_for_a_model_is_for_its_own_deployments(self, router_of):
        router = router_of({"gpt-5": [self.SPARE]})
        router.register_converter("gpt-5", OpenAIChatProtocol())

        assert router.protocol_at(self.SPARE, "openai-chat").name == "orchestration"

    def test_how_an_orchestration_deployment_is_asked_is_found_out_once_and_kept_apart_from_others(self, router_of):
        router = router_of({"gpt-5": [self.SPARE, endpoint("eu", "d1", "gpt-5")]})
        asked = [router.protocol_at(each, "gemini").name for each in router.balancer.endpoints("gpt-5") * 2]

        assert asked == ["openai-chat", "orchestration"] * 2
        assert router._protocol.cache_info().misses == 2

    def test_a_route_leads_to_its_path_with_the_name_of_the_model(self, router_of):
        route = router_of({"fast": [replace(self.SPARE, model="fast", runs="gpt-5.5")]}).route(
            {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
        )

        assert route.endpoint_url == f"{self.SPARE.url}/v2/completion"
        assert route.payload["config"]["modules"]["prompt_templating"]["model"]["name"] == "gpt-5.5"


class TestProtocols:
    @pytest.mark.parametrize(
        ("model", "client", "protocol"),
        [
            ("anthropic--claude-4.5-sonnet", "openai-chat", ClaudeConverseProtocol),
            ("anthropic--claude-4.5-sonnet", "anthropic-messages", ClaudeInvokeProtocol),
            ("anthropic--claude-3.5-sonnet", "openai-chat", ClaudeInvokeProtocol),
            ("gemini-2.5-pro", "anthropic-messages", GeminiGenerateProtocol),
            ("gpt-5", "openai-chat", OpenAIChatProtocol),
            ("gpt-5", "openai-responses", OpenAIResponsesProtocol),
        ],
    )
    def test_model_and_client_decide(self, router_of, model, client, protocol):
        attempts = router_of(pool_at("eu/d1", model=model)).attempts(model, client=client)

        assert isinstance(next(attempts).protocol, protocol)

    def test_an_openai_client_is_meant_when_nothing_is_said(self, router_of):
        attempts = router_of(pool_at("eu/d1")).attempts("gpt-5")

        assert isinstance(next(attempts).protocol, OpenAIChatProtocol)

    def test_tools_with_reasoning_may_need_another(self, router_of):
        router = router_of(pool_at("eu/d1", model="gpt-5.4"))

        assert isinstance(next(router.attempts("gpt-5.4", tools_with_reasoning=True)).protocol, OpenAIResponsesProtocol)
        assert isinstance(next(router.attempts("gpt-5.4")).protocol, OpenAIChatProtocol)

    def test_the_deployed_model_decides_not_the_name_the_client_used(self, router_of):
        router = router_of(pool_at("eu/d1", model="anthropic--claude-3.7-sonnet"))

        assert isinstance(next(router.attempts("claude-3-opus")).protocol, ClaudeConverseProtocol)

    @pytest.mark.parametrize(
        ("name", "runs", "client", "protocol"),
        [
            ("4.5-sonnet", "", "openai-chat", ClaudeConverseProtocol),
            ("3.5-sonnet", "", "openai-chat", ClaudeInvokeProtocol),
            ("my-gemini", "", "openai-chat", GeminiGenerateProtocol),
            ("my-claude", "anthropic--claude-3.5-sonnet", "openai-chat", ClaudeInvokeProtocol),
            ("my-claude", "gemini-2.5-pro", "openai-chat", GeminiGenerateProtocol),
            ("house-model", "gpt-5", "openai-responses", OpenAIResponsesProtocol),
        ],
    )
    def test_what_a_deployment_runs_decides_or_else_the_family_of_its_name(
        self, router_of, name, runs, client, protocol
    ):
        router = router_of({name: [endpoint("eu", "d1", name, runs=runs)]})
        route = router.route({"model": name, "messages": [{"role": "user", "content": "Hello"}]})

        assert isinstance(next(router.attempts(name, client=client)).protocol, protocol)
        assert isinstance(route.protocol, type(router.protocol(runs or name, "openai-chat")))
        assert route.endpoint_url.startswith(endpoint("eu", "d1", name).url)

    def test_each_endpoint_of_a_model_is_asked_as_what_it_runs(self, router_of):
        pool = [endpoint("eu", f"d{number}", "m", runs=runs) for number, runs in enumerate(("gpt-5", "gemini-2.5-pro"))]
        router = router_of({"m": pool})
        leased = [next(router.attempts("m")) for _ in pool]

        assert {attempt.protocol.name for attempt in leased} == {"openai-chat", "gemini-generate"}
        assert all((attempt.endpoint.runs == "gpt-5") is (attempt.protocol.name == "openai-chat") for attempt in leased)

    def test_an_endpoint_that_cannot_be_asked_is_given_back(self, router_of):
        pool = [endpoint("eu", "d1", "m", runs="gpt-5"), endpoint("eu", "d2", "m", runs="text-embedding-3-small")]
        router = router_of({"m": pool})
        first, second = router.attempts("m"), router.attempts("m")
        next(first).lease.close()
        with pytest.raises(FaultError, match="is an embedding model"):
            next(second)

        assert nothing_in_flight(router)

    def test_a_pattern_is_held_against_the_deployed_name_first(self, router_of):
        router = router_of({"house-model": [endpoint("eu", "d1", "house-model", runs="gpt-5")]})
        gemini, converse = GeminiGenerateProtocol(), ClaudeConverseProtocol()
        router.register_converter("gpt-*", converse)
        by_what_runs = next(router.attempts("house-model")).protocol
        router.register_converter("house-*", gemini)
        router.register_converter("gpt-*", converse)

        assert (converse, gemini) == (by_what_runs, next(router.attempts("house-model")).protocol)

    def test_a_registered_pattern_comes_before_the_rules(self, router_of):
        router = router_of(pool_at("eu/d1", model="Future-Model-9"))
        gemini, converse = GeminiGenerateProtocol(), ClaudeConverseProtocol()
        assert isinstance(router.protocol("Future-Model-9", "openai-chat"), OpenAIChatProtocol)
        router.register_converter("FUTURE-model-*", gemini)

        assert next(router.attempts("Future-Model-9")).protocol is gemini
        assert isinstance(router.protocol("another-model", "openai-chat"), OpenAIChatProtocol)
        router.register_converter("future-*-9", converse)
        assert router.protocol("future-model-9", "openai-chat") is converse
        assert router.protocol("future-model-8", "openai-chat") is gemini

    def test_a_name_that_is_registered_counts_from_when_it_is_deployed(self, router_of):
        pool = [endpoint("eu", "d1", "gpt-5"), endpoint("eu", "d2", "gpt-4.1")]
        router = router_of({"gpt-5": pool[:1]}, Policy(aliases={"house": "gpt-4.1"}))
        router.register_converter("house", GeminiGenerateProtocol())
        before = router.protocol("gpt-4.1", "openai-chat")
        router.balancer.replace_pools({"gpt-5": pool[:1], "gpt-4.1": pool[1:]})

        assert isinstance(before, OpenAIChatProtocol)
        assert isinstance(next(router.attempts("gpt-4.1")).protocol, GeminiGenerateProtocol)
        assert isinstance(router.protocol("gpt-4.1", "openai-chat"), GeminiGenerateProtocol)

    def test_the_table_of_protocols_is_an_argument(self, router_of):
        router = router_of(pool_at("eu/d1"), protocols=[GeminiGenerateProtocol()])
        with pytest.raises(FaultError):
            router.attempts("gpt-5")

    def test_the_affinity_key_reaches_the_strategy(self, router_of):
        class Keyed(LoadBalancingStrategy):
            def select_endpoint(self, candidates: list[Candidate], context: SelectionContext) -> Endpoint:
                return next(row.endpoint for row in candidates if row.endpoint.subaccount == context.affinity_key)

            def get_name(self) -> str:
                return "keyed"

        router = router_of(pool_at("eu/d1", "us/d7"))
        router.balancer.use(Keyed())

        assert place(next(router.attempts("gpt-5", context=SelectionContext("us")))) == "us/d7"


CONVERSE_BODY = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


class TestRoute:
    def test_it_gives_exactly_four_things(self, router_of):
        route = router_of(pool_at("eu/d1")).route({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]})

        assert route._fields == ("endpoint_url", "payload", "subaccount_name", "protocol")
        assert route.endpoint_url == f"{EU1.url}/chat/completions?api-version=2024-12-01-preview"
        assert route.payload["messages"] == [{"role": "user", "content": "hi"}]
        assert route.subaccount_name == "eu"
        assert isinstance(route.protocol, OpenAIChatProtocol)

    @pytest.mark.parametrize(
        ("said", "argument", "path"),
        [
            (None, None, "/converse"),
            (False, None, "/converse"),
            (True, None, "/converse-stream"),
            (None, True, "/converse-stream"),
            (True, False, "/converse"),
            (False, True, "/converse-stream"),
        ],
    )
    def test_it_streams_if_the_argument_or_else_the_payload_says_so(self, router_of, said, argument, path):
        payload = {"messages": [{"role": "user", "content": "hi"}], **({} if said is None else {"stream": said})}
        route = router_of(pool_at("eu/d1", model="anthropic--claude-4-sonnet")).route(
            payload, "anthropic--claude-4-sonnet", argument
        )

        assert route.endpoint_url == EU1.url + path
        assert route.payload["messages"] == CONVERSE_BODY["messages"]

    def test_what_the_argument_says_stands_in_the_body_too(self, router_of):
        payload = {"model": "gpt-5", "stream": False, "messages": [{"role": "user", "content": "hi"}]}

        assert router_of(pool_at("eu/d1")).route(payload, stream=True).payload["stream"] is True

    def test_the_payload_is_not_changed(self, router_of):
        payload = {
            "model": "gpt-5-latest",
            "temperature": 1,
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            ],
        }
        before = copy.deepcopy(payload)
        router_of(pool_at("eu/d1")).route(payload, stream=True)

        assert payload == before

    def test_the_converter_gets_a_copy_of_its_own(self, router_of):
        class Vandal(OpenAIChatProtocol):
            def get_request_converter(self):
                def convert(payload):
                    payload["messages"].clear()
                    return payload

                return convert

        router = router_of(pool_at("eu/d1"))
        router.register_converter("*", Vandal())
        payload = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}

        assert router.route(payload).payload == {"model": "gpt-5", "messages": []}
        assert payload["messages"] == [{"role": "user", "content": "hi"}]

    def test_the_argument_names_the_model_and_the_deployed_one_is_converted_for(self, router_of):
        router = router_of(pool_at("eu/d1", model="anthropic--claude-4-sonnet"))
        route = router.route({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}, "claude-sonnet-4")

        assert isinstance(route.protocol, ClaudeConverseProtocol)

    def test_the_body_is_what_the_deployed_model_takes(self, router_of):
        payload = {"model": "fast", "max_tokens": 700, "messages": [{"role": "user", "content": "hi"}]}
        route = router_of(pool_at("eu/d1"), Policy(aliases={"fast": "gpt-5"})).route(payload)

        assert route.payload["max_completion_tokens"] == 700

    @pytest.mark.parametrize("payload", [{}, {"model": None}, {"model": "mistral-tiny"}])
    def test_a_model_of_no_family_is_not_silently_another(self, router_of, payload):
        with pytest.raises(NoEndpointError):
            router_of(pool_at("eu/d1", model="gpt-4.1")).route(payload)

    def test_turns_are_taken_and_nothing_stays_in_flight(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"))
        payload = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}

        assert [router.route(payload).subaccount_name for _ in range(4)] == ["eu", "us", "eu", "us"]
        assert nothing_in_flight(router)

    def test_the_decision_is_one_line_in_the_log_without_the_prompt(self, router_of, caplog):
        router = router_of(pool_at("eu/d1"))
        with caplog.at_level(logging.INFO, "routing"):
            router.route({"model": "gpt-5-latest", "messages": [{"role": "user", "content": "secret"}]})

        assert caplog.messages == ["route: 'gpt-5-latest' is gpt-5 by openai-chat, at eu/d1"]

    def test_an_attempt_is_logged_for_who_wants_to_know(self, router_of, caplog):
        with caplog.at_level(logging.DEBUG, "routing.attempts"):
            next(router_of(pool_at("eu/d1")).attempts("gpt-5"))

        assert caplog.messages == ["attempt 1: gpt-5 by openai-chat, at eu/d1"]


def test_policy_aliases_and_retries_are_the_balancers():
    policy = Policy(aliases={"fast": "gpt-5"}, retry=RetryPolicy(max_attempts=1), models={"fast": ModelPolicy(total=9)})
    balancer = LoadBalancer(pool_at("eu/d1", "us/d7"), policy=policy)
    router = RequestRouter(balancer)

    assert ((attempts := router.attempts("fast")).resolution.how, len(all_fail(attempts, OVERLOADED))) == (How.ALIAS, 1)
    assert balancer.policy.timeouts_for("gpt-5").total == 9
    assert RequestRouter(balancer, policy=policy).balancer is balancer


@pytest.mark.parametrize("other", [Policy(), Policy(aliases={"fast": "gpt-5"})])
def test_a_second_policy_is_refused(other):
    balancer = LoadBalancer(pool_at("eu/d1"), policy=Policy(retry=RetryPolicy(max_attempts=1)))
    with pytest.raises(ValueError, match=r"^policy must be the balancer's: give it to the LoadBalancer alone$"):
        RequestRouter(balancer, policy=other)


def test_a_router_needs_nothing_but_a_balancer():
    router = RequestRouter(LoadBalancer(pool_at("eu/d1", "us/d7")))
    attempts = router.attempts("gpt-5")
    next(attempts).failed(OVERLOADED)

    assert place(next(attempts)) == "us/d7"
