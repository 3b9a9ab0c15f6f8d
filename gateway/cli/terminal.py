"""Tables, marks, colours and live views for people: the one module that knows rich.

Text from elsewhere is shown as it stands: nothing in it is markup, and what would steer the terminal is a question
mark. Colours are left out where there is no terminal, or `NO_COLOR` is set.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from io import TextIOWrapper
from typing import Any, Final, Literal, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from gateway.cli.keyboard import is_terminal
from gateway.cli.messages import one_line

Styled = Text
"""Text with its style."""
Cell = str | Styled
"""What stands in a table."""
Output = Console
"""Where it is printed."""
Drawing = RenderableType
"""What can be printed, or shown on a screen."""
_WIDTH_OF_FILES: Final = 200
"""How many columns there are where no terminal says it, so that a table in a file or a pipe is cut nowhere."""


class Mark(Enum):
    """How a line or a row is meant: the sign of it, the same in ASCII, and its style."""

    OK = ("✓", "+", "green")
    WRONG = ("✗", "x", "bold red")
    NOTE = ("!", "!", "yellow")
    NONE = ("·", "-", "dim")
    DO = ("→", ">", "cyan")

    def on(self, console: Console) -> Text:
        """Write the mark for a console, whose encoding may not have the sign."""
        return self.sign(is_utf=_is_utf(console))

    def sign(self, *, is_utf: bool) -> Text:
        """Write the mark in UTF-8, or in ASCII."""
        sign, ascii_sign, style = self.value
        return Text(sign if is_utf else ascii_sign, style)


def output() -> Console:
    """Write to standard output, as it is now; signs that its encoding does not have become question marks."""
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")
    return _Console(
        file=sys.stdout,
        width=None if is_terminal(sys.stdout) else _WIDTH_OF_FILES,
        markup=False,
        highlight=False,
        emoji=False,
    )


class _Console(Console):
    """A console that shows also bare strings without what would steer it."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Write a string, whose lines stay."""
        return super().render_str("\n".join(map(one_line, text.split("\n"))), **options)


@dataclass(frozen=True, slots=True)
class Space:
    """How much room there is to draw, and whether the signs of UTF-8 can be drawn."""

    width: int
    height: int | None
    """In lines; None where there are as many as it takes."""
    is_utf: bool = True

    @classmethod
    def of_screen(cls, console: Console) -> Self:
        """Measure a console whose lines are drawn anew: there are as many as it shows at once."""
        return cls(console.width, console.height, _is_utf(console))

    @classmethod
    def of_lines(cls, console: Console) -> Self:
        """Measure a console that is printed to, line after line."""
        return cls(console.width, None, _is_utf(console))


class Screen:
    """The whole of a terminal, as long as it is entered; then what was there before is there again."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def show(self, drawing: Drawing) -> None:
        """Show a drawing in place of the one before."""
        self._live.update(drawing, refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def can_redraw(console: Console) -> bool:
    """Whether a console is a terminal whose lines can be drawn anew; `FORCE_COLOR` alone makes none of a pipe."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


def print_marked(console: Output, mark: Mark, text: str) -> None:
    """Print a line behind its mark."""
    console.print(mark.on(console), styled(text, ""), soft_wrap=True)


def styled(text: str, style: str) -> Text:
    """Write *text* in a style such as "dim" or "bold red"."""
    return Text(one_line(text), style)


def joined(cells: Iterable[Cell], between: str = "  ") -> Text:
    """Write cells in one line, of which is shown what fits."""
    line = Text(between).join(map(_text, cells))
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def stacked(*drawings: Drawing) -> Drawing:
    """Set drawings below each other."""
    return Group(*drawings)


def table(
    headings: Iterable[str],
    rows: Iterable[Iterable[Cell]],
    *,
    right: Iterable[str] = (),
    cut: Iterable[str] = (),
    unbroken: Iterable[str] = (),
    is_dense: bool = False,
) -> Table:
    """Set *rows* below *headings*; numbers stand to the right in the columns named in *right*.

    Each row is one line in the columns named in *cut*, which show what fits; in others long text is folded.
    What is in the columns named in *unbroken* is whole in one line, as long as other columns can be narrower.
    *is_dense* leaves less room between columns.
    """
    of_numbers, of_one_line, of_whole_cells = set(right), set(cut), {*right, *unbroken}
    drawn = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold",
        border_style="dim",
        show_edge=False,
        padding=(0, 0 if is_dense else 1, 0, 1),
    )
    names = list(headings)
    for heading in names:
        justify: Literal["left", "right"] = "right" if heading in of_numbers else "left"
        drawn.add_column(heading, justify=justify, overflow="fold", no_wrap=heading in of_whole_cells)
    for row in rows:
        cells = [_text(cell) for cell in row]
        drawn.add_row(
            *(joined([cell]) if name in of_one_line else cell for name, cell in zip(names, cells, strict=True))
        )
    return drawn


def aligned(rows: Iterable[Iterable[Cell]]) -> Table:
    """Set *rows* without headings, so that long text in the last column is wrapped below its own beginning."""
    drawn = Table.grid(padding=(0, 1))
    for row in rows:
        drawn.add_row(*map(_text, row))
    return drawn


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show on standard error that something is under way, where that can be redrawn; call what it gives to say more."""
    console = _Console(stderr=True, markup=False, highlight=False, emoji=False)
    if not can_redraw(console):
        yield lambda _: None
        return
    with console.status(styled(text, "dim"), spinner="dots") as status:
        yield lambda more: status.update(styled(more, "dim"))


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Show what is waited for, with the time that has passed, in a line that goes away in the end.

    Where no line can be drawn anew, each new text is a line.
    """
    if not can_redraw(console):
        shown: list[str] = []

        def write(text: str) -> None:
            if text not in shown[-1:]:
                console.print(_text(text), soft_wrap=True)
            shown.append(text)

        yield write
        return
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as live:
        task = live.add_task("")
        yield lambda text: live.update(task, description=one_line(text))


def _text(cell: Cell) -> Text:
    return Text(one_line(cell)) if isinstance(cell, str) else cell


def _is_utf(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")
