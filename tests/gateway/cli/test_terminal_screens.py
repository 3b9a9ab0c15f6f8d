"""A screen takes the terminal for a time, and is shown only where there is one."""

from io import StringIO

import pytest
from rich.console import Console

from gateway.cli.terminal import Screen, Space, can_redraw, progress, working
from tests.gateway.cli.drawn import Terminal


def test_a_screen_shows_one_drawing_in_place_of_another_and_gives_the_terminal_back() -> None:
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=40, height=5, color_system=None, _environ={"TERM": "xterm"})
    with Screen(console) as screen:
        screen.show("the first")
        screen.show("the second")
    entered, left = (file.getvalue().index(f"\x1b[?1049{end}") for end in "hl")

    assert entered < file.getvalue().index("the first") < file.getvalue().index("the second") < left


@pytest.mark.parametrize(("term", "file", "can"), [("xterm", Terminal, True), ("dumb", Terminal, False)])
def test_screens_are_for_terminals_whose_lines_can_be_drawn_anew(term: str, file: type[StringIO], can: bool) -> None:
    assert can_redraw(Console(file=file(), _environ={"TERM": term})) is can


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_nothing_is_drawn_anew_in_a_file_whatever_asks_for_colours(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=StringIO())
    with working("Looking"), progress(console) as show:
        show("d1 is PENDING")
        show("d1 is PENDING")

    assert console.color_system == "standard"
    assert not can_redraw(console)
    assert console.file.getvalue() == "d1 is PENDING\n"
    assert capsys.readouterr().err == ""


def test_what_is_printed_has_any_number_of_lines_and_a_screen_has_its_own() -> None:
    console = Console(file=StringIO(), width=77, height=33)

    assert Space.of_screen(console) == Space(77, 33, is_utf=True)
    assert Space.of_lines(console) == Space(77, None, is_utf=True)
