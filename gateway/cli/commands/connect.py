"""``sap-ai-proxy connect``."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import click

from gateway.cli.commands.options import complete_tools, config_option, key_option, url_option


class _ConnectCommand(click.Command):
    """A command that remembers whether its arguments have `--` in them, which click takes away, and explains it."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        context.meta["starts"] = "--" in args
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            behind = "Options of the tool stand behind --, as in: sap-ai-proxy connect claude -- -p Hello."
            raise click.NoSuchOption(error.option_name, f"{error.message} {behind}", ctx=context) from None


@click.command(cls=_ConnectCommand, short_help="Set up a tool, such as claude or codex, to ask the proxy.")
@click.argument("tool", required=False, shell_complete=complete_tools)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENTS...]")
@config_option
@url_option
@key_option
@click.option("--print", "action", flag_value="print", help="Say what to set; the default.")
@click.option(
    "--write", "action", flag_value="write", help="Write it into the tool's own settings, with a copy beside."
)
@click.option("--undo", "action", flag_value="undo", help="Restore the settings from that copy.")
@click.pass_context
def connect(
    context: click.Context,
    tool: str | None,
    arguments: tuple[str, ...],
    config: Path | None,
    url: str | None,
    key: str | None,
    action: str | None,
) -> None:
    """Have TOOL ask the running proxy, for the models that it serves; without TOOL, list the tools.

    Behind -- stand arguments with which the tool is started: nothing is written then. TOOL may also be "key", which
    prints the key and nothing else.
    """
    from gateway.cli.connect.files import undo, write
    from gateway.cli.connect.lookup import look_up
    from gateway.cli.connect.registry import find_tool, instructions, list_tools
    from gateway.cli.connect.start import start
    from gateway.cli.connect.tool import ConnectError
    from gateway.cli.messages import fail

    starts = context.meta["starts"]
    if tool is None:
        click.echo(list_tools())
        return
    if (arguments and not starts) or (starts and action):
        raise click.UsageError("Arguments of the tool stand behind --, without --print, --write or --undo.")
    if tool == "key":
        click.echo(_caller(context, config, url, key).key)
        return
    try:
        row = find_tool(tool, must_be_written=starts or action in ("write", "undo"))
        if action == "undo":
            click.echo("\n".join(undo(row.paths(os.environ, Path.home()))))
            return
        caller = _caller(context, config, url, key)
        to = look_up(caller.url, caller.key)
        if starts and row.start:
            start(row.start(to), arguments, os.environ)
        elif action == "write":
            click.echo("\n".join(write(row.files(to, os.environ, Path.home()))))
        else:
            click.echo(instructions(row, to, caller.key_setter), nl=False)
    except ConnectError as error:
        fail(f"{error}.", code=1)


class _Caller(NamedTuple):
    """Where the proxy is, a key of it, and the shell line that sets the key, if it is not set already."""

    url: str
    key: str
    key_setter: str | None


def _caller(context: click.Context, config: Path | None, url: str | None, key: str | None) -> _Caller:
    """Find out whom to ask, and with which key; what the command line says goes first, the demo's are last."""
    from gateway.cli.configuration import serving_at
    from gateway.cli.connect.registry import key_line, key_line_of
    from gateway.cli.demo import KEY

    own = serving_at(config or context.obj)
    if key is not None:
        in_environment = context.get_parameter_source("key") is click.core.ParameterSource.ENVIRONMENT
        return _Caller(url or own.url, key, None if in_environment else key_line(key))
    if own.key is None:
        return _Caller(url or own.url, KEY, key_line(KEY))
    of_config = ["--config", str(own.path.absolute())] if own.path else []
    command = shlex.join([_own_program(), "connect", "key", *of_config])
    return _Caller(url or own.url, own.key, key_line_of(command))


def _own_program() -> str:
    """Name this command so that a shell finds it."""
    return "sap-ai-proxy" if shutil.which("sap-ai-proxy") else str(Path(sys.argv[0]).absolute())
