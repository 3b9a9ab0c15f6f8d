"""Tables, marks and colours for people: the one module that knows rich.

Text from elsewhere is shown as it stands: nothing in it is markup. Colours are left out where there is no terminal,
or `NO_COLOR` is set.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Cell = str | Text
"""What stands in a table."""
_WIDTH_OF_FILES: Final = 200
"""How many columns there are where no terminal says it, so that a table in a file or a pipe is cut nowhere."""


class Mark(Enum):
    """How a line or a row is meant: the sign of it, the same in ASCII, and its style."""

    OK = ("✓", "+", "green")
    WRONG = ("✗", "x", "bold red")
    NOTE = ("!", "!", "yellow")
    NONE = ("·", "-", "dim")

    def on(self, console: Console) -> Text:
        """Write the mark for a console, whose encoding may not have the sign."""
        sign, ascii_sign, style = self.value
        return Text(sign if console.encoding.lower().startswith("utf") else ascii_sign, style)


def output() -> Console:
    """Write to standard output, as it is now."""
    is_terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout, width=None if is_terminal else _WIDTH_OF_FILES, markup=False, highlight=False, emoji=False
    )


def styled(text: str, style: str) -> Text:
    """Write *text* in a style such as "dim" or "bold red"."""
    return Text(text, style)


def table(headings: Iterable[str], rows: Iterable[Iterable[Cell]], *, right: Iterable[str] = ()) -> Table:
    """Set *rows* below *headings*; numbers stand to the right in the columns named in *right*."""
    numbers = set(right)
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        drawn.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return drawn


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Show what is waited for, with the time that has passed, in a line that goes away in the end.

    Where there is no terminal, each new text is a line.
    """
    if not console.is_terminal:
        shown: list[str] = []

        def write(text: str) -> None:
            if text not in shown[-1:]:
                console.print(Text(text), soft_wrap=True)
            shown.append(text)

        yield write
        return
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as live:
        task = live.add_task("")
        yield lambda text: live.update(task, description=text)
