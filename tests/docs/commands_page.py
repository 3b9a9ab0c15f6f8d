"""The reference of docs/commands.md, written from the help of every command."""

import inspect
from collections.abc import Iterator

import click

from gateway.cli.main import cli

NAME = "sap-ai-proxy"


def reference() -> str:
    """Write a section of every command, with a table of its arguments and options."""
    commands = {NAME: cli, **{f"{NAME} {name}": command for name, command in sorted(cli.commands.items())}}
    return "\n".join("\n".join(_written(name, command)) for name, command in commands.items())


def _written(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, **cli.context_settings)
    yield f"## {name}\n"
    yield f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    for paragraph in inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n"):
        yield " ".join(paragraph.split()) + "\n"
    rows = [row for each in command.get_params(context) if (row := each.get_help_record(context)) and row[1]]
    if rows:
        yield "| option | meaning |\n|---|---|"
        yield from (f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in rows)
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
