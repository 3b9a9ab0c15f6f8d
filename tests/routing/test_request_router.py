import copy
import dataclasses
import logging
from collections.abc import Callable

import pytest

from dialects.faults import Fault, FaultError, FaultKind, Quota
from routing.load_balancer import LoadBalancer, NoEndpointError
from routing.names import How, ModelNames, Resolution
from routing.policy import BreakerPolicy, CoolingPolicy, ModelPolicy, Policy, RetryPolicy, Timeouts
from routing.protocols import (
    ClaudeConverseProtocol,
    ClaudeInvokeProtocol,
    GeminiGenerateProtocol,
    OpenAIChatProtocol,
    OpenAIResponsesProtocol,
)
from routing.request_router import Attempt, Attempts, RequestRouter, Trail, TrailEntry
from routing.strategy import Candidate, Endpoint, LoadBalancingStrategy, SelectionContext
from routing.verdicts import VERDICTS

BUSY = Fault(FaultKind.OVERLOADED, "busy", 503)
QUOTA = Fault(FaultKind.RATE_LIMITED, "too many", 429, quota=Quota.MODEL)
THROTTLED = Fault(FaultKind.RATE_LIMITED, "too many", 429, quota=Quota.ENDPOINT)
WRONG = Fault(FaultKind.INVALID_REQUEST, "wrong", 400)
NO_REST = CoolingPolicy(floor=0, jitter=0)
"""A cooling lasts exactly as long as its hint."""


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def at(place: str, model: str = "gpt-5") -> Endpoint:
    subaccount, deployment = place.split("/")
    return Endpoint(subaccount, f"https://{subaccount}.example/v2/inference/deployments/{deployment}", model)


def pool(*places: str, model: str = "gpt-5") -> dict[str, list[Endpoint]]:
    return {model: [at(place, model) for place in places]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(clock) -> Callable[..., RequestRouter]:
    def make(pools, policy: Policy | None = None, chance: float = 0.5, **more) -> RequestRouter:
        policy = policy or Policy()
        balancer = LoadBalancer(pools, policy=policy, clock=clock)
        return RequestRouter(balancer, policy=policy, clock=clock, rng=lambda: chance, sleep=clock.sleep, **more)

    return make


def place(attempt: Attempt) -> str:
    return f"{attempt.endpoint.subaccount}/{attempt.endpoint.deployment}"


def all_fail(attempts: Attempts, *faults: Fault) -> list[str]:
    """Let every attempt fail, the last fault again and again, and name where they went."""
    script = iter(faults)
    fault, went = faults[0], []
    for attempt in attempts:
        fault = next(script, fault)
        attempt.failed(fault)
        went.append(place(attempt))
    return went


def nothing_in_flight(router: RequestRouter) -> bool:
    return not any(router.balancer.in_flight().values())


class TestOneAttemptAfterAnother:
    def test_the_first_that_answers_is_the_last(self, make):
        attempts = make(pool("eu/d1", "us/d7")).attempts("gpt-5")
        went = []
        for attempt in attempts:
            attempt.answered()
            attempt.lease.close()
            went.append((attempt.number, place(attempt), attempt.fault))

        assert went == [(1, "eu/d1", None)]
        assert attempts.fault is None
        assert str(attempts.trail) == "eu/d1 ok"

    def test_the_next_goes_elsewhere_at_once(self, make, clock):
        attempts = make(pool("eu/d1", "us/d7")).attempts("gpt-5")
        first = next(attempts)
        first.failed(BUSY)
        second = next(attempts)
        second.answered()

        assert [(first.number, place(first)), (second.number, place(second))] == [(1, "eu/d1"), (2, "us/d7")]
        assert str(attempts.trail) == "eu/d1 503 → us/d7 ok"
        assert clock.slept == []
        with pytest.raises(StopIteration):
            next(attempts)

    def test_no_endpoint_is_tried_twice_while_there_is_another(self, make):
        policy = Policy(retry=RetryPolicy(max_attempts=5))
        went = all_fail(make(pool("eu/d1", "eu/d2", "us/d3", "us/d4", "us/d5"), policy).attempts("gpt-5"), BUSY)

        assert sorted(went) == ["eu/d1", "eu/d2", "us/d3", "us/d4", "us/d5"]

    def test_there_are_three_attempts_at_most(self, make, clock):
        router = make(pool("eu/d1", "eu/d2", "us/d3", "us/d4"))
        attempts = router.attempts("gpt-5")

        assert len(all_fail(attempts, BUSY)) == 3
        assert attempts.fault == BUSY
        assert clock.slept == []
        assert nothing_in_flight(router)

    def test_the_last_fault_is_what_is_left(self, make):
        attempts = make(pool("eu/d1", "us/d7", "ap/d9")).attempts("gpt-5")
        last = Fault(FaultKind.SERVER_ERROR, "boom", 500)

        all_fail(attempts, BUSY, BUSY, last)

        assert attempts.fault is last

    @pytest.mark.parametrize("kind", FaultKind)
    def test_only_what_may_go_better_elsewhere_is_tried_elsewhere(self, make, kind):
        attempts = make(pool("eu/d1", "us/d7")).attempts("gpt-5")
        next(attempts).failed(Fault(kind, "x", quota=Quota.ENDPOINT))

        assert len(list(attempts)) == VERDICTS[kind].try_elsewhere

    def test_a_callers_mistake_costs_one_call(self, make):
        attempts = make(pool("eu/d1", "us/d7")).attempts("gpt-5")

        assert all_fail(attempts, WRONG) == ["eu/d1"]
        assert attempts.fault is WRONG

    def test_an_attempt_that_nothing_was_said_of_is_the_last(self, make):
        attempts = make(pool("eu/d1", "us/d7")).attempts("gpt-5")
        next(attempts)

        assert list(attempts) == []
        assert str(attempts.trail) == "eu/d1 open"

    def test_without_retries_there_is_one(self, make):
        assert len(all_fail(make(pool("eu/d1", "us/d7")).attempts("gpt-5", retry=False), BUSY)) == 1

    def test_what_is_over_stays_over(self, make):
        attempts = make(pool("eu/d1", "us/d7")).attempts("gpt-5")
        first = next(attempts)
        assert list(attempts) == []
        first.failed(BUSY)

        assert list(attempts) == []

    def test_a_probe_is_taken_only_by_a_request_that_can_still_fail_over(self, make, monkeypatch):
        router = make(pool("eu/d1", "us/d7", "ap/d9"))
        acquire, asked = router.balancer.acquire, []
        monkeypatch.setattr(
            router.balancer, "acquire", lambda *a, **k: asked.append(k["can_fail_over"]) or acquire(*a, **k)
        )
        all_fail(router.attempts("gpt-5"), BUSY)
        all_fail(router.attempts("gpt-5", retry=False), BUSY)

        assert asked == [True, True, False, False]


class TestQuotas:
    def test_after_a_429_of_ai_core_the_whole_domain_is_left_alone(self, make, clock):
        router = make(pool("eu/d1", "eu/d2", "us/d7"), Policy(cooling=NO_REST))
        went = all_fail(router.attempts("gpt-5"), dataclasses.replace(QUOTA, retry_after=0), BUSY)

        assert went[:2] == ["eu/d1", "us/d7"]
        assert clock.slept == [0.125]

    def test_after_a_429_of_the_provider_only_the_endpoint_is(self, make, clock):
        router = make(pool("eu/d1", "eu/d2"), Policy(cooling=NO_REST, retry=RetryPolicy(max_attempts=2)))
        fault = dataclasses.replace(THROTTLED, retry_after=0)

        assert all_fail(router.attempts("gpt-5"), fault) == ["eu/d1", "eu/d2"]
        assert clock.slept == []

    def test_another_fault_does_not_spend_the_domain(self, make, clock):
        fault = dataclasses.replace(BUSY, quota=Quota.MODEL)
        router = make(pool("eu/d1", "eu/d2"), Policy(retry=RetryPolicy(max_attempts=2)))

        assert all_fail(router.attempts("gpt-5"), fault) == ["eu/d1", "eu/d2"]
        assert clock.slept == []

    def test_after_the_pause_a_domain_may_be_asked_again(self, make):
        router = make(pool("eu/d1"), Policy(cooling=NO_REST))

        assert all_fail(router.attempts("gpt-5"), dataclasses.replace(QUOTA, retry_after=0)) == ["eu/d1"] * 3


class TestNoElsewhere:
    @pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
    def test_the_same_endpoints_are_tried_again_after_a_pause_of_full_jitter(self, make, clock, chance):
        policy = Policy(retry=RetryPolicy(max_attempts=5, backoff_cap=1.0))
        went = all_fail(make(pool("eu/d1"), policy, chance).attempts("gpt-5"), BUSY)

        assert went == ["eu/d1"] * 5
        assert clock.slept == [0.25 * chance, 0.5 * chance, 1.0 * chance, 1.0 * chance]

    def test_pauses_and_new_rounds_alternate(self, make, clock):
        policy = Policy(retry=RetryPolicy(max_attempts=5))
        went = all_fail(make(pool("eu/d1", "us/d7"), policy).attempts("gpt-5"), BUSY)

        assert sorted(went[:2]) == sorted(went[2:4]) == ["eu/d1", "us/d7"]
        assert clock.slept == [0.125, 0.25]

    def test_a_hint_is_waited_for(self, make, clock):
        fault = dataclasses.replace(BUSY, retry_after=10.0)
        policy = Policy(cooling=NO_REST, retry=RetryPolicy(max_attempts=2))

        assert all_fail(make(pool("eu/d1"), policy).attempts("gpt-5"), fault) == ["eu/d1", "eu/d1"]
        assert clock.slept == [10.0]

    def test_a_hint_that_is_too_long_is_passed_on(self, make, clock):
        fault = dataclasses.replace(BUSY, retry_after=10.5)
        attempts = make(pool("eu/d1"), Policy(cooling=NO_REST)).attempts("gpt-5")

        assert all_fail(attempts, fault) == ["eu/d1"]
        assert clock.slept == []
        assert attempts.fault is fault

    def test_the_jitter_on_a_cooling_is_waited_for_too(self, make, clock):
        fault = dataclasses.replace(THROTTLED, retry_after=4.0)
        policy = Policy(cooling=CoolingPolicy(jitter=0.1), retry=RetryPolicy(max_attempts=2))

        assert all_fail(make(pool("eu/d1"), policy).attempts("gpt-5"), fault) == ["eu/d1", "eu/d1"]
        assert len(clock.slept) == 1
        assert 4.0 < clock.slept[0] <= 4.4

    def test_so_is_the_jitter_on_the_longest_hint_that_is_waited_for(self, make, clock):
        fault = dataclasses.replace(THROTTLED, retry_after=10.0)
        policy = Policy(cooling=CoolingPolicy(jitter=0.1), retry=RetryPolicy(max_attempts=2))

        assert all_fail(make(pool("eu/d1"), policy).attempts("gpt-5"), fault) == ["eu/d1", "eu/d1"]
        assert 10.0 < clock.slept[0] <= 11.0

    @pytest.mark.parametrize("short", [0.75, 1.5])
    def test_a_short_cooling_without_a_hint_is_waited_for(self, make, clock, short):
        policy = Policy(cooling=dataclasses.replace(NO_REST, base=short), retry=RetryPolicy(max_attempts=2))

        assert all_fail(make(pool("eu/d1"), policy).attempts("gpt-5"), THROTTLED) == ["eu/d1", "eu/d1"]
        assert clock.slept == [short]

    def test_a_request_that_says_nothing_of_itself_has_no_home(self, make):
        router = make(pool("eu/d1", "us/d7"), Policy(strategy="cache-affinity"))

        assert {place(next(router.attempts("gpt-5"))) for _ in range(2)} == {"eu/d1", "us/d7"}

    def test_open_circuits_are_no_obstacle_where_all_are_open(self, make, clock):
        policy = Policy(breaker=BreakerPolicy(failure_threshold=1))
        went = all_fail(make(pool("eu/d1", "us/d7"), policy).attempts("gpt-5"), BUSY)

        assert went == ["eu/d1", "us/d7", "eu/d1"]
        assert clock.slept == [0.125]

    @pytest.mark.parametrize(
        "fault",
        [
            QUOTA,
            THROTTLED,
            Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401),
            Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401, retry_after=1),
            Fault(FaultKind.GONE, "gone", 404),
        ],
    )
    def test_nobody_waits_for_a_long_cooling(self, make, clock, fault):
        attempts = make(pool("eu/d1", "eu/d2")).attempts("gpt-5")
        all_fail(attempts, fault)

        assert attempts.fault is fault
        assert clock.slept == []


class TestAllCooling:
    def cooled(self, make, seconds: float, **more) -> RequestRouter:
        """Build a router whose one endpoint cools for so many seconds."""
        router = make(pool("eu/d1"), Policy(cooling=NO_REST), **more)
        next(router.attempts("gpt-5", retry=False)).failed(dataclasses.replace(THROTTLED, retry_after=seconds))
        return router

    def test_what_ends_soon_is_waited_for_once_with_jitter(self, make, clock):
        router = self.cooled(make, 2.0)
        router._means = dataclasses.replace(
            router._means, policy=Policy(cooling=dataclasses.replace(NO_REST, jitter=0.1))
        )

        assert place(next(router.attempts("gpt-5"))) == "eu/d1"
        assert clock.slept == [pytest.approx(2.0 * 1.05)]

    def test_what_ends_later_is_a_429_that_says_when(self, make, clock):
        router = self.cooled(make, 2.1)
        with pytest.raises(NoEndpointError) as caught:
            next(router.attempts("gpt-5"))

        assert caught.value.fault.kind is FaultKind.RATE_LIMITED
        assert caught.value.fault.retry_after == pytest.approx(2.1)
        assert clock.slept == []

    def test_nobody_waits_twice(self, make, clock):
        router = self.cooled(make, 2.0)
        attempts = router.attempts("gpt-5")
        others = router.attempts("gpt-5", retry=False)

        def meanwhile(seconds: float) -> None:
            clock.sleep(seconds)
            if len(clock.slept) == 1:
                next(others).failed(dataclasses.replace(THROTTLED, retry_after=1.0))

        router._means = dataclasses.replace(router._means, sleep=meanwhile)
        attempts = router.attempts("gpt-5")
        with pytest.raises(NoEndpointError):
            next(attempts)

        assert clock.slept == [2.0]
        assert list(attempts) == []

    def test_the_faults_of_earlier_attempts_come_before_a_want_of_endpoints(self, make):
        router = make(pool("eu/d1", "us/d7"), Policy(cooling=NO_REST))
        next(router.attempts("gpt-5", retry=False)).failed(dataclasses.replace(THROTTLED, retry_after=60))
        attempts = router.attempts("gpt-5")
        fault = dataclasses.replace(THROTTLED, retry_after=20)

        assert all_fail(attempts, fault) == ["us/d7"]
        assert attempts.fault is fault


class TestTheDeadline:
    def test_no_attempt_begins_after_it(self, make, clock):
        router = make(pool("eu/d1", "us/d7"), Policy(timeouts=Timeouts(total=30)))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        clock.now += 30
        first.failed(BUSY)

        assert list(attempts) == []
        assert attempts.fault is BUSY

    def test_an_attempt_may_begin_just_before_it(self, make, clock):
        router = make(pool("eu/d1", "us/d7"), Policy(timeouts=Timeouts(total=30)))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        clock.now += 29.9
        first.failed(BUSY)

        assert place(next(attempts)) == "us/d7"

    def test_nobody_sleeps_past_it(self, make, clock):
        policy = Policy(cooling=NO_REST, timeouts=Timeouts(total=5))
        attempts = make(pool("eu/d1"), policy).attempts("gpt-5")

        assert all_fail(attempts, dataclasses.replace(BUSY, retry_after=5)) == ["eu/d1"]
        assert clock.slept == []

    def test_a_model_may_have_its_own(self, make, clock):
        router = make(pool("eu/d1", "us/d7"), Policy(models={"gpt-5": ModelPolicy(total=10)}))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        clock.now += 11
        first.failed(BUSY)

        assert list(attempts) == []


class TestTheBudget:
    def test_an_outage_is_not_amplified(self, make):
        policy = Policy(retry=RetryPolicy(budget_reserve=3, budget_ratio=0.2))
        router = make(pool("eu/d1", "us/d7", "ap/d9"), policy)
        calls = sum(len(all_fail(router.attempts("gpt-5"), BUSY)) for _ in range(20))

        assert calls == 20 + 3 + 4

    def test_an_empty_budget_gives_the_real_fault(self, make):
        router = make(pool("eu/d1", "us/d7"), Policy(retry=RetryPolicy(budget_reserve=0)))
        attempts = router.attempts("gpt-5")

        assert all_fail(attempts, BUSY) == ["eu/d1"]
        assert attempts.fault is BUSY

    def test_a_callers_mistake_takes_nothing_from_it(self, make):
        router = make(pool("eu/d1", "us/d7"), Policy(retry=RetryPolicy(budget_reserve=1, budget_ratio=0)))
        all_fail(router.attempts("gpt-5"), WRONG)

        assert len(all_fail(router.attempts("gpt-5"), BUSY)) == 2


class TestPinned:
    @pytest.mark.parametrize("pinned", ["d7", "us/d7"])
    def test_what_continues_a_response_goes_where_that_was_made(self, make, clock, pinned):
        router = make(pool("eu/d1", "us/d7", "us/d8"))
        for _ in range(5):
            assert all_fail(router.attempts("gpt-5", pinned=pinned, retry=False), WRONG) == ["us/d7"]
        assert all_fail(router.attempts("gpt-5", pinned=pinned), BUSY) == ["us/d7"] * 3
        assert len(clock.slept) == 2

    def test_it_does_not_wait_for_an_endpoint_where_it_must_not_go(self, make, clock):
        router = make(pool("eu/d1", "us/d7"))

        assert all_fail(router.attempts("gpt-5", pinned="d7"), THROTTLED) == ["us/d7"]
        assert clock.slept == []

    @pytest.mark.parametrize("pinned", ["d9", "eu/d7", "d"])
    def test_a_deployment_that_is_gone_continues_nothing(self, make, pinned):
        with pytest.raises(NoEndpointError) as caught:
            make(pool("eu/d1", "us/d7")).attempts("gpt-5", pinned=pinned)

        fault = caught.value.fault
        assert (fault.kind, fault.status, fault.param) == (FaultKind.NOT_FOUND, 404, "previous_response_id")
        assert fault.message == "What this request continues was made by a deployment that is not there any more."


class TestOwnership:
    def test_closing_gives_back_a_lease_that_nothing_became_of(self, make):
        router = make(pool("eu/d1"))
        with router.attempts("gpt-5") as attempts:
            next(attempts)
            assert not nothing_in_flight(router)

        assert nothing_in_flight(router)
        assert list(attempts) == []

    def test_closing_leaves_an_answer_to_its_owner(self, make):
        router = make(pool("eu/d1"))
        with router.attempts("gpt-5") as attempts:
            attempt = next(attempts)
            attempt.answered()

        assert not nothing_in_flight(router)
        attempt.lease.close()
        assert nothing_in_flight(router)

    def test_closing_before_the_first_attempt_makes_none(self, make):
        router = make(pool("eu/d1"))
        attempts = router.attempts("gpt-5")
        attempts.close()
        attempts.close()

        assert list(attempts) == []
        assert attempts.trail == ()
        assert nothing_in_flight(router)


class TestTheTrail:
    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [
            (BUSY, "503"),
            (Fault(FaultKind.SERVER_ERROR, "x", 400), "400"),
            (Fault(FaultKind.TIMEOUT, "x"), "timeout"),
            (Fault(FaultKind.STREAM_BROKEN, "x", 200), "stream_broken"),
        ],
    )
    def test_it_tells_what_became_of_each_attempt(self, make, fault, outcome):
        attempts = make(pool("eu/d1")).attempts("gpt-5")
        next(attempts).failed(fault)

        assert attempts.trail == (TrailEntry("eu", "d1", outcome),)
        assert isinstance(attempts.trail, Trail)

    def test_a_stream_that_broke_after_it_answered_did_not_end_well(self, make):
        attempts = make(pool("eu/d1")).attempts("gpt-5")
        attempt = next(attempts)
        attempt.answered()
        attempt.failed(Fault(FaultKind.STREAM_BROKEN, "cut"))

        assert str(attempts.trail) == "eu/d1 stream_broken"

    def test_without_attempts_it_is_empty(self):
        assert str(Trail()) == ""


class TestNames:
    def test_a_name_is_resolved_once_and_says_how(self, make):
        attempts = make(pool("eu/d1")).attempts("gpt-5-2025-08-07")

        assert attempts.resolution == Resolution("gpt-5", "gpt-5-2025-08-07", How.NORMALISED)
        assert next(attempts).endpoint == at("eu/d1")

    def test_aliases_and_fallbacks_are_the_policys(self, make):
        router = make(pool("eu/d1"), Policy(aliases={"fast": "gpt-5"}, fallbacks={"gemini": ("gpt-5",)}))

        assert router.attempts("fast").resolution.how is How.ALIAS
        assert router.attempts("gemini-2.5-pro").resolution.how is How.FALLBACK

    def test_fallbacks_can_be_switched_off(self, make):
        with pytest.raises(NoEndpointError):
            make(pool("eu/d1", model="gpt-4.1"), Policy(fallback=False)).attempts("gpt-3")

    def test_names_may_be_given_ready_made(self, make):
        router = make(pool("eu/d1"), names=ModelNames([], {"fast": "gpt-5"}))

        assert router.attempts("fast").resolution.model == "gpt-5"

    def test_what_is_deployed_later_is_found(self, make):
        router = make(pool("eu/d1"))
        assert router.names is router.names
        router.balancer.replace_pools(pool("eu/d2", model="gpt-9"))

        assert router.attempts("gpt-9").resolution.how is How.EXACT
        with pytest.raises(NoEndpointError):
            router.attempts("gpt-5")

    def test_a_model_without_endpoints_is_not_deployed(self, make):
        router = make({"gpt-5": [], **pool("eu/d1", model="gpt-4.1")})

        assert router.attempts("gpt-5").resolution == Resolution("gpt-4.1", "gpt-5", How.FALLBACK)

    def test_an_unknown_model_is_refused_before_any_attempt(self, make):
        with pytest.raises(NoEndpointError) as caught:
            make(pool("eu/d1")).attempts("mistral-tiny")

        assert caught.value.fault.kind is FaultKind.NOT_FOUND


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
    def test_model_and_client_decide(self, make, model, client, protocol):
        attempts = make(pool("eu/d1", model=model)).attempts(model, client=client)

        assert isinstance(next(attempts).protocol, protocol)

    def test_an_openai_client_is_meant_when_nothing_is_said(self, make):
        attempts = make(pool("eu/d1")).attempts("gpt-5")

        assert isinstance(next(attempts).protocol, OpenAIChatProtocol)

    def test_tools_with_reasoning_may_need_another(self, make):
        router = make(pool("eu/d1", model="gpt-5.4"))

        assert isinstance(next(router.attempts("gpt-5.4", tools_with_reasoning=True)).protocol, OpenAIResponsesProtocol)
        assert isinstance(next(router.attempts("gpt-5.4")).protocol, OpenAIChatProtocol)

    def test_the_deployed_model_decides_not_the_name_the_client_used(self, make):
        router = make(pool("eu/d1", model="anthropic--claude-3.7-sonnet"))

        assert isinstance(next(router.attempts("claude-3-opus")).protocol, ClaudeConverseProtocol)

    def test_a_registered_pattern_comes_before_the_rules(self, make):
        router = make(pool("eu/d1", model="Future-Model-9"))
        gemini, converse = GeminiGenerateProtocol(), ClaudeConverseProtocol()
        assert isinstance(router.protocol("Future-Model-9", "openai-chat"), OpenAIChatProtocol)
        router.register_converter("FUTURE-model-*", gemini)

        assert next(router.attempts("Future-Model-9")).protocol is gemini
        assert isinstance(router.protocol("another-model", "openai-chat"), OpenAIChatProtocol)
        router.register_converter("future-*-9", converse)
        assert router.protocol("future-model-9", "openai-chat") is converse
        assert router.protocol("future-model-8", "openai-chat") is gemini

    def test_the_table_of_protocols_is_an_argument(self, make):
        router = make(pool("eu/d1"), protocols=[GeminiGenerateProtocol()])
        with pytest.raises(FaultError):
            router.attempts("gpt-5")

    def test_the_affinity_key_reaches_the_strategy(self, make):
        class Keyed(LoadBalancingStrategy):
            def select_endpoint(self, candidates: list[Candidate], context: SelectionContext) -> Endpoint:
                return next(row.endpoint for row in candidates if row.endpoint.subaccount == context.affinity_key)

            def get_name(self) -> str:
                return "keyed"

        router = make(pool("eu/d1", "us/d7"))
        router.balancer.use(Keyed())

        assert place(next(router.attempts("gpt-5", affinity_key="us"))) == "us/d7"


CONVERSE_BODY = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


class TestRoute:
    def test_it_gives_exactly_four_things(self, make):
        route = make(pool("eu/d1")).route({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]})

        assert route._fields == ("endpoint_url", "payload", "subaccount_name", "protocol")
        assert route.endpoint_url == f"{at('eu/d1').url}/chat/completions?api-version=2024-12-01-preview"
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
    def test_it_streams_if_the_argument_or_else_the_payload_says_so(self, make, said, argument, path):
        payload = {"messages": [{"role": "user", "content": "hi"}], **({} if said is None else {"stream": said})}
        route = make(pool("eu/d1", model="anthropic--claude-4-sonnet")).route(
            payload, "anthropic--claude-4-sonnet", argument
        )

        assert route.endpoint_url == at("eu/d1").url + path
        assert route.payload["messages"] == CONVERSE_BODY["messages"]

    def test_what_the_argument_says_stands_in_the_body_too(self, make):
        payload = {"model": "gpt-5", "stream": False, "messages": [{"role": "user", "content": "hi"}]}

        assert make(pool("eu/d1")).route(payload, stream=True).payload["stream"] is True

    def test_the_payload_is_not_changed(self, make):
        payload = {
            "model": "gpt-5-latest",
            "temperature": 1,
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            ],
        }
        before = copy.deepcopy(payload)
        make(pool("eu/d1")).route(payload, stream=True)

        assert payload == before

    def test_the_converter_gets_a_copy_of_its_own(self, make):
        class Vandal(OpenAIChatProtocol):
            def get_request_converter(self):
                def convert(payload):
                    payload["messages"].clear()
                    return payload

                return convert

        router = make(pool("eu/d1"))
        router.register_converter("*", Vandal())
        payload = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}

        assert router.route(payload).payload == {"model": "gpt-5", "messages": []}
        assert payload["messages"] == [{"role": "user", "content": "hi"}]

    def test_the_argument_names_the_model_and_the_deployed_one_is_converted_for(self, make):
        router = make(pool("eu/d1", model="anthropic--claude-4-sonnet"))
        route = router.route({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}, "claude-sonnet-4")

        assert isinstance(route.protocol, ClaudeConverseProtocol)

    def test_the_body_is_what_the_deployed_model_takes(self, make):
        payload = {"model": "fast", "max_tokens": 700, "messages": [{"role": "user", "content": "hi"}]}
        route = make(pool("eu/d1"), Policy(aliases={"fast": "gpt-5"})).route(payload)

        assert route.payload["max_completion_tokens"] == 700

    @pytest.mark.parametrize("payload", [{}, {"model": None}, {"model": "mistral-tiny"}])
    def test_a_model_of_no_family_is_not_silently_another(self, make, payload):
        with pytest.raises(NoEndpointError):
            make(pool("eu/d1", model="gpt-4.1")).route(payload)

    def test_turns_are_taken_and_nothing_stays_in_flight(self, make):
        router = make(pool("eu/d1", "us/d7"))
        payload = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}

        assert [router.route(payload).subaccount_name for _ in range(4)] == ["eu", "us", "eu", "us"]
        assert nothing_in_flight(router)

    def test_the_decision_is_one_line_in_the_log_without_the_prompt(self, make, caplog):
        router = make(pool("eu/d1"))
        with caplog.at_level(logging.INFO, "routing"):
            router.route({"model": "gpt-5-latest", "messages": [{"role": "user", "content": "secret"}]})

        assert caplog.messages == ["route: 'gpt-5-latest' is gpt-5 by openai-chat, at eu/d1"]

    def test_an_attempt_is_logged_for_who_wants_to_know(self, make, caplog):
        with caplog.at_level(logging.DEBUG, "routing.request_router"):
            next(make(pool("eu/d1")).attempts("gpt-5"))

        assert caplog.messages == ["attempt 1: gpt-5 by openai-chat, at eu/d1"]


def test_a_router_needs_nothing_but_a_balancer():
    router = RequestRouter(LoadBalancer(pool("eu/d1", "us/d7")))
    attempts = router.attempts("gpt-5")
    next(attempts).failed(BUSY)

    assert place(next(attempts)) == "us/d7"


def test_by_default_a_pause_is_a_real_one():
    policy = Policy(retry=RetryPolicy(max_attempts=2, backoff_base=0.001))
    attempts = RequestRouter(LoadBalancer(pool("eu/d1"), policy=policy), policy=policy).attempts("gpt-5")

    assert all_fail(attempts, BUSY) == ["eu/d1", "eu/d1"]
