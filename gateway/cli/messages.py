"""Messages on standard error: lines for people, or JSON objects for programs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from gateway.observability.request_line import printable

_log = logging.getLogger("sap_ai_proxy.cli")


def one_line(text: str) -> str:
    """Write text from elsewhere as one line without control characters."""
    return printable("".join(" " if letter.isspace() else letter for letter in text))


class CommandError(Exception):
    """A command failed; the message is one line with what to do, without a full stop."""


class Messages:
    """Writes messages as text or, *as_json*, through the log, which must be set up."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def say(self, text: str) -> None:
        """Write a text; a full disk or a closed pipe is ignored."""
        if self.as_json:
            _log.info("%s", text)
            return
        with suppress(OSError):
            click.echo(text, err=True)

    def warn(self, warnings: Sequence[str]) -> None:
        """Write warnings, one line each."""
        for warning in warnings:
            if self.as_json:
                _log.warning("%s", warning)
            else:
                self.say(f"warning: {one_line(warning)}")

    def report(self, text: str, fields: Mapping[str, Any]) -> None:
        """Write a text for people; programs get the *fields* instead."""
        if self.as_json:
            _log.info("%s", text, extra={"fields": lambda: dict(fields)})
        else:
            self.say(text)

    def fail(self, *lines: str, code: int = 2) -> NoReturn:
        """Write why the command cannot continue, and exit with *code*."""
        for line in lines:
            if self.as_json:
                _log.critical("%s", line)
            else:
                self.say(f"sap-ai-proxy: {one_line(line)}")
        raise SystemExit(code)


TEXT = Messages()
"""For commands whose standard error is always for people."""
say, warn, fail = TEXT.say, TEXT.warn, TEXT.fail


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the log off the terminal meanwhile, unless it is set up: the command prints its own messages."""
    handler, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
