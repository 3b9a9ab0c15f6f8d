"""What is to be seen of a proxy, by what it says of itself."""

import json
from typing import Any

import pytest

from gateway.cli.status.view import Health, Severity, Tokens, as_json, view_of
from tests.gateway.cli.status.states import NO_TOKENS, STARTED, decision, endpoint, snapshot, worker

OPEN = {"standing": "open", "circuit": "open", "why": "5 failures", "seconds": 8.0}
COOLDOWN = {"standing": "cooling", "cooldown": "rate_limited", "why": "quota: rate_limited", "seconds": 23.0}
GONE = {"standing": "gone", "circuit": "open", "why": "the deployment is gone", "seconds": None}
PROBING = {"standing": "half-open: a probe is in progress", "circuit": "half-open", "why": "time is up", "seconds": 5.0}
DRAINED = {"standing": "drained", "why": "its weight is 0", "seconds": None}


def counts(answered: int = 0, failed: int = 0, waited: float = 0.0, **tokens: int) -> dict[str, Any]:
    return {
        "counts": {
            "answered": answered,
            "failed": failed,
            "first_content_seconds": waited,
            "tokens": {**NO_TOKENS, **tokens},
        }
    }


def test_a_proxy_that_serves_everything_is_well() -> None:
    view = view_of(snapshot([endpoint(in_flight=2), endpoint("d2", in_flight=1)], decisions=[decision()]))

    assert (view.health, view.problems, view.warnings) == (Health.WELL, (), ())
    assert (view.version, view.uptime, view.workers, view.in_flight) == ("1.2.3", 60.0, 1, 3)
    assert [(each.name, each.available, each.endpoints) for each in view.models] == [("gpt-5", 2, 2)]
    assert [(each.name, each.available, each.status) for each in view.subaccounts] == [("eu", 2, "")]
    assert view.decisions == (decision(),)


@pytest.mark.parametrize(
    ("row", "state", "severity", "available", "problems"),
    [
        ({}, "ready", Severity.FINE, 2, ()),
        (DRAINED, "drained", Severity.FINE, 1, ()),
        (PROBING, "being probed", Severity.ODD, 2, ("1 of 2 being probed",)),
        (COOLDOWN, "in cooldown", Severity.BAD, 1, ("1 of 2 in cooldown",)),
        (OPEN, "circuit open", Severity.BAD, 1, ("1 of 2 circuits open",)),
        (GONE, "gone", Severity.BAD, 1, ("1 of 2 gone",)),
    ],
)
def test_the_state_of_an_endpoint_says_how_bad_that_is(
    row: dict[str, Any], state: str, severity: Severity, available: int, problems: tuple[str, ...]
) -> None:
    view = view_of(snapshot([endpoint(), endpoint("d2", **row)]))
    [seen] = [each for each in view.endpoints if each.deployment == "d2"]
    [model] = view.models

    assert (seen.state, seen.severity, seen.seconds) == (state, severity, row.get("seconds", 0.0))
    assert seen.why == ("" if severity is Severity.FINE else row["why"])
    assert (model.available, model.severity) == (available, min(severity, Severity.ODD))
    assert view.problems == problems
    assert view.health is (Health.UNWELL if problems else Health.WELL)


@pytest.mark.parametrize(
    ("answered", "failed", "state", "severity", "why"),
    [
        (0, 2, "ready", Severity.FINE, ""),
        (0, 3, "failing", Severity.ODD, "3 of 3 requests"),
        (1, 3, "ready", Severity.FINE, ""),
    ],
)
def test_a_deployment_that_answers_nothing_is_failing_before_its_circuit_opens(
    answered: int, failed: int, state: str, severity: Severity, why: str
) -> None:
    view = view_of(snapshot([endpoint(), endpoint("d2", **counts(answered, failed))]))
    seen = next(each for each in view.endpoints if each.deployment == "d2")

    assert (seen.state, seen.severity, seen.why, seen.is_available) == (state, severity, why, True)
    assert view.health is (Health.UNWELL if severity else Health.WELL)
    assert view.problems == (("1 of 2 failing",) if severity else ())


def test_what_is_wrong_comes_first_then_what_fails_then_what_is_used_then_names() -> None:
    rows = [
        endpoint("a-unused"), endpoint("b-used", **counts(1)), endpoint("c-failing", **counts(1, 1)),
        endpoint("d-probed", **PROBING), endpoint("e-open", **OPEN), endpoint("f-unused"),
    ]  # fmt: skip
    view = view_of(snapshot(rows))

    assert [each.deployment[0] for each in view.endpoints] == list("edcbaf")


def test_models_are_sorted_alike_and_one_without_any_endpoint_is_named() -> None:
    rows = [endpoint("d1", model="a"), endpoint("d2", model="b", **OPEN), endpoint("d3", model="c", **COOLDOWN),
            endpoint("d4", model="c"), endpoint("d5", model="drained", **DRAINED)]  # fmt: skip
    view = view_of(snapshot(rows))

    assert [each.name for each in view.models] == ["b", "drained", "c", "a"]
    assert [each.severity for each in view.models] == [Severity.BAD, Severity.BAD, Severity.ODD, Severity.FINE]
    assert view.problems[:2] == ("b cannot be served", "drained cannot be served")


@pytest.mark.parametrize(
    ("state", "health", "problems"),
    [
        ({"status": "not ready"}, Health.DOWN, ("no model can be served",)),
        ({"status": "draining"}, Health.DOWN, ("draining",)),
        ({"subaccounts": {"eu": "ok", "us": "no token: refused"}}, Health.UNWELL, ("us: no token: refused",)),
        ({"workers": [worker(), worker(12, ready=False)]}, Health.UNWELL, ("1 of 2 workers not ready",)),
        ({"workers": [worker(), worker(12, ready=False, retiring=True)]}, Health.WELL, ()),
    ],
)
def test_what_is_wrong_beyond_endpoints_is_said(
    state: dict[str, Any], health: Health, problems: tuple[str, ...]
) -> None:
    view = view_of(snapshot(**state))

    assert (view.health, view.problems) == (health, problems)


def test_a_subaccount_without_endpoints_is_seen_with_what_it_lacks() -> None:
    view = view_of(snapshot(subaccounts={"eu": "ok", "us": "no token yet", "asia": "ok"}))

    assert [(each.name, each.status, each.severity) for each in view.subaccounts] == [
        ("us", "no token yet", Severity.BAD),
        ("asia", "", Severity.ODD),
        ("eu", "", Severity.FINE),
    ]
    assert view.problems == ("us: no token yet", "asia: no deployment is known")


def test_what_will_be_wrong_is_a_warning_and_nobody_is_unwell_for_it() -> None:
    ending = {"model": "gpt-4.1", "version": None, "on": "2026-10-14", "ended": True, "successor": "gpt-5"}
    view = view_of(snapshot(endings=[ending], workers=[worker(log_lines_dropped=3)]))

    assert view.health is Health.WELL
    assert view.warnings == ("3 log lines could not be written", "gpt-4.1 ended on 2026-10-14; deploy gpt-5")


def test_traffic_is_what_has_grown_between_two_moments() -> None:
    before = snapshot(
        [endpoint(**counts(10, 1, 5.0, input=100, cache_read=50, output=7))],
        workers=[worker(outcomes={"ok": 10, "timeout": 1})],
    )
    now = snapshot(
        [endpoint(**counts(14, 3, 7.0, input=160, cache_read=90, output=17))],
        at=70.0,
        workers=[worker(outcomes={"ok": 14, "timeout": 2, "caller_left": 1, "not_found": 1})],
    )
    view = view_of(now, before)
    [seen] = view.endpoints

    assert (view.window, view.since_start) == (10.0, False)
    assert (seen.traffic.requests, seen.traffic.errors, seen.asked) == (6, 2, 17)
    assert seen.traffic.first_content == 0.5
    assert seen.traffic.tokens == Tokens(input=60, cache_read=40, output=10)
    assert seen.traffic.cache_share == 0.4
    assert view.models[0].traffic == view.subaccounts[0].traffic == seen.traffic
    # Callers have seen less go wrong than endpoints did, and more than endpoints were asked for.
    assert (view.traffic.requests, view.traffic.errors, view.traffic.first_content) == (7, 2, 0.5)


def test_a_single_moment_counts_all_since_the_start() -> None:
    view = view_of(snapshot([endpoint(**counts(8, waited=2.0))], workers=[worker(outcomes={"ok": 8})]))

    assert (view.window, view.since_start, view.traffic.requests, view.traffic.first_content) == (60.0, True, 8, 0.25)


def test_what_was_never_asked_has_no_first_word_and_no_share_of_the_cache() -> None:
    [seen] = view_of(snapshot()).endpoints

    assert (seen.traffic.first_content, seen.traffic.cache_share) == (None, None)


def test_a_worker_that_takes_the_place_of_another_counts_from_nothing() -> None:
    """By another process id, or by the same one, whose counts are smaller than they were."""
    before = snapshot([endpoint(**counts(100)), endpoint(worker=12, **counts(50))], workers=[worker(), worker(12)])
    now = snapshot(
        [endpoint(**counts(3)), endpoint(worker=13, **counts(2))],
        at=61.0,
        workers=[worker(outcomes={"ok": 3}), worker(13, outcomes={"ok": 2})],
    )
    view = view_of(now, before)

    assert (view.endpoints[0].traffic.requests, view.traffic.requests) == (5, 5)


def test_an_endpoint_is_seen_as_the_worst_off_of_the_workers_that_stay() -> None:
    rows = [
        endpoint(worker=11, in_flight=1, **counts(1)),
        endpoint(worker=12, in_flight=2, **COOLDOWN, **counts(2)),
        endpoint(worker=13, in_flight=4, **OPEN, **counts(4)),
    ]
    workers = [worker(11), worker(12), worker(13, retiring=True)]
    [seen] = view_of(snapshot(rows, workers=workers)).endpoints

    assert (seen.state, seen.seconds, seen.workers) == ("in cooldown", 23.0, "1 of 2 workers")
    assert (seen.in_flight, seen.asked) == (7, 7)


def test_a_proxy_of_one_process_says_the_same_without_workers() -> None:
    row = endpoint(**counts(3))
    del row["worker"]
    past, now = snapshot([row], outcomes={"ok": 1}), snapshot([row], at=61.0, outcomes={"ok": 3, "timeout": 1})
    for each in (past, now):
        del each.state["workers"]
    view = view_of(now, past)

    assert (view.workers, view.traffic.requests, view.traffic.errors) == (1, 3, 1)
    assert view.endpoints[0].workers == ""


def test_for_programs_it_is_json_with_words_and_numbers() -> None:
    written = as_json(view_of(snapshot([endpoint(**OPEN, **counts(2, waited=1.0, input=5, cache_read=15))])))
    read = json.loads(json.dumps(written))

    assert (read["health"], read["at"], read["window"]) == ("unwell", STARTED + 60, 60.0)
    assert read["endpoints"][0] | {"traffic": ...} == {
        "subaccount": "eu", "deployment": "d1", "model": "gpt-5", "severity": "bad", "state": "circuit open",
        "is_available": False, "why": "5 failures", "seconds": 8.0, "workers": "", "in_flight": 0, "asked": 2,
        "standby": False, "traffic": ...,
    }  # fmt: skip
    assert read["models"][0]["traffic"] == {
        "requests": 2,
        "errors": 0,
        "first_content": 0.5,
        "tokens": {"input": 5, "cache_read": 15, "cache_write": 0, "output": 0},
        "cache_share": 0.75,
    }


@pytest.mark.parametrize("missing", ["at", "endpoints", "status", "decisions"])
def test_what_is_no_state_of_a_router_is_refused(missing: str) -> None:
    found = snapshot()
    del found.state[missing]

    with pytest.raises(LookupError):
        view_of(found)
