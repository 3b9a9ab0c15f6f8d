"""``sap-ai-proxy connect``."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.commands.options import complete_tools, config_option, key_option, url_option

if TYPE_CHECKING:
    from gateway.cli.running_proxy import Access


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
            behind = "Options of the tool come after --, as in: sap-ai-proxy connect claude -- -p Hello."
            raise click.NoSuchOption(error.option_name, f"{error.message} {behind}", ctx=context) from None


@click.command(cls=_ConnectCommand, short_help="Set up a tool, such as claude or codex, to ask the proxy.")
@click.argument("tool", required=False, shell_complete=complete_tools)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENTS...]")
@config_option
@url_option
@key_option
@click.option("--print", "action", flag_value="print", help="Print the settings to make. This is the default.")
@click.option(
    "--write",
    "action",
    flag_value="write",
    help="Write them into the tool's own settings; a backup stays beside each file.",
)
@click.option("--undo", "action", flag_value="undo", help="Restore the settings from that backup.")
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
    """Set TOOL up to use the running proxy and its models. Without TOOL, list the tools.

    Arguments after -- start the tool with them; nothing is written then. If TOOL is "key", the key is printed and
    nothing else.
    """
    from gateway.cli.connect.files import undo, write
    from gateway.cli.connect.lookup import look_up
    from gateway.cli.connect.start import start
    from gateway.cli.messages import fail
    from gateway.cli.running_proxy import RunningProxyError, access
    from gateway.tool_settings.registry import find_tool, instructions, list_tools
    from gateway.tool_settings.tool import ConnectError

    starts = context.meta["starts"]
    if tool is None:
        from gateway.cli.terminal import aligned, output

        output().print(aligned(list_tools()))
        return
    if (arguments and not starts) or (starts and action):
        raise click.UsageError("Put the arguments of the tool after --, without --print, --write or --undo.")
    try:
        if tool == "key":
            click.echo(access(config or context.obj, url, key).key)
            return
        row = find_tool(tool, must_be_written=starts or action in ("write", "undo"))
        if action == "undo":
            click.echo("\n".join(undo(row.paths(os.environ, Path.home()))))
            return
        found = access(config or context.obj, url, key)
        to = look_up(found)
        if starts and row.start:
            start(row.start(to), arguments, os.environ)
        elif action == "write":
            click.echo("\n".join(write(row.files(to, os.environ, Path.home()))))
        else:
            click.echo(instructions(row, to, _key_setter(found)), nl=False)
    except (ConnectError, RunningProxyError) as error:
        fail(f"{error}.", code=1)


def _key_setter(access: "Access") -> str | None:
    """Write the shell line that sets the key, if it is not set already; one that has a config file is not seen."""
    from gateway.cli.running_proxy import KeySource
    from gateway.tool_settings.registry import key_line, key_line_of

    match access.source:
        case KeySource.ENVIRONMENT:
            return None
        case KeySource.CONFIG:
            of_config = ["--config", str(access.config.absolute())] if access.config else []
            return key_line_of(shlex.join([_own_program(), "connect", "key", *of_config]))
        case KeySource.OPTION | KeySource.DEMO:
            return key_line(access.key)


def _own_program() -> str:
    """Name this command so that a shell finds it."""
    return "sap-ai-proxy" if shutil.which("sap-ai-proxy") else str(Path(sys.argv[0]).absolute())
