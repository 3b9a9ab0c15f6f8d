"""What the proxy must not exceed: figures are looked up by the names that they are measured under."""

import pytest

from benchmarks.measures import Measure, Taken, figures_of
from benchmarks.plan import SIXTEEN, measures
from benchmarks.report import Report
from benchmarks.targets import REQUEST_CPU, TARGETS, Target, as_written, not_judged, ratio_text, targets_table
from tests.benchmarks.test_figures import QUIET

REQUEST = f"{SIXTEEN}: {REQUEST_CPU}"


def rows_of(**rounds: list[float]) -> dict[str, dict[str, dict[int, float | None]]]:
    return {REQUEST: {name: dict(enumerate(values, 1)) for name, values in rounds.items()}}


def everything() -> Report:
    """A run of everything, in which all contestants have the same figures but for the delay that the upstream has."""
    report = Report(dict.fromkeys(["direct", "bare", "Portkey", "proxy", "LiteLLM"], "1.0"))
    for measure in measures(seconds=5):
        for name in report.contestants:
            report.add(1, measure.name, name, taken_by(name, measure))
    return report


def taken_by(name: str, measure: Measure) -> Taken:
    counted = QUIET if name != "direct" else QUIET | {"latency_p50": 100, "latency_p99": 200}
    start = {"cold start, s": 0.5, "memory at rest, MB": 50.0}
    return Taken(figures_of(measure, counted | {"cpu_s": 0.1}, 1.0, 0.1), start)


def test_every_target_is_about_something_that_is_measured() -> None:
    rows = everything().rounds()

    assert [target.row for target in TARGETS if target.measured(rows) is None] == []
    assert not_judged(rows) == ""


def test_a_target_is_the_median_of_the_ratios_within_each_round() -> None:
    target = Target(REQUEST, "bare", 0.85)

    assert target.measured(rows_of(bare=[1.0, 100.0, 4.0], proxy=[3.0, 200.0, 2.0])) == 2.0
    assert target.measured(rows_of(proxy=[1.0])) is None


def test_a_figure_may_be_held_against_another_of_the_bare_handler() -> None:
    rows = rows_of(bare=[2.0]) | {"other": {"proxy": {1: 3.0}}}

    assert Target("other", "bare", 2, of_row=REQUEST).measured(rows) == 1.5
    assert (
        str(Target("other", "bare", 2, of_row=REQUEST)) == "at most 2.00 \N{MULTIPLICATION SIGN} bare's 16 connections"
    )


@pytest.mark.parametrize(
    ("ours", "table"),
    [
        (0.854, "| at most 0.85 \N{MULTIPLICATION SIGN} bare | 0.85 | met |"),
        (0.856, "| at most 0.85 \N{MULTIPLICATION SIGN} bare | 0.86 | MISSED |"),
    ],
)
def test_a_target_is_judged_by_what_is_written(ours: float, table: str) -> None:
    assert targets_table(rows_of(bare=[1.0], proxy=[ours])).splitlines()[2] == f"| {REQUEST} {table}"


def test_what_must_be_reached_is_missed_by_less() -> None:
    target = Target("share", "bare", 1, at_least=True)

    assert (target.is_met_by(1.0), target.is_met_by(0.99)) == (True, False)


def test_small_ratios_are_parts_of_one() -> None:
    assert [ratio_text(value) for value in (1 / 35, 0.0271, 0.17, 0.255, 1.7, 0.0)] == [
        "1/35",
        "1/36.9",
        "1/5.9",
        "0.26",
        "1.70",
        "0.00",
    ]
    assert as_written(1 / 35.04) == 1 / 35
    assert as_written(None) is None


def test_who_lacks_the_upstream_itself_is_not_judged_by_added_latency() -> None:
    rows = rows_of(bare=[1.0], proxy=[1.0])

    assert not_judged(rows).endswith("targets have no figures in this run; added latency needs `direct` in the run.")
    assert targets_table({}) == ""
