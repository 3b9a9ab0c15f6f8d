"""Text from elsewhere steers no terminal: a model's answer, a message of SAP AI Core, names of what --url serves."""

import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from gateway.cli.completion import _names
from gateway.cli.messages import fail, warn
from gateway.cli.questions import Questions
from gateway.cli.terminal import aligned, joined, output, progress, stacked, styled, table, working
from gateway.tool_settings.deployed import read_models
from tests.gateway.cli.drawn import Terminal

SAYS = "a\x1b]0;title\x07\x9b2J\rb\u202ec"
"""Sets the title of a terminal, clears it, goes back in the line and turns the direction of writing."""


def shown(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], None], stream: str = "stdout") -> str:
    """What goes to a stream that is a terminal without colours."""
    file = Terminal()
    monkeypatch.setattr(sys, stream, file)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    draw()
    return file.getvalue()


@pytest.mark.parametrize(
    "drawing",
    [
        SAYS,
        styled(SAYS, ""),
        joined([SAYS]),
        table(["heading"], [[SAYS]]),
        table(["heading"], [[SAYS]], cut=["heading"]),
        aligned([[SAYS]]),
        stacked("", SAYS),
    ],
    ids=["string", "styled", "joined", "table", "cut table", "aligned", "stacked"],
)
def test_no_drawing_steers_a_terminal(monkeypatch: pytest.MonkeyPatch, drawing: object) -> None:
    text = shown(monkeypatch, lambda: output().print(drawing))

    assert "a?]0;title??2J b?c" in text
    assert text.replace("\n", "").isprintable()


def test_lines_of_a_text_stay_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, lambda: output().print("{\n  1\n}")) == "{\n  1\n}\n"


def test_no_progress_steers_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def show() -> None:
        with progress(output()) as say:
            say(SAYS)

    assert shown(monkeypatch, show) == "a?]0;title??2J b?c\n"


def test_what_is_under_way_has_no_escapes_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", file := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with working(SAYS) as say, progress(output()):
        say(SAYS)

    assert "a?]0;title??2J b?c" in file.getvalue()
    assert "\x1b]0" not in file.getvalue()


def test_messages_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    warn([SAYS])
    with pytest.raises(SystemExit):
        fail(f"no\n{SAYS}")

    assert capsys.readouterr().err == "warning: a?]0;title??2J b?c\nsap-ai-proxy: no a?]0;title??2J b?c\n"


def test_questions_and_their_defaults_steer_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def ask() -> None:
        questions = Questions()
        questions.can_ask = True
        questions.confirm(f"{SAYS}?", "--yes", default=True)
        click.echo(repr(questions.text(f"Of {SAYS}", "it", SAYS, read)))

    def read(text: str) -> str:
        if text == "bad":
            raise ValueError(f"{SAYS} is bad")
        return text

    said = CliRunner().invoke(ask, input="\nbad\n\n").output

    assert said.splitlines() == [
        "a?]0;title??2J b?c? [Y/n]: ",
        "Of a?]0;title??2J b?c [a?]0;title??2J b?c]: bad",
        "  a?]0;title??2J b?c is bad",
        "Of a?]0;title??2J b?c [a?]0;title??2J b?c]: ",
        repr(SAYS.strip()),
    ]


def test_models_whose_names_steer_a_terminal_are_not_offered() -> None:
    body = {"data": [{"id": "gpt-5"}, {"id": f"gpt-{SAYS}"}]}

    assert [each.name for each in read_models(body)] == ["gpt-5"]
    assert _names(body) == ["gpt-5"]
