"""A report as people see it: in a terminal that is narrow or wide, without colours, and in ASCII."""

import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from gateway.cli.check.render import print_report
from gateway.cli.check.report import Answer, DeploymentRow, ModelRow, Report, SubaccountRow, remark, wrong
from gateway.cli.terminal import working
from tests.gateway.cli.drawn import Terminal

SONNET = "anthropic--claude-4.5-sonnet"
CLAUDE = ("claude-converse", "claude-invoke")


def row(name, *states, runs="", protocols=("openai-chat",), serves=(), standby=False):
    deployments = tuple(DeploymentRow(f"d{number}", "RUNNING", ok) for number, ok in enumerate(states, 1))
    return ModelRow(name, runs or name, "", protocols, deployments, serves or (name,), standby=standby)


ORCHESTRATION = row("orchestration", True, protocols=("orchestration",), serves=("gpt-5", "gpt-4.1"), standby=True)
EU = SubaccountRow("eu", "default", (row("sonnet", True, True, runs=SONNET, protocols=CLAUDE), ORCHESTRATION), ok=True)
US = SubaccountRow("us", "team-a", (row("gpt-5", True, False), row("gpt-5.5", None)), ok=False)
AP = SubaccountRow("ap", "default", (), ok=False)
STOPPED = wrong("not_running", "us", "gpt-5 (d2) is STOPPED, not RUNNING", "deploy its model anew, or take it out")
ODD = remark("setting", "", "prot: this key is unknown and has no effect")


def drawn(report, width, **how):
    """The lines of a report in a terminal of so many columns, without the blanks at their ends."""
    file = StringIO()
    print_report(report, Console(file=file, width=width, markup=False, highlight=False), **how)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_summary_comes_first_then_a_table_then_what_is_wrong_then_what_is_to_know():
    assert drawn(Report((EU, US, AP), (STOPPED, ODD)), 100) == [
        "✗ 3 subaccounts, 4 models: 1 thing to put right",
        "",
        "    subaccount   model                                   deployments   asked by",
        "─" * 100,
        "✓   eu           sonnet (anthropic--claude-4.5-sonnet)             2   claude-converse,",
        "                                                                       claude-invoke",
        "✓                orchestration                                     1   on standby for 2 models",
        "✗   us           gpt-5                                        1 of 2   openai-chat",
        "·                gpt-5.5                                           1   openai-chat",
        "✗   ap           nothing",
        "",
        "✗ us gpt-5 (d2) is STOPPED, not RUNNING",
        "     → deploy its model anew, or take it out",
        "",
        "! config prot: this key is unknown and has no effect",
    ]


def test_where_all_is_well_there_is_nothing_below_the_table():
    assert drawn(Report((EU,), ()), 120) == [
        "✓ 1 subaccount, 3 models: all is well",
        "",
        "    subaccount   model                                   deployments   asked by",
        "─" * 101,
        "✓   eu           sonnet (anthropic--claude-4.5-sonnet)             2   claude-converse, claude-invoke",
        "✓                orchestration                                     1   on standby for 2 models",
    ]


def test_what_is_served_is_left_out_where_it_has_been_listed_before():
    assert drawn(Report((EU, US), (STOPPED,)), 120, lists_served=False) == [
        "✗ 2 subaccounts, 4 models: 1 thing to put right",
        "",
        "✗ us gpt-5 (d2) is STOPPED, not RUNNING",
        "     → deploy its model anew, or take it out",
    ]


def test_a_narrow_terminal_wraps_long_lines_below_their_beginning():
    long = wrong("url", "us", f"gpt-5 (d2): {'word ' * 14}end", f"write {'x' * 60} or {'y' * 20}")
    lines = drawn(Report((US,), (long,)), 80)

    assert max(map(len, lines)) <= 80
    assert lines[-4:] == [
        f"✗ us gpt-5 (d2): {'word ' * 11}word",
        "     word word end",
        f"     → write {'x' * 60} or",
        f"     {'y' * 20}",
    ]


def test_answers_have_a_table_of_their_own_that_says_what_they_cost():
    answers = (
        Answer("eu", SONNET, "claude-converse", 0.8124, f"{'hello ' * 6}hello"),
        Answer("eu", "gpt-5", "openai-chat", error="No access"),
    )

    assert drawn(Report((), (), answers), 80)[2:] == [
        "    subaccount   model                          first word   says",
        "─" * 80,
        "✓   eu           anthropic--claude-4.5-sonnet       812 ms   hello hello hello …",
        "✗                gpt-5                                       No access",
        "2 short prompts sent, which cost some tokens",
    ]


def test_a_terminal_that_knows_ascii_alone_gets_other_signs():
    raw = BytesIO()
    file = TextIOWrapper(raw, encoding="ascii")
    print_report(Report((), (STOPPED,)), Console(file=file, width=80))
    file.flush()
    lines = raw.getvalue().decode("ascii").splitlines()

    assert [line.rstrip() for line in lines] == [
        "x 0 subaccounts, 0 models: 1 thing to put right",
        "",
        "x us gpt-5 (d2) is STOPPED, not RUNNING",
        "     > deploy its model anew, or take it out",
    ]


@pytest.mark.parametrize("colours", [True, False])
def test_there_are_colours_only_where_they_are_wanted(colours):
    file = StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard", no_color=not colours)
    print_report(Report((EU,), (STOPPED, ODD)), console)

    assert ("\x1b[1;31m✗" in file.getvalue()) is colours
    assert ("\x1b[32m✓" in file.getvalue()) is colours


def test_what_is_shown_as_markup_elsewhere_is_shown_as_it_stands():
    odd = wrong("other_model", "us", "gpt-5 (d2) serves [bold]nothing[/bold] :smile:")

    assert drawn(Report((), (odd,)), 80)[2:] == ["✗ us gpt-5 (d2) serves [bold]nothing[/bold] :smile:"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_is_under_way_is_shown_on_a_terminal_alone(monkeypatch, capsys, is_terminal):
    file = Terminal() if is_terminal else StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setenv("TERM", "xterm")
    with working("Looking") as show:
        show("Asking 1 of 2")

    assert capsys.readouterr().out == ""
    assert ("Asking 1 of 2" in file.getvalue()) is is_terminal
    assert bool(file.getvalue()) is is_terminal
