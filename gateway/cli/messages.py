"""What the command says beside its output, on standard error."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click


class CommandError(Exception):
    """A command cannot do what it is for; the message is one line that says what to do, without its full stop."""


def say(text: str) -> None:
    """Write to standard error; a full disk or a closed pipe there is no reason not to serve."""
    with suppress(OSError):
        click.echo(text, err=True)


def warn(warnings: Sequence[str]) -> None:
    """Write warnings, one line each."""
    for warning in warnings:
        say(f"warning: {warning}")


def fail(*lines: str, code: int = 2) -> NoReturn:
    """Write why the command cannot go on, and leave with the exit code *code*."""
    for line in lines:
        say(f"sap-ai-proxy: {line}")
    raise SystemExit(code)
