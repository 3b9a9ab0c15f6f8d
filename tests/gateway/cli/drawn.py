"""Drawings as the text that a terminal shows of them."""

from io import BytesIO, StringIO, TextIOWrapper

from rich.console import Console

from gateway.cli.terminal import Drawing


class Terminal(StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def text_of(drawing: Drawing, width: int = 80) -> str:
    """Give the lines without the spaces at their ends."""
    file = StringIO()
    Console(file=file, width=width, markup=False, highlight=False).print(drawing)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def ascii_of(drawing: Drawing, width: int = 80) -> bytes:
    """Give the bytes for a terminal that knows ASCII alone."""
    raw = BytesIO()
    file = TextIOWrapper(raw, encoding="ascii", errors="strict")
    Console(file=file, width=width, markup=False, highlight=False).print(drawing)
    file.flush()
    return raw.getvalue()
