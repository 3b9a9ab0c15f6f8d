"""When an answer asks to be tried again: from headers of all vendors, and from words."""

import time
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.retry_hints import advice, retry_after

NOW = 1_760_000_000.0
LATER = datetime.fromtimestamp(NOW + 42, UTC)


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after-ms": "1500"}, "", 1.5),
        ({"X-MS-Retry-After-MS": "250"}, "", 0.25),
        ({"Retry-After": "7"}, "", 7.0),
        ({"retry-after": " 0.5 "}, "", 0.5),
        ({"x-retry-after": "9"}, "", 9.0),
        ({"Retry-After": "0"}, "try again in 5 s", 0.0),
        ({"Retry-After": formatdate(NOW + 42, usegmt=True)}, "", 42.0),
        ({"Retry-After": formatdate(NOW - 42, usegmt=True)}, "", 0.0),
        ({"Retry-After": formatdate(NOW + 42)}, "", 42.0),
        ({"retry-after-ms": "100", "retry-after": "9", "x-ratelimit-reset": "3"}, "try again in 5 s", 0.1),
        ({"x-ms-retry-after-ms": "200", "retry-after": "9"}, "", 0.2),
        ({"retry-after": "9", "x-retry-after": "8", "x-ratelimit-reset": "3"}, "try again in 5 s", 9.0),
        ({"x-ratelimit-reset": "3"}, "try again in 5 s", 3.0),
        ({"X-RateLimit-Reset": f"{NOW + 30:.0f}"}, "", 30.0),
        ({"X-RateLimit-Reset": f"{(NOW + 30) * 1000:.0f}"}, "", 30.0),
        ({"X-RateLimit-Reset": "999999999"}, "", 999_999_999.0),
        ({"X-RateLimit-Reset": "1000000000"}, "", 0.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, "", 360.0),
        ({"x-ratelimit-reset-tokens": "20ms"}, "", 0.02),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, "", 3723.5),
        ({"anthropic-ratelimit-tokens-reset": LATER.isoformat()}, "", 42.0),
        ({"anthropic-ratelimit-tokens-reset": LATER.replace(tzinfo=None).isoformat()}, "", 42.0),
        ({"anthropic-ratelimit-input-tokens-reset": LATER.strftime("%Y-%m-%dT%H:%M:%SZ")}, "", 42.0),
        ({"x-ratelimit-requests-reset": formatdate(NOW + 42, usegmt=True)}, "", 42.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "9s"}, "", 9.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "9s",
                "x-ratelimit-remaining-tokens": "7",
            },
            "",
            1.0,
        ),
        ({"x-ratelimit-reset": "4", "x-ratelimit-remaining": "many"}, "", 4.0),
        ({"x-ratelimit-reset": "4", "x-ratelimit-remaining": "1"}, "", None),
        ({"x-ratelimit-reset": "4", "x-ratelimit-remaining": "1"}, "try again in 5 s", 5.0),
        ({}, "Please try again in 20s.", 20.0),
        ({}, "please TRY AGAIN IN 1m30s", 90.0),
        ({}, "Please retry after 30 seconds.", 30.0),
        ({}, "Please retry in 31.5s.", 31.5),
        ({}, '{"retryDelay": "17s"}', 17.0),
        ({}, "try again in 500 ms", 0.5),
        ({}, "try again in 500 milliseconds", 0.5),
        ({}, "Try again in 2 minutes", 120.0),
        ({}, "Try again in 2 mins 5 secs", 125.0),
        ({}, "try again in 1 hour", 3600.0),
        ({}, "try again after 3 seconds, or try again in 9 s", 3.0),
        ({}, "try again in 5 sheep", None),
        ({}, "try again later", None),
        ({}, "you had 3 s", None),
        ({}, "", None),
        ({"content-length": "12"}, "", None),
        ({"ratelimit-reset": "12"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "1_0"}, "", None),
        ({"retry-after": "١٢"}, "", None),
        ({"retry-after": "9" * 400}, "", None),
        ({"retry-after-ms": "soon", "retry-after": "3"}, "", 3.0),
        ({"retry-after": "Mon, 99 Foo 2026 10:00:00 GMT"}, "try again in 4 s", 4.0),
        ({"x-ratelimit-reset": "whenever"}, "", None),
        ({}, " " * 16_384 + "try again in 4 s", None),
        ({}, " " * 16_368 + "try again in 4 s", 4.0),
    ],
)
def test_a_hint_is_read_from_the_most_exact_source(headers, text, seconds):
    found = retry_after(headers, text, NOW)

    assert found == (seconds if seconds is None else pytest.approx(seconds))


NAMES = st.sampled_from(
    [
        "date",
        "retry-after",
        "Retry-After-Ms",
        "x-ms-retry-after-ms",
        "x-ratelimit-reset",
        "anthropic-ratelimit-tokens-reset",
    ]
)
VALUES = st.one_of(st.text(), st.from_regex(r"\A[0-9.:TZ+\-smh ]{0,30}\Z"), st.datetimes().map(datetime.isoformat))


@given(st.dictionaries(NAMES, VALUES), st.text())
def test_no_answer_makes_a_hint_raise_or_go_back_in_time(headers, text):
    found = retry_after(headers, text, NOW)

    assert found is None or 0 <= found < float("inf")


@pytest.mark.parametrize("skew", [-600, 0, 600], ids=["behind", "right", "ahead"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("Retry-After", lambda moment: formatdate(moment, usegmt=True)),
        ("X-Retry-After", lambda moment: formatdate(moment, usegmt=True)),
        ("x-ratelimit-reset", lambda moment: f"{moment:.0f}"),
        ("x-ratelimit-reset", lambda moment: f"{moment * 1000:.0f}"),
        ("anthropic-ratelimit-tokens-reset", lambda moment: datetime.fromtimestamp(moment, UTC).isoformat()),
    ],
)
def test_a_date_is_compared_with_the_clock_of_the_server_that_wrote_it(skew, name, write):
    theirs = NOW + skew

    assert retry_after({"Date": formatdate(theirs, usegmt=True), name: write(theirs + 20)}, "", NOW) == 20.0


def test_an_answer_with_a_date_needs_no_other_clock():
    assert retry_after({"date": formatdate(NOW), "retry-after": formatdate(NOW + 20)}) == 20.0


@pytest.mark.parametrize("said", ["", "yesterday", "Mon, 99 Foo 2026 10:00:00 GMT"])
def test_a_server_whose_clock_is_not_known_is_taken_to_have_ours(said):
    assert retry_after({"date": said, "retry-after": formatdate(NOW + 20)}, "", NOW) == 20.0


@pytest.mark.parametrize("date", [formatdate(NOW + 20), f"{NOW + 20:.0f}", LATER.isoformat()])
def test_without_any_clock_a_date_is_no_hint(date):
    assert retry_after({"x-ratelimit-reset": date}, "try again in 5 s") == 5.0


def test_a_hint_in_seconds_counts_from_now_whatever_the_date_says():
    assert retry_after({"date": formatdate(NOW - 600), "retry-after": "7"}, "", NOW) == 7.0


def test_a_written_date_without_a_zone_is_meant_in_utc_wherever_the_proxy_runs(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        spans = [
            retry_after({name: value}, "", NOW)
            for name, value in (
                ("retry-after", formatdate(NOW + 42)),
                ("x-ratelimit-reset", LATER.replace(tzinfo=None).isoformat()),
            )
        ]
    finally:
        monkeypatch.undo()
        time.tzset()

    assert spans == [42.0, 42.0]


def test_words_alone_may_say_when():
    assert advice("You exceeded your quota. Please retry in 31.5s.") == 31.5
    assert advice("Please come back later.") is None
