"""One line for each exchange, numbers for Prometheus, and not a word of what was said."""

import logging
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dialects.core.conversation import Usage
from dialects.core.faults import Fault, FaultKind, Quota
from gateway.observability.metrics import (
    DroppedLines,
    ExchangeRecord,
    LogObserver,
    MetricsObserver,
    Observers,
    RoutingObserver,
)
from routing.endpoint import Endpoint
from routing.events import (
    Circuit,
    CircuitChanged,
    CooldownStarted,
    EventPublisher,
    OutcomeRecorded,
    PoolsChanged,
    RoutingEvent,
    Transition,
)
from routing.load_balancer import LoadBalancer

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-4.1")
RECORD = ExchangeRecord(
    id="abc", caller="0a1b2c3d", client="openai-chat", requested="gpt-4o", model="gpt-4.1", stream=True,
    trail="eu/d1 503 -> us/d7 ok", subaccount="us", deployment="d7", attempts=2, stop="end", first_content=0.1234,
    reasons=("probe", "round-robin"), overhead=0.004,
    duration=1.5, usage=Usage(fresh_input=6, cache_read=4, cache_write=3, output=2), dropped=("seed", "top_k"),
)  # fmt: skip
REFUSED = ExchangeRecord("abc", "anonymous", "gemini", "nobody", status=404, outcome="not_found")


def lines(registry: CollectorRegistry) -> list[str]:
    said = generate_latest(registry).decode().splitlines()
    return [line for line in said if not line.startswith("#") and "_created" not in line]


def test_requests_and_tokens_are_counted_by_the_name_of_the_callers_key() -> None:
    registry = CollectorRegistry()
    observer = MetricsObserver(registry)
    for record in (RECORD, replace(RECORD, caller="alice"), replace(RECORD, caller="alice", model="gpt-5"), REFUSED):
        observer.over(record)

    assert [line for line in lines(registry) if "_caller_" in line and not line.endswith(" 0.0")] == [
        'aicore_proxy_caller_exchanges_total{caller="0a1b2c3d",outcome="ok"} 1.0',
        'aicore_proxy_caller_exchanges_total{caller="alice",outcome="ok"} 2.0',
        'aicore_proxy_caller_exchanges_total{caller="anonymous",outcome="not_found"} 1.0',
        'aicore_proxy_caller_tokens_total{caller="0a1b2c3d",kind="input"} 6.0',
        'aicore_proxy_caller_tokens_total{caller="0a1b2c3d",kind="cache_read"} 4.0',
        'aicore_proxy_caller_tokens_total{caller="0a1b2c3d",kind="cache_write"} 3.0',
        'aicore_proxy_caller_tokens_total{caller="0a1b2c3d",kind="output"} 2.0',
        'aicore_proxy_caller_tokens_total{caller="alice",kind="input"} 12.0',
        'aicore_proxy_caller_tokens_total{caller="alice",kind="cache_read"} 8.0',
        'aicore_proxy_caller_tokens_total{caller="alice",kind="cache_write"} 6.0',
        'aicore_proxy_caller_tokens_total{caller="alice",kind="output"} 4.0',
    ]


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    for name in ("sap_ai_proxy.exchange", "sap_ai_proxy.routing"):
        caplog.set_level(logging.INFO, name)
    return caplog


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            RECORD,
            (
                "200 gpt-4.1                      eu/d1 503 -> us/d7   first=123ms   total=1500ms   "
                "in=6 cached=4 written=3 out=2 stop=end asked=gpt-4o client=openai-chat caller=0a1b2c3d id=abc "
                "dropped=seed,top_k"
            ),
        ),
        (
            REFUSED,
            (
                "404 nobody                       -                    "
                "outcome=not_found client=gemini caller=anonymous id=abc"
            ),
        ),
    ],
)  # fmt: skip
def test_an_exchange_is_one_line(info: pytest.LogCaptureFixture, record: ExchangeRecord, line: str) -> None:
    LogObserver().over(record)

    assert [line] == info.messages


def test_the_trace_that_an_exchange_is_part_of_ends_its_line(info: pytest.LogCaptureFixture) -> None:
    LogObserver().over(replace(REFUSED, trace="4bf9"))

    assert info.messages[0].endswith(" id=abc trace=4bf9")


def test_programs_get_the_fields_of_an_exchange(info: pytest.LogCaptureFixture) -> None:
    LogObserver().over(replace(RECORD, requested="m\n" * 9000))
    [record] = info.records
    fields = record.__dict__["fields"]()

    assert (fields["usage"]["fresh_input"], fields["usage"]["output"]) == (6, 2)
    assert (fields["id"], fields["trail"], fields["dropped"]) == ("abc", "eu/d1 503 -> us/d7 ok", "seed,top_k")
    assert fields["requested"] == "m?" * 50


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\u2028", "x"])
def test_a_name_that_a_caller_made_up_breaks_no_line_and_fills_no_log(
    info: pytest.LogCaptureFixture, letter: str
) -> None:
    LogObserver().over(ExchangeRecord("abc", "anonymous", "gemini", "m" + letter * 9000))

    [line] = info.messages
    assert line.isprintable()
    assert len(line) < 250


def test_the_first_attempt_at_each_part_is_no_retry() -> None:
    registry = CollectorRegistry()
    MetricsObserver(registry).over(replace(RECORD, attempts=5, parts=4))

    told = lines(registry)
    assert 'aicore_proxy_attempts_total{model="gpt-4.1"} 5.0' in told
    assert 'aicore_proxy_retries_total{budget="spent",model="gpt-4.1"} 1.0' in told


def test_a_request_that_took_more_than_one_attempt_is_counted_by_how_it_ended() -> None:
    registry = CollectorRegistry()
    observer = MetricsObserver(registry)
    for attempts, parts, outcome in ((1, 1, "ok"), (4, 4, "ok"), (2, 1, "ok"), (5, 1, "ok"), (3, 1, "overloaded")):
        observer.over(replace(RECORD, attempts=attempts, parts=parts, outcome=outcome))

    assert [line for line in lines(registry) if "retried" in line] == [
        'aicore_proxy_retried_exchanges_total{model="gpt-4.1",outcome="ok"} 2.0',
        'aicore_proxy_retried_exchanges_total{model="gpt-4.1",outcome="overloaded"} 1.0',
    ]


def test_an_exchange_is_counted_once_in_each_number() -> None:
    registry = CollectorRegistry()
    MetricsObserver(registry).over(RECORD)

    told = lines(registry)
    labels = 'client="openai-chat",model="gpt-4.1"'
    for expected in (
        f'aicore_proxy_exchanges_total{{{labels},outcome="ok"}} 1.0',
        'aicore_proxy_attempts_total{model="gpt-4.1"} 2.0',
        'aicore_proxy_decisions_total{model="gpt-4.1",reason="probe"} 1.0',
        'aicore_proxy_decisions_total{model="gpt-4.1",reason="round-robin"} 1.0',
        'aicore_proxy_retries_total{budget="spent",model="gpt-4.1"} 1.0',
        'aicore_proxy_retries_total{budget="refused",model="gpt-4.1"} 0.0',
        'aicore_proxy_tokens_total{kind="input",model="gpt-4.1"} 6.0',
        'aicore_proxy_tokens_total{kind="cache_read",model="gpt-4.1"} 4.0',
        'aicore_proxy_tokens_total{kind="cache_write",model="gpt-4.1"} 3.0',
        'aicore_proxy_tokens_total{kind="output",model="gpt-4.1"} 2.0',
        'aicore_proxy_dropped_total{client="openai-chat"} 2.0',
        f"aicore_proxy_first_content_seconds_count{{{labels}}} 1.0",
        f"aicore_proxy_first_content_seconds_sum{{{labels}}} 0.1234",
        f"aicore_proxy_duration_seconds_sum{{{labels}}} 1.5",
        f"aicore_proxy_overhead_seconds_sum{{{labels}}} 0.004",
        'aicore_proxy_overhead_seconds_bucket{client="openai-chat",le="0.0025",model="gpt-4.1"} 0.0',
        'aicore_proxy_overhead_seconds_bucket{client="openai-chat",le="0.005",model="gpt-4.1"} 1.0',
    ):
        assert expected in told


def test_an_exchange_that_said_nothing_has_no_first_content() -> None:
    registry = CollectorRegistry()
    MetricsObserver(registry).over(REFUSED)

    told = lines(registry)
    assert 'aicore_proxy_exchanges_total{client="gemini",model="unknown",outcome="not_found"} 1.0' in told
    assert not [line for line in told if "first_content" in line or "overhead" in line]


def test_a_retry_that_the_budget_refused_is_counted() -> None:
    registry = CollectorRegistry()
    MetricsObserver(registry).over(replace(RECORD, unaffordable=True))

    assert 'aicore_proxy_retries_total{budget="refused",model="gpt-4.1"} 1.0' in lines(registry)


def test_a_request_that_was_tried_nowhere_asked_nothing_of_the_budget() -> None:
    registry = CollectorRegistry()
    MetricsObserver(registry).over(REFUSED)

    assert not [line for line in lines(registry) if "retries" in line or "decisions" in line]


def test_names_that_callers_make_up_do_not_become_labels() -> None:
    """Whoever asks for a thousand models that are not there makes one time series of them."""
    registry = CollectorRegistry()
    observer = MetricsObserver(registry)
    for number in range(10):
        observer.over(ExchangeRecord("abc", "anonymous", "gemini", f"made-up-{number}"))

    assert not [line for line in lines(registry) if "made-up" in line]


def moved(now: Circuit) -> CircuitChanged:
    return CircuitChanged(EU, Transition(Circuit.CLOSED, now, "5 failures"))


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (
            moved(Circuit.OPEN),
            'circuit_transitions_total{deployment="d1",now="open",subaccount="eu"} 1.0',
        ),
        (
            CooldownStarted(EU, EU, 3.04, FaultKind.RATE_LIMITED),
            'cooldowns_total{deployment="d1",subaccount="eu",why="rate_limited"} 1.0',
        ),
        (
            CooldownStarted(EU, EU.domain, 60.0, FaultKind.RATE_LIMITED),
            'cooldowns_total{deployment="d1",subaccount="eu",why="rate_limited"} 1.0',
        ),
        (
            CooldownStarted(EU, "eu", 5.0, FaultKind.REFUSED_CREDENTIALS),
            'cooldowns_total{deployment="d1",subaccount="eu",why="refused_credentials"} 1.0',
        ),
        (OutcomeRecorded(EU, None, 0.2), 'outcomes_total{deployment="d1",outcome="ok",subaccount="eu"} 1.0'),
        (
            OutcomeRecorded(EU, FaultKind.TIMEOUT, 0.2),
            'outcomes_total{deployment="d1",outcome="timeout",subaccount="eu"} 1.0',
        ),
    ],
)  # fmt: skip
def test_what_happens_to_endpoints_is_counted_and_logged_by_the_routing_itself(
    info: pytest.LogCaptureFixture, event: RoutingEvent, counted: str
) -> None:
    registry = CollectorRegistry()
    RoutingObserver(registry).heard(event)

    assert [line for line in lines(registry) if "_coolings_" not in line] == [f"aicore_proxy_{counted}"]
    assert info.messages == []


def test_cooldowns_are_counted_under_their_former_name_too() -> None:
    registry = CollectorRegistry()
    RoutingObserver(registry).heard(CooldownStarted(EU, "eu", 5.0, FaultKind.REFUSED_CREDENTIALS))

    assert 'aicore_proxy_coolings_total{deployment="d1",subaccount="eu",why="refused_credentials"} 1.0' in lines(
        registry
    )


def test_a_cooldown_is_logged_once(info: pytest.LogCaptureFixture) -> None:
    balancer = LoadBalancer({EU.model: [EU]}, events=EventPublisher([RoutingObserver(CollectorRegistry()).heard]))
    balancer.acquire(EU.model).failed(Fault(FaultKind.RATE_LIMITED, "busy", 429, quota=Quota.MODEL))

    assert len([message for message in info.messages if "in cooldown for" in message]) == 1


def test_endpoints_that_come_and_go_are_logged(info: pytest.LogCaptureFixture) -> None:
    RoutingObserver(CollectorRegistry()).heard(PoolsChanged((EU, EU), ()))

    assert info.messages == ["endpoints: 2 joined, 0 left"]


def test_an_observer_that_fails_keeps_no_other_from_hearing(info: pytest.LogCaptureFixture) -> None:
    heard: list[ExchangeRecord] = []

    class Broken:
        def over(self, record: ExchangeRecord) -> None:
            raise ZeroDivisionError

    class Listening:
        def over(self, record: ExchangeRecord) -> None:
            heard.append(record)

    Observers([Broken(), Listening()]).over(RECORD)

    assert heard == [RECORD]
    assert info.messages == ["an observer failed"]


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\u2028", "x"])
def test_fields_that_a_caller_made_up_break_no_line_and_fill_no_log(
    info: pytest.LogCaptureFixture, letter: str
) -> None:
    made_up = tuple(f"{letter}INFO forged {number}" + letter * 9000 for number in range(100))
    LogObserver().over(ExchangeRecord("abc", "anonymous", "gemini", "gpt", dropped=made_up))

    [line] = info.messages
    assert line.isprintable()
    assert len(line) < 300


def test_log_lines_that_were_dropped_are_counted_once() -> None:
    registry = CollectorRegistry()
    lost = DroppedLines(registry)
    for dropped in (0, 2, 2, 6):
        lost.count(dropped)

    assert lines(registry) == ["aicore_proxy_log_lines_dropped_total 6.0"]
