"""Wrong keys, and how long whoever sends many must wait."""

import logging

import pytest

from gateway.http.client_address import read_address
from gateway.http.failed_keys import MOST_FAILURES, SECONDS, FailedKeys

HERE, THERE = read_address("127.0.0.1"), read_address("203.0.113.5")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_that_sends_many_wrong_keys_waits_to_the_end_of_its_minute() -> None:
    clock = Clock()
    failed = FailedKeys(clock)
    first = [failed.record(HERE) for _ in range(MOST_FAILURES)]
    clock.now += 20

    assert first == [None] * MOST_FAILURES
    assert failed.record(HERE) == SECONDS - 20
    assert failed.record(THERE) is None


def test_after_that_minute_an_address_may_send_as_many_again() -> None:
    clock = Clock()
    failed = FailedKeys(clock)
    for _ in range(2 * MOST_FAILURES):
        failed.record(HERE)
    clock.now += SECONDS

    assert [failed.record(HERE) for _ in range(MOST_FAILURES + 1)] == [None] * MOST_FAILURES + [SECONDS]


def test_each_of_several_wrong_keys_in_one_request_counts() -> None:
    failed = FailedKeys(Clock())

    assert [failed.record(HERE, 5) for _ in range(3)] == [None, None, SECONDS]


def test_all_ipv6_addresses_of_one_network_count_as_one() -> None:
    failed = FailedKeys(Clock())
    waits = [failed.record(read_address(f"2001:db8::{number:x}")) for number in range(MOST_FAILURES + 1)]

    assert waits[-1] == SECONDS
    assert failed.record(read_address("2001:db8:0:1::1")) is None


def test_the_latest_addresses_alone_are_remembered() -> None:
    failed = FailedKeys(Clock())
    for _ in range(MOST_FAILURES):
        failed.record(HERE)
    for number in range(5000):
        failed.record(read_address(f"10.0.{number // 250}.{number % 250}"))

    assert len(failed) == 4096
    assert failed.record(HERE) is None


def test_the_log_names_an_address_once_for_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    failed = FailedKeys(Clock())
    with caplog.at_level(logging.WARNING, "sap_ai_proxy"):
        for _ in range(3 * MOST_FAILURES):
            failed.record(THERE)

    assert caplog.messages == ["10 wrong keys from 203.0.113.5 within 60 s: further ones get a 429"]
