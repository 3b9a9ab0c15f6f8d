"""What operators may change while the proxy runs, and what they are told."""

import json
import logging
from typing import Any

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.operator_actions import OperatorActions
from routing.availability import Availability, EndpointState
from routing.endpoint import Endpoint
from routing.events import Circuit, CooldownStarted, EventPublisher
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, Policy
from tests.gateway.test_endpoint_pool import Listing, account, fleet_of, url

POLICY = Policy(
    health_check_interval=0, discovery_interval=0, aliases={"mine": "gpt"}, breaker=BreakerPolicy(timeout_jitter=0)
)
D1, D2 = (Endpoint("eu", url(name), "gpt") for name in ("d1", "d2"))
D1_EMBEDS = Endpoint("eu", url("d1"), "embedder")


class Process:
    """The routing of one process, and what operators change in it."""

    def __init__(self) -> None:
        eu = account("eu", discovery=False, gpt=["d1", "d2"], embedder=["d1"])
        self.pool, self.balancer, _ = fleet_of(Listing(), eu, policy=POLICY)
        self.actions = OperatorActions(self.balancer, self.pool)
        self.pool.start()
        self.pool.stop()

    def change(self, **body: Any) -> dict[str, Any]:
        """Make a change as it arrives at other processes."""
        change: dict[str, Any] = json.loads(json.dumps(self.actions.change_for(body, "ada")))
        self.actions.apply(change)
        return change

    def state(self, endpoint: Endpoint) -> EndpointState:
        states = self.actions.explained(self.balancer.snapshot())
        return next(each for each in states if each.endpoint == endpoint)

    def refusal(self, **body: Any) -> tuple[FaultKind, str, str | None]:
        with pytest.raises(FaultError) as refused:
            self.actions.change_for(body, "ada")
        fault = refused.value.fault
        return fault.kind, fault.message, fault.param


def test_one_endpoint_is_drained_and_restored_in_this_process_and_in_another() -> None:
    one, other = Process(), Process()
    change = one.change(action="drain", subaccount="eu", deployment="d1", model="gpt")
    other.actions.apply(change)

    for process in (one, other):
        state = process.state(D1)
        assert (state.availability, state.why) == (Availability.DRAINED, "an operator has drained it")
        assert process.state(D1_EMBEDS).availability is Availability.AVAILABLE
    other.actions.apply(one.change(action="restore", subaccount="eu", deployment="d1", model="gpt"))
    assert other.state(D1).availability is Availability.AVAILABLE


def test_without_a_model_all_endpoints_of_the_deployment_are_meant() -> None:
    process = Process()
    change = process.change(action="drain", subaccount="eu", deployment="d1")

    assert change["endpoints"] == [["eu", D1.url, "gpt"], ["eu", D1.url, "embedder"]]
    assert {process.state(each).availability for each in (D1, D1_EMBEDS)} == {Availability.DRAINED}
    assert process.state(D2).availability is Availability.AVAILABLE


def test_a_circuit_is_opened_for_its_usual_time_and_closed_again() -> None:
    process = Process()
    process.change(action="open-circuit", subaccount="eu", deployment="d1", model="gpt")
    opened = process.state(D1)
    process.change(action="close-circuit", subaccount="eu", deployment="d1", model="gpt")

    assert (opened.circuit, opened.why) == (Circuit.OPEN, "opened by ada")
    assert POLICY.breaker.timeout - 5 < opened.seconds <= POLICY.breaker.timeout
    assert (process.state(D1).circuit, process.state(D1).why) == (Circuit.CLOSED, "closed by ada")


def test_to_close_a_circuit_ends_the_cooldowns_of_its_endpoint() -> None:
    process = Process()
    for key in (D1, D1.domain, "eu"):
        process.balancer.apply(CooldownStarted(D1, key, 600.0, FaultKind.RATE_LIMITED))
    process.change(action="close-circuit", subaccount="eu", deployment="d1", model="gpt")

    assert process.state(D1).availability is Availability.AVAILABLE


def test_a_circuit_that_was_opened_before_a_process_started_is_closed_there() -> None:
    """A drain and a strategy last; what was open for half a minute some time ago does not matter any more."""
    change = Process().change(action="open-circuit", subaccount="eu", deployment="d1", model="gpt")
    late = Process()
    late.actions.apply(change, is_new=False)

    assert late.state(D1).circuit is Circuit.CLOSED


def test_the_strategy_of_one_model_is_changed_by_any_of_its_names() -> None:
    process = Process()
    change = process.change(action="strategy", model="mine", strategy="least-latency")

    assert (change["model"], len(change["endpoints"])) == ("gpt", 2)
    assert [process.state(each).strategy for each in (D1, D2, D1_EMBEDS)] == [
        "least-latency", "least-latency", "round-robin"
    ]  # fmt: skip


def test_a_strategy_for_a_model_that_another_process_finds_later_is_applied_then() -> None:
    change = Process().change(action="strategy", model="gpt", strategy="weighted")
    events = EventPublisher()
    balancer = LoadBalancer({}, policy=POLICY, events=events)
    late = OperatorActions(balancer, Process().pool)
    events.subscribe(late.listen)
    late.apply(change, is_new=False)
    balancer.replace_pools({"gpt": (D1,)})

    assert [each.strategy for each in balancer.snapshot()] == ["weighted"]


def test_a_circuit_of_an_endpoint_that_another_process_does_not_know_is_left_alone() -> None:
    change = Process().change(action="open-circuit", subaccount="eu", deployment="d1")
    other = Process()
    other.balancer.replace_pools({"gpt": (D2,)})
    other.actions.apply(change)

    assert [each.circuit for each in other.balancer.snapshot()] == [Circuit.CLOSED]


STRING = "must be a string of at least one character."
ACTIONS = "drain, restore, open-circuit, close-circuit, strategy"
NAMES = "round-robin, weighted, least-connections, least-latency, cache-affinity, priority"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "`action` is missing."),
        ({"action": ["drain"]}, f"`action` {STRING}"),
        ({"action": "nap"}, f"`action` must be one of {ACTIONS}, not 'nap'."),
        ({"action": "drain", "deployment": "d1"}, "`subaccount` is missing."),
        ({"action": "drain", "subaccount": "", "deployment": "d1"}, f"`subaccount` {STRING}"),
        ({"action": "drain", "subaccount": "eu", "deployment": 1}, f"`deployment` {STRING}"),
        ({"action": "drain", "subaccount": "eu", "deployment": "d1", "model": []}, f"`model` {STRING}"),
        ({"action": "strategy", "model": "gpt"}, "`strategy` is missing."),
        ({"action": "strategy", "model": "gpt", "strategy": "best"}, f"`strategy` must be one of {NAMES}, not 'best'."),
    ],
)  # fmt: skip
def test_a_change_that_makes_no_sense_is_refused_with_what_is_wrong(body: Any, message: str) -> None:
    assert Process().refusal(**body) == (FaultKind.INVALID_REQUEST, message, message.split("`")[1])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"subaccount": "eu", "deployment": "d9"}, "The subaccount eu serves no deployment d9."),
        ({"subaccount": "us", "deployment": "d1"}, "The subaccount us serves no deployment d1."),
        (
            {"subaccount": "eu", "deployment": "d2", "model": "embedder"},
            "The subaccount eu serves no deployment d2 for the model embedder.",
        ),
        ({"action": "strategy", "model": "llama", "strategy": "weighted"}, "No deployment serves the model llama."),
    ],
)
def test_a_change_of_what_is_not_served_is_refused_as_not_found(body: dict[str, str], message: str) -> None:
    assert Process().refusal(**{"action": "drain", **body}) == (FaultKind.NOT_FOUND, message, None)


def test_an_endpoint_of_weight_0_in_the_config_file_cannot_be_restored() -> None:
    process = Process()
    process.balancer.replace_pools({"gpt": (Endpoint("eu", D1.url, "gpt", weight=0.0),)})

    assert process.refusal(action="restore", subaccount="eu", deployment="d1") == (
        FaultKind.INVALID_REQUEST,
        "The config file gives eu/d1 the weight 0: only a change there restores it.",
        "deployment",
    )


def test_a_change_is_one_line_of_the_log_that_says_who_and_what(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sap_ai_proxy.operations")
    process = Process()
    for body in (
        {"action": "drain", "subaccount": "eu", "deployment": "d1"},
        {"action": "strategy", "model": "gpt", "strategy": "weighted"},
    ):
        process.actions.log(process.change(**body))

    assert [record.getMessage() for record in caplog.records] == [
        "ada has changed the routing: drain eu/d1 for gpt, embedder",
        "ada has changed the routing: the strategy of gpt is weighted",
    ]


def test_what_is_drained_for_another_reason_is_not_blamed_on_an_operator() -> None:
    process = Process()
    process.balancer.replace_pools({"gpt": (Endpoint("eu", D1.url, "gpt", weight=0.0),)})

    assert process.state(D1).why == "its weight is 0"
