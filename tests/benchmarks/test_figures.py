"""Figures of the benchmarks: sums over /proc, medians, ratios, tables."""

from pathlib import Path

import pytest

from benchmarks.contestants import Direct, Schedule
from benchmarks.figures import ProcessTimes, middle, per_thousand, process_times, pss_bytes, ratio, table, text
from benchmarks.measures import Measure, Taken, figures_of, troubles_of
from benchmarks.plan import ONE_PROCESS, TWO_PROCESSES
from benchmarks.report import Report
from benchmarks.targets import SCALING

STAT = "77 (a (b) c) S 1 77 70 0 -1 4194560 100 200 0 0 11 12 13 14 20 0 64 0 5 6 7"
ROLLUP = "55-7f ---p 00000000 00:00 0 [rollup]\nRss:    9000 kB\nPss:    2000 kB\nPss_Dirty:  10 kB\n"
QUIET = {
    "seconds": 2.0, "answers": 8, "chunks": 4_000, "done": 8, "share": 1.0, "unfinished": 0, "silent": 0,
    "refused": 0, "broken": 0, "connect_errors": 0, "misplaced": 0, "delay_p50": 500, "delay_p99": 2_000,
    "latency_p50": 1_500, "latency_p99": 3_000,
}  # fmt: skip


def test_cpu_time_is_that_of_a_process_and_of_the_children_it_reaped() -> None:
    assert process_times(STAT) == ProcessTimes(session=70, ticks=50, is_zombie=False)


def test_a_zombie_is_known_by_its_state() -> None:
    assert process_times(STAT.replace(") S ", ") Z ")).is_zombie


def test_memory_is_the_proportional_set_size_in_bytes() -> None:
    assert pss_bytes(ROLLUP) == 2_048_000
    assert pss_bytes("") == 0


def test_a_median_leaves_out_what_could_not_be_measured() -> None:
    assert middle([3.0, None, 1.0, 2.0]) == 2.0
    assert middle([None]) is None


def test_nothing_is_divided_by_nothing() -> None:
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(3.0, 0.0) is None
    assert ratio(None, 2.0) is None
    assert per_thousand(1.0, 2) == 500.0
    assert per_thousand(1.0, 0) is None


def test_numbers_have_three_figures_that_matter() -> None:
    assert [text(value) for value in (None, 0.0, 0.00123, 0.1234, 1.234, 12.34, 123.4, 12_345.0)] == [
        "-",
        "0",
        "0.0012",
        "0.123",
        "1.23",
        "12.3",
        "123",
        "12,345",
    ]


def test_a_table_has_its_names_to_the_left() -> None:
    assert table(["", "a"], [["row", "1"]]) == "|  | a |\n| --- | ---: |\n| row | 1 |"


def test_cpu_is_shared_out_among_chunks_of_streams_and_among_requests() -> None:
    paced = Measure("paced", 8, 2.0, Schedule(500, 250), stream=True)
    unpaced = Measure("unpaced", 8, 2.0, Schedule(500, 0), stream=True)
    whole = Measure("whole", 8, 2.0, Schedule(10, 0))

    assert figures_of(paced, QUIET, cpu=0.4)["CPU ms per 1,000 chunks"] == 100.0
    assert figures_of(unpaced, QUIET, cpu=0.4) == {"chunks/s": 2_000.0, "CPU ms per 1,000 chunks": 100.0}
    assert figures_of(whole, QUIET, cpu=0.4)["CPU s per 1,000 requests"] == 50.0
    assert figures_of(whole, QUIET, cpu=None)["CPU s per 1,000 requests"] is None


def test_client_and_upstream_that_share_the_cores_are_counted() -> None:
    shared = Measure("shared", 8, 2.0, Schedule(10, 0), on_both=True)

    assert figures_of(shared, QUIET | {"cpu_s": 0.1}, cpu=0.4, upstream_cpu=0.2) == {
        "requests/s": 4.0,
        "CPU s per 1,000 requests": 50.0,
        "cores that client and upstream take": pytest.approx(0.15),
    }


def test_no_delay_is_claimed_for_chunks_that_never_came() -> None:
    paced = Measure("paced", 8, 2.0, Schedule(500, 250), stream=True)

    assert figures_of(paced, QUIET | {"chunks": 0, "delay_p99": 0}, cpu=1.0)["delay p99, ms"] is None


def test_what_went_wrong_is_named() -> None:
    paced = Measure("paced", 8, 2.0, Schedule(500, 250), stream=True)

    assert troubles_of(paced, QUIET) == []
    assert troubles_of(paced, QUIET | {"refused": 3, "done": 6, "silent": 4}) == [
        "3 unsuccessful answers",
        "2 streams without [DONE]",
        "4 streams without a chunk",
    ]


def reported(**rounds: list[float]) -> Report:
    report = Report(dict.fromkeys(rounds, ""))
    for name, values in rounds.items():
        for number, value in enumerate(values, 1):
            report.add(number, "m", name, Taken({"latency p50, ms": value}))
    return report


def test_a_ratio_is_the_median_of_those_within_each_round() -> None:
    """The second round met a slow minute; the ratio of medians would be 3 / 4."""
    report = reported(bare=[1.0, 100.0, 4.0], proxy=[3.0, 200.0, 2.0])

    assert report.markdown().endswith("| m: latency p50, ms | 4.00 | 3.00 (2.00) |")


def test_latency_is_what_is_added_to_that_of_the_upstream_in_the_same_round() -> None:
    rounds = reported(direct=[1.0, 2.0], bare=[3.0, 7.0]).rounds()

    assert rounds == {"m: added latency p50, ms": {Direct.name: {1: 1.0, 2: 2.0}, "bare": {1: 2.0, 2: 5.0}}}


def test_only_a_contestant_that_did_not_serve_is_a_failure() -> None:
    report = reported(bare=[1.0])
    report.add(1, "m", "bare", Taken(trouble=["3 streams without a chunk"]))

    assert not report.failed
    report.add(1, "m", "bare", Taken(trouble=["no answer"], failed=True))
    assert report.failed


def test_two_processes_are_held_against_one_of_the_same_round() -> None:
    report = Report({"bare": ""})
    for number, (one, two) in enumerate([(100.0, 180.0), (50.0, 95.0), (100.0, 150.0)], 1):
        report.add(number, ONE_PROCESS, "bare", Taken({"requests/s": one}))
        report.add(number, TWO_PROCESSES, "bare", Taken({"requests/s": two}))

    assert report.rounds()[SCALING] == {"bare": {1: 1.8, 2: 1.9, 3: 1.5}}
    assert f"| {SCALING} | 1.80 |" in report.markdown()


def test_what_a_run_wrote_is_read_again(tmp_path: Path) -> None:
    report = reported(direct=[1.0, 2.0], bare=[3.0, 7.0])
    report.add(2, "m", "bare", Taken(start={"cold start, s": 0.5}, trouble=["3 streams without a chunk"], failed=True))
    report.write(tmp_path / "bench.json", {"load": 0.1})
    again = Report.read(tmp_path / "bench.json")

    assert (again.rounds(), again.contestants) == (report.rounds(), report.contestants)
    assert (list(again.troubles()), again.failed, again.last_round) == (list(report.troubles()), True, 2)


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"contestants": {}, "runs": [{}]}'])
def test_what_no_run_wrote_is_not_read(content: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(content)

    with pytest.raises(ValueError, match=r"other.json|Expecting value"):
        Report.read(tmp_path / "other.json")


def test_figures_of_the_start_come_first_and_the_others_as_they_came() -> None:
    report = Report({"bare": ""})
    report.add(1, "m", "bare", Taken({"requests/s": 1.0, "CPU s": 2.0}, {"cold start, s": 1.0}))
    report.add(2, "m", "bare", Taken(start={"--help, s": 1.0}))

    assert list(report.rounds()) == ["start: cold start, s", "start: --help, s", "m: requests/s", "m: CPU s"]
