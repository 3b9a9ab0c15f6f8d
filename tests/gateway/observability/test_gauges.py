"""Gauges of all workers, made of what each of them says of itself."""

import os
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dialects.core.conversation import JSON
from dialects.core.faults import FaultKind
from gateway.http.admission import Admission
from gateway.observability.activity import Activity
from gateway.observability.gauges import Gauges
from gateway.observability.shared_metrics import exposition
from gateway.requests.lifetime import Lifetime
from gateway.router_state import router_state
from gateway.version import VERSION
from routing.events import Circuit, CircuitChanged, CooldownStarted, Transition
from routing.load_balancer import LoadBalancer
from tests.routing.scenes import Clock, endpoint

NOW = 1_700_000_000.0
EU, US = endpoint("eu", "d1", "gpt-5.5", weight=3.0), endpoint("us", "d2", "gpt-5.5")
AT_EU = 'deployment="d1",model="gpt-5.5",subaccount="eu"'
AT_US = 'deployment="d2",model="gpt-5.5",subaccount="us"'
OPENED = Transition(Circuit.CLOSED, Circuit.OPEN, "five failures in a row", 30.0)


def balancer() -> LoadBalancer:
    return LoadBalancer({"gpt-5.5": [EU, US]}, clock=Clock())


def state_of(*balancers: LoadBalancer, **more: Any) -> dict[str, Any]:
    """What the status board makes of workers with these balancers, whose processes are 100, 101 and so on."""
    endpoints = []
    for worker, each in enumerate(balancers, 100):
        told = router_state(each.snapshot(), [], Activity(), NOW, NOW)
        endpoints += [{**row, "worker": worker} for row in told["endpoints"]]
    workers = [{"worker": 100 + slot, "slot": slot, "accepting": True} for slot in range(len(balancers))]
    return {"status": "ready", "endpoints": endpoints, "workers": workers, **more}


def gauges(state: JSON, supervisor: int | None = None) -> dict[str, float]:
    """The numbers by name and labels, without the prefix that all of ours have."""
    text = exposition(CollectorRegistry(), Gauges(state, supervisor)).decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("aicore_proxy_"): float(value) for name, _, value in lines}


def test_requests_in_flight_are_added_up_over_all_workers_retiring_ones_too() -> None:
    first, second = balancer(), balancer()
    leases = [first.acquire("gpt-5.5", exclude={US}), second.acquire("gpt-5.5", exclude={US})]
    state = state_of(first, second)
    state["workers"][1]["retiring"] = True
    found = gauges(state)
    for lease in leases:
        lease.close()

    assert found[f"endpoint_in_flight{{{AT_EU}}}"] == 2
    assert found[f"endpoint_in_flight{{{AT_US}}}"] == 0


def test_gauges_of_a_circuit_count_the_workers_that_see_it_so() -> None:
    first, second, third = balancer(), balancer(), balancer()
    for each in (first, third):
        each.apply(CircuitChanged(EU, OPENED))
    state = state_of(first, second, third)
    state["workers"][2]["retiring"] = True
    found = gauges(state)

    states = ("closed", "open", "half-open")
    assert [
        found[f'endpoint_circuits{{deployment="d1",model="gpt-5.5",state="{state}",subaccount="eu"}}']
        for state in states
    ] == [1, 1, 0]
    assert found[f"endpoint_available{{{AT_EU}}}"] == 1
    assert found[f"endpoint_available{{{AT_US}}}"] == 2


def test_a_cooldown_has_a_reason_and_the_latest_of_its_ends() -> None:
    first, second = balancer(), balancer()
    first.apply(CooldownStarted(EU, EU, 20.0, FaultKind.RATE_LIMITED))
    second.apply(CooldownStarted(EU, EU, 50.0, FaultKind.RATE_LIMITED))
    second.apply(CircuitChanged(US, OPENED))
    found = gauges(state_of(first, second))

    assert {name: value for name, value in found.items() if name.startswith("endpoint_in_cooldown")} == {
        f'endpoint_in_cooldown{{{AT_EU},why="rate_limited"}}': 2
    }
    assert found[f"endpoint_cooldown_end_timestamp_seconds{{{AT_EU}}}"] == NOW + 50
    assert found[f"endpoint_cooldown_end_timestamp_seconds{{{AT_US}}}"] == 0
    assert found[f"endpoint_available{{{AT_EU}}}"] == 0


def test_the_weight_is_that_of_the_worker_that_holds_back_most() -> None:
    first, second = balancer(), balancer()
    for change in (OPENED, Transition(Circuit.HALF_OPEN, Circuit.CLOSED, "a probe was answered")):
        second.apply(CircuitChanged(EU, change))
    found = gauges(state_of(first, second))

    assert found[f"endpoint_weight{{{AT_EU}}}"] == pytest.approx(0.3)
    assert found[f"endpoint_weight{{{AT_US}}}"] == 1.0
    assert found[f"endpoint_expected_first_content_seconds{{{AT_US}}}"] > 0


def test_subaccounts_have_the_earliest_end_of_a_token_and_the_faults_of_renewals() -> None:
    well = {"token_until": NOW + 900, "fault": None, "certificate_until": None}
    failing = {"token_until": NOW + 30, "fault": "refused_credentials", "certificate_until": NOW + 86_400}
    lost = {"token_until": None, "fault": "unreachable", "certificate_until": None}
    state = state_of(balancer(), balancer(), subaccounts={"eu": "ok", "us": "no token: SAP AI Core cannot be reached."})
    state["workers"][0]["credentials"] = {"eu": well, "us": lost}
    state["workers"][1]["credentials"] = {"eu": failing, "us": lost}
    found = gauges(state)

    of_subaccounts = ("subaccount", "token", "certificate")
    assert {name: value for name, value in found.items() if name.startswith(of_subaccounts)} == {
        'subaccount_ready{subaccount="eu"}': 1,
        'subaccount_ready{subaccount="us"}': 0,
        'token_expiry_timestamp_seconds{subaccount="eu"}': NOW + 30,
        'token_expiry_timestamp_seconds{subaccount="us"}': 0,
        'token_failing{fault="refused_credentials",subaccount="eu"}': 1,
        'token_failing{fault="unreachable",subaccount="us"}': 2,
        'certificate_expiry_timestamp_seconds{subaccount="eu"}': NOW + 86_400,
    }  # fmt: skip


def test_a_model_that_ends_has_the_day_on_which_it_does() -> None:
    found = gauges({"endings": [{"model": "gpt-4.1", "on": "2026-10-14"}]})

    assert found['model_end_timestamp_seconds{model="gpt-4.1"}'] == datetime(2026, 10, 14, tzinfo=UTC).timestamp()


def test_each_worker_says_how_full_it_is_and_how_full_it_may_be() -> None:
    admission = Admission(2, 7, 10.0)
    admission.enter("me", Lifetime(60.0))
    state = state_of(balancer(), balancer(), worker_restarts=3)
    state["workers"][0]["saturation"] = admission.saturation()
    state["workers"][1]["saturation"] = {"streams": {"used": 5, "most": None}}
    state["workers"][1]["accepting"] = False
    found = gauges(state)

    assert {name: value for name, value in found.items() if name.startswith(("requests", "streams", "worker"))} == {
        'workers{state="starting"}': 1,
        'workers{state="accepting"}': 1,
        'workers{state="retiring"}': 0,
        "worker_restarts_total": 3,
        'requests_in_progress{worker="0"}': 1,
        'requests_in_progress_limit{worker="0"}': 2,
        'requests_waiting{worker="0"}': 0,
        'requests_waiting_limit{worker="0"}': 7,
        'streams_open{worker="1"}': 5,
    }


def test_a_proxy_of_one_process_without_a_status_board_has_the_same_gauges() -> None:
    """It says what it knows under the number of its only worker, and is not told apart from a supervisor."""
    known = {"token_until": NOW, "fault": None, "certificate_until": None}
    told = router_state(balancer().snapshot(), [], Activity(), NOW, NOW)
    found = gauges(
        {**told, "status": "not ready", "saturation": Admission(2, 7, 10.0).saturation(), "credentials": {"eu": known}},
        supervisor=os.getpid(),
    )

    assert found["ready"] == 0
    assert found[f"endpoint_available{{{AT_EU}}}"] == 1
    assert found['requests_in_progress_limit{worker="0"}'] == 2
    assert found['token_expiry_timestamp_seconds{subaccount="eu"}'] == NOW
    assert found['workers{state="accepting"}'] == 1
    assert {name for name in found if name.startswith("process_open")} == {'process_open_fds{process="worker-0"}'}


def test_each_process_has_its_usage_and_the_supervisor_is_one_of_them() -> None:
    state = state_of(balancer())
    state["workers"][0]["worker"] = os.getpid()
    found = gauges(state, supervisor=os.getppid())

    assert {name for name in found if name.startswith("process_resident")} == {
        'process_resident_memory_bytes{process="worker-0"}',
        'process_resident_memory_bytes{process="supervisor"}',
    }
    assert found['process_cpu_seconds_total{process="worker-0"}'] > 0


def test_the_version_is_a_label() -> None:
    found = [name for name in gauges({}) if name.startswith("build_info")]

    assert len(found) == 1
    assert f'version="{VERSION}"' in found[0]
