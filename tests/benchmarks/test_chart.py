"""The chart is well-formed, small, and says the figures that it draws."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import PANELS, Bar, bars, drawn
from benchmarks.targets import Rows
from tests.benchmarks.test_targets import everything

SVG = "{http://www.w3.org/2000/svg}"
MEMORY = next(panel for panel in PANELS if panel.unit == "MB")
SHARE = next(panel for panel in PANELS if panel.is_share)
REQUESTS = PANELS[0]


def rows(row: str, **values: float | None) -> Rows:
    return {row: {name: {1: value} for name, value in values.items()}}


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_chart_of_a_whole_run_is_small_and_well_formed() -> None:
    report = everything()
    svg = drawn(report.rounds(), report.contestants)

    assert len(svg.encode()) < 15_000
    assert {panel.title for panel in PANELS} <= set(texts(svg))
    assert "prefers-color-scheme:dark" in svg


def test_whoever_sees_no_chart_is_told_its_figures() -> None:
    svg = ET.fromstring(drawn(rows(MEMORY.row, bare=70.4, proxy=91.0, LiteLLM=328.0), {}))
    [title], [description] = svg.findall(f"{SVG}title"), svg.findall(f"{SVG}desc")

    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert description.text == "Memory after the start: bare handler 70.4 MB, this proxy 91.0 MB, LiteLLM 328 MB."


def test_bars_are_in_proportion_and_the_far_longer_are_cut() -> None:
    """LiteLLM would be five times as long as the shortest, the bare handler; no other bar is longer than four."""
    measured = bars(MEMORY, rows(MEMORY.row, bare=50.0, proxy=100.0, LiteLLM=250.0))

    assert measured == [
        Bar("bare", "50.0 MB", "", 52.5, is_cut=False),
        Bar("proxy", "100 MB", "2.00 \N{MULTIPLICATION SIGN}", 105.0, is_cut=False),
        Bar("LiteLLM", "250 MB", "5.00 \N{MULTIPLICATION SIGN}", 210.0, is_cut=True),
    ]


def test_cut_bars_are_marked_as_such() -> None:
    svg = ET.fromstring(drawn(rows(MEMORY.row, bare=50.0, proxy=100.0, LiteLLM=250.0), {}))

    assert len(svg.findall(f"{SVG}path")) == 1
    assert len(svg.findall(f"{SVG}rect")) == 1 + 3


def test_the_longest_bar_is_whole_where_none_is_far_longer() -> None:
    assert [bar.length for bar in bars(MEMORY, rows(MEMORY.row, bare=50.0, proxy=100.0))] == [105.0, 210.0]


def test_nginx_is_no_measure_of_length() -> None:
    measured = bars(REQUESTS, rows(REQUESTS.row, nginx=0.01, bare=0.5, proxy=1.0))

    assert [(bar.contestant, bar.length) for bar in measured] == [("nginx", 2.1), ("bare", 105.0), ("proxy", 210.0)]
    assert [bar.contestant for bar in bars(MEMORY, rows(MEMORY.row, nginx=13.0, bare=70.0))] == ["bare"]


def test_streams_carried_are_shares_of_all_that_were_due() -> None:
    measured = bars(SHARE, rows(SHARE.row, bare=1.0, proxy=0.5, Portkey=0.0))

    assert [(bar.label, bar.length, bar.times) for bar in measured] == [
        ("100%", 210.0, ""),
        ("50%", 105.0, ""),
        ("0%", 0.0, ""),
    ]


def test_who_was_not_measured_has_no_bar() -> None:
    assert bars(MEMORY, rows(MEMORY.row, bare=None, proxy=70.0, somebody=1.0)) == [
        Bar("proxy", "70.0 MB", "", 210.0, is_cut=False)
    ]


def test_versions_are_written_as_text_whatever_is_in_them() -> None:
    svg = drawn(rows(MEMORY.row, bare=1.0, Portkey=2.0), {"Portkey": '1<2&"3"'})

    assert texts(svg)[-1] == 'Portkey 1<2&"3"'


def test_a_run_without_a_figure_of_the_chart_draws_none() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        drawn({"64 connections: requests/s": {"proxy": {1: 1.0}}}, {})


def test_every_text_ends_within_its_column() -> None:
    """A letter takes seven pixels at most; the second column begins at 448."""
    report = everything()
    svg = ET.fromstring(drawn(report.rounds(), report.contestants))
    panels = [each for each in svg.iter(f"{SVG}text") if each.get("class") in (None, "b", "t")]
    ends = [(float(each.get("x", "")), 7 * len("".join(each.itertext()))) for each in panels]

    assert len(ends) > 2 * len(PANELS)
    assert [x for x, length in ends if x + length > (440 if x < 448 else 870)] == []
