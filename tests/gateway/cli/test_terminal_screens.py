"""A screen takes the terminal for a time, and is shown only where there is one."""

from io import StringIO

import pytest
from rich.console import Console

from gateway.cli.terminal import Screen, Space, can_show_screens


def test_a_screen_shows_one_drawing_in_place_of_another_and_gives_the_terminal_back() -> None:
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=40, height=5, color_system=None, _environ={"TERM": "xterm"})
    with Screen(console) as screen:
        screen.show("the first")
        screen.show("the second")
    entered, left = (file.getvalue().index(f"\x1b[?1049{end}") for end in "hl")

    assert entered < file.getvalue().index("the first") < file.getvalue().index("the second") < left


@pytest.mark.parametrize(
    ("term", "is_terminal", "can"), [("xterm", True, True), ("dumb", True, False), ("", False, False)]
)
def test_screens_are_for_terminals_whose_lines_can_be_drawn_anew(term: str, is_terminal: bool, can: bool) -> None:
    console = Console(file=StringIO(), force_terminal=is_terminal, _environ={"TERM": term})

    assert can_show_screens(console) is can


def test_a_console_that_scrolls_has_any_number_of_lines() -> None:
    console = Console(file=StringIO(), width=77, height=33)

    assert Space.of(console, scrolls=False) == Space(77, 33, is_utf=True)
    assert Space.of(console, scrolls=True) == Space(77, None, is_utf=True)
