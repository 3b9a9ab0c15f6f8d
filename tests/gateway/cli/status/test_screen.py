"""What is drawn of a proxy: in any space, what is wrong first."""

from datetime import UTC
from typing import Any

import pytest

from gateway.cli.status.screen import render, span
from gateway.cli.status.view import Snapshot, View, view_of
from gateway.cli.terminal import Space
from tests.gateway.cli.drawn import ascii_of, text_of
from tests.gateway.cli.status.states import decision, endpoint, snapshot, worker
from tests.gateway.cli.status.test_view import COOLDOWN, OPEN, counts

CLAUDE = "anthropic--claude-4.6-sonnet"


def drawn(view: View, width: int = 80, height: int | None = 24, **more: Any) -> str:
    return text_of(render(view, Space(width, height), zone=UTC, **more), width)


def busy() -> View:
    """A proxy with two workers in the last ten seconds, of whose sixty endpoints two are in trouble."""
    rows = [
        endpoint(f"d{number:02}", model=f"model-{number // 4:02}", subaccount=("eu", "us")[number % 2])
        for number in range(58)
    ]
    before = [endpoint("claude", model=CLAUDE), endpoint("gpt", **counts(5))]
    answered = counts(20, 4, 16.0, input=9000, cache_read=1000, output=500)
    now = [
        endpoint("claude", model=CLAUDE, in_flight=3, **COOLDOWN, **answered),
        endpoint("gpt", **OPEN, **counts(5, 5)),
    ]  # fmt: skip
    decisions = [
        decision(model=CLAUDE, trail="eu/claude ok"),
        decision(trail="eu/gpt 503 -> eu/d01 ok", duration=12.4),
        decision(trail="eu/gpt 503", status=503, outcome="overloaded", first_content=None),
        decision(model="", requested="gpt-9", trail="", status=404, outcome="not_found", duration=0.002),
        decision(outcome="caller_left"),
    ]
    shared = {"subaccounts": {"eu": "ok", "us": "ok"}}
    past = snapshot([*rows, *before], **shared, workers=[worker(), worker(12)])
    present = snapshot(
        [*rows, *now],
        at=70.0,
        **shared,
        workers=[worker(outcomes={"ok": 24, "overloaded": 1}), worker(12)],
        decisions=decisions,
    )
    return view_of(present, past)


def test_eighty_columns_hold_what_matters() -> None:
    expected = """\
! unwell  1.2.3  up 70 s  2 workers  2.5 requests/s  3 in flight
  0.10 errors/s  first word 800 ms  1.0k tokens/s in 50/s out  10 % cached
  anthropic--claude-4.6-sonnet cannot be served
  gpt-5 cannot be served
  and 2 more
  subaccounts   ! eu 29/31   ✓ us 29/29

   model                          up  req/s  err/s  first word  out/s  cached
─────────────────────────────────────────────────────────────────────────────
✗  anthropic--claude-4.6-sonnet  0/1    2.4   0.40      800 ms     50    10 %
✗  gpt-5                         0/1   0.50   0.50           -      -       -
   and 15 more, all well

   deployment             model                       state
────────────────────────────────────────────────────────────────────────────────
✗  eu/claude              anthropic--claude-4.6-son…  in cooldown 23 s: quota: …
✗  eu/gpt                 gpt-5                       circuit open 8 s: 5 failu…
   and 58 more, all well

   ended     model                         decision                 total
─────────────────────────────────────────────────────────────────────────
✓  22:14:10  anthropic--claude-4.6-sonnet  eu/claude ok             1.5 s
!  22:14:10  gpt-5                         eu/gpt 503 -> eu/d01 ok   12 s
             and 3 more"""

    assert drawn(busy()) == expected


@pytest.mark.parametrize("width", [30, 44, 60, 80, 100, 140, 200])
@pytest.mark.parametrize("height", [10, 16, 24, 45, 100])
def test_whatever_the_space_it_is_not_left_and_the_first_line_says_how_it_is(width: int, height: int) -> None:
    lines = drawn(busy(), width, height).splitlines()

    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, 15)
    assert lines[0].startswith("! unwell  ")


def test_the_failing_deployments_are_seen_in_a_small_window_and_on_a_phone() -> None:
    for width in (44, 80):
        lines = [line for line in drawn(busy(), width).splitlines() if line.startswith("✗  eu/")]

        assert [line.split()[1] for line in lines] == ["eu/claude", "eu/gpt"]
        assert all("in cooldown" in line or "circuit open" in line for line in lines)


def test_what_is_wrong_goes_before_what_was_decided_where_room_is_scarce() -> None:
    rows = [endpoint(f"d{number}", **OPEN) for number in range(6)]
    text = drawn(view_of(snapshot(rows, decisions=[decision()] * 30)), 80, 22)

    assert text.count("circuit open 8 s") == 6
    assert text.count("eu/d1 ok") == 1


def test_without_a_window_deployments_that_nobody_asked_are_counted() -> None:
    rows = [
        *(endpoint(f"idle{number}") for number in range(9)),
        endpoint("asked", **counts(5)),
        endpoint("open", **OPEN),
    ]
    text = drawn(view_of(snapshot(rows)), 100, None)

    assert [name for name in ("eu/open", "eu/asked", "idle") if name in text] == ["eu/open", "eu/asked"]
    assert "and 9 more, all well" in text


def test_a_very_wide_window_says_by_which_strategy_each_model_is_served() -> None:
    rows = [endpoint("d1", model="gpt-5"), endpoint("d2", model="gpt-5.5")]
    view = view_of(snapshot(rows, strategies={"gpt-5": "round-robin", "gpt-5.5": "cache-affinity"}))
    lines = [line.split() for line in drawn(view, 160, 60).splitlines()]

    assert [line[3] for line in lines if line[1:3] in (["gpt-5", "1/1"], ["gpt-5.5", "1/1"])] == [
        "round-robin",
        "cache-affinity",
    ]
    assert "strategy" not in drawn(view, 120, 60)


def test_a_wide_window_says_why_and_who_asked() -> None:
    text = drawn(busy(), 140, 60)

    assert "in cooldown 23 s: quota: rate_limited" in text
    assert "circuit open 8 s: 5 failures" in text
    assert "f77894fd  openai-chat  60   40      250 ms  1.5 s" in text


def test_what_scrolls_is_cut_nowhere_and_counts_since_the_start() -> None:
    view = view_of(snapshot([endpoint(f"d{number}", **counts(3)) for number in range(70)], decisions=[decision()] * 25))
    text = drawn(view, 140, None)

    assert all(f"eu/d{number} " in text for number in range(70))
    assert text.count("eu/d1 ok") == 20
    assert text.endswith("and 5 more")
    assert "requests  errors" in text
    assert "Req/s" not in text


def test_how_a_request_ended_is_said_before_where_it_went() -> None:
    lines = drawn(busy(), 100, 60).splitlines()[-5:]

    assert [line[0] for line in lines] == ["✓", "!", "✗", "!", "·"]
    assert "overloaded eu/gpt 503" in lines[2]
    assert "gpt-9" in lines[3]
    assert "not_found" in lines[3]


def test_a_proxy_that_is_silent_is_shown_as_it_was() -> None:
    well = view_of(snapshot())
    lines = drawn(well, silence="not reachable since 22:15:00 (7 s)").splitlines()

    assert lines[0].startswith("✗ not reachable since 22:15:00 (7 s)  1.2.3  up 60 s  1 worker  ")
    assert lines[1:] == drawn(well).splitlines()[1:]


def test_a_terminal_without_utf_8_gets_ascii() -> None:
    plain = ascii_of(render(busy(), Space(80, 60, is_utf=False), zone=UTC), 140)

    assert b"\nx| eu/claude" in plain.replace(b" |", b"|")


def test_where_nothing_was_asked_nothing_is_claimed() -> None:
    view = view_of(snapshot([], subaccounts={}))

    assert drawn(view).count("none so far") == 3


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"), (9.6, "10 s"), (59.9, "59 s"), (119.9, "119 s"), (125, "2 min 05 s"), (3600, "1 h 0 min"),
        (11_520, "3 h 12 min"), (200_000, "2 d 7 h"),
    ],
)  # fmt: skip
def test_a_duration_is_written_in_two_units_at_most(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("asked", "seconds", "said"),
    [(0, 10, "0 requests/s"), (1, 10, "0.10 requests/s"), (25, 10, "2.5 requests/s"), (123, 10, "12 requests/s"),
     (12_300, 10, "1.2k requests/s"), (24_000_000, 2, "12M requests/s")],
)  # fmt: skip
def test_a_rate_has_as_many_digits_as_one_reads(asked: int, seconds: int, said: str) -> None:
    before = snapshot(workers=[worker()])
    now = snapshot(workers=[worker(outcomes={"ok": asked})])
    view = view_of(Snapshot(before.at + seconds, now.state), before)

    assert f"  {said}  " in drawn(view).splitlines()[0]
