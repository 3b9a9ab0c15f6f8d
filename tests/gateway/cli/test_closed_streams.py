"""Standard streams that were closed before the start, as by `<&-` and `>&-`, are no terminal and no traceback."""

import sys
from pathlib import Path

import pytest

from gateway.cli.keyboard import Keyboard, Wake
from gateway.cli.main import cli
from gateway.cli.questions import is_interactive
from gateway.cli.terminal import can_redraw, output
from tests.gateway.cli.drawn import Terminal


@pytest.mark.parametrize("closed", ["stdin", "stdout"])
def test_nobody_is_asked_where_one_end_of_the_talk_is_closed(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, closed, None)

    assert not is_interactive()


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_init_says_without_an_input_what_to_give(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit):
        cli.main(["init", *arguments])

    assert capsys.readouterr().err.startswith("sap-ai-proxy: ")


def test_without_an_input_a_live_view_waits_for_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(sys, "stdin", None)
    with Keyboard(sleep=slept.append) as keyboard:
        assert keyboard.wait(1.5) is Wake.TIME_UP

    assert slept == [1.5]


def test_what_is_printed_without_an_output_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    console = output()
    console.print("text")

    assert not can_redraw(console)
    assert console.width == 200
