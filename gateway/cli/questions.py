"""Asks questions at the terminal; each has an option that answers it in scripts."""

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import click

from gateway.cli.keyboard import is_terminal
from gateway.cli.messages import fail, one_line

_T = TypeVar("_T")
_LONGEST: Final = 256 * 1024
"""How many characters of a text that is pasted are read."""
_END_OF_INPUT: Final = b"\x04"
"""What Ctrl-D is where a terminal does not interpret it."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The user stopped: Ctrl-C, or the end of the input."""


def is_interactive() -> bool:
    """Tell whether there is a terminal to ask questions on."""
    return is_terminal(sys.stdin) and is_terminal(sys.stdout)


class Questions:
    """Asks on a terminal; with *takes_defaults*, each question is answered with its default, or with yes.

    Where nobody can answer and there is no default, the command ends and names the option. Raises `Stopped`.
    """

    def __init__(self, *, takes_defaults: bool = False) -> None:
        self.takes_defaults = takes_defaults
        self.can_ask = is_interactive()

    def text(self, question: str, missing: str, default: str | None, read: Callable[[str], _T]) -> _T:
        """Ask for a text until *read* accepts it; the message of each `ValueError` is printed.

        *missing* is what cannot be asked for without a terminal, and the option that says it.
        """
        if self.takes_defaults and default is not None:
            return read(default)
        if not self.can_ask:
            fail(f"There is no terminal on which to ask for {missing}.")
        shown = one_line(f"{question} [{default}]" if default else question)
        while True:
            try:
                return read(_answer(lambda: click.prompt(shown, default=default, show_default=False)).strip())
            except ValueError as error:
                click.echo(f"  {one_line(str(error))}")

    def confirm(self, question: str, option: str, *, default: bool) -> bool:
        """Ask for yes or no."""
        if self.takes_defaults:
            return True
        if not self.can_ask:
            fail(f"There is no terminal on which to ask: {question} Answer with {option}.")
        return _answer(lambda: click.confirm(one_line(question), default=default))

    def pasted(self, question: str, text: str, is_whole: Callable[[str], bool]) -> str:
        """Read on behind *text* until all is whole, or up to a blank line; a terminal does not show it."""
        click.echo(question)
        with _pieces() as pieces:
            while not (is_whole(text) or (text.strip() and text.endswith("\n\n")) or len(text) > _LONGEST):
                piece = next(pieces, "")
                if not piece:
                    if not text.strip():
                        raise Stopped
                    break
                text += piece
        return text


@contextmanager
def _pieces() -> Iterator[Iterator[str]]:
    """Give what is typed or pasted, piece by piece; long lines whole, and out of sight where there is a terminal.

    What a terminal has behind that is thrown away: a newline there would answer the next question.
    """
    try:
        import termios  # noqa: PLC0415 - Windows has none
    except ImportError:
        yield _lines()
        return
    try:
        shown = termios.tcgetattr(sys.stdin)
    except (OSError, termios.error):
        yield _lines()
        return
    hidden = termios.tcgetattr(sys.stdin)
    hidden[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, hidden)
    try:
        yield _typed(sys.stdin.fileno())
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, shown)


def _lines() -> Iterator[str]:
    while True:
        yield _answer(lambda: click.prompt("", default="", show_default=False, prompt_suffix="")) + "\n"


def _typed(terminal: int) -> Iterator[str]:
    decoder = getincrementaldecoder("utf-8")("replace")
    try:
        while (read := os.read(terminal, 4096)) and _END_OF_INPUT not in read:
            if piece := decoder.decode(read):
                yield piece.replace("\r", "\n")
    except KeyboardInterrupt:
        raise Stopped from None


def _answer(ask: Callable[[], _T]) -> _T:
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - without it, a terminal cuts a line after 4095 characters
    try:
        return ask()
    except click.Abort:
        raise Stopped from None
