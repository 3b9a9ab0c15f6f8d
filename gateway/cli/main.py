"""The command ``sap-ai-proxy``, which serves, and the commands below it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.commands.check import check
from gateway.cli.commands.completion import completion
from gateway.cli.commands.connect import connect
from gateway.cli.commands.discover import discover
from gateway.cli.commands.emulator import emulator
from gateway.cli.commands.init import init
from gateway.cli.commands.models import models
from gateway.cli.commands.options import config_option
from gateway.cli.commands.route import route
from gateway.cli.commands.status import status
from gateway.cli.loading import loading
from gateway.version import VERSION

if TYPE_CHECKING:
    from gateway.server.runtime import CreateApplication

_LEVELS: Final = click.Choice(["debug", "info", "warning", "error"], case_sensitive=False)
_FORMATS: Final = click.Choice(["text", "json"], case_sensitive=False)
COMMANDS: Final = (check, completion, connect, discover, emulator, init, models, route, status)
_SERVING: Final = frozenset({"serve", "start", "run", "server"})
"""The names that other programs give to the command that serves."""


class _Commands(click.Group):
    """The commands, with a hint for common wrong names."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that *args* begin with."""
        name = args[0]
        if name in _SERVING:
            context.fail(
                f"No such command {name!r}: `sap-ai-proxy` alone starts the proxy, with options such as --port."
            )
        if name.endswith(".json"):
            key, config = f"sap-ai-proxy init {name}", f"sap-ai-proxy --config {name}"
            context.fail(f"No such command {name!r}: for a service key run `{key}`, for a config file `{config}`.")
        return super().resolve_command(context, args)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.option("--host", help="The address to listen on, instead of the config file's.")
@click.option(
    "-p", "--port", type=click.IntRange(1, 65535), help="The port to listen on, instead of the config file's."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="The number of worker processes; each balances for itself."
)
@click.option("--log-level", type=_LEVELS, help="The lowest level that is logged.")
@click.option("--log-format", type=_FORMATS, help="The format of the log: text for people, json for programs.")
@click.option("-d", "--debug", is_flag=True, help="The same as --log-level debug.")
@click.option(
    "--demo", "demo", flag_value="always", help="Serve the embedded emulator, even if something is configured."
)
@click.option("--or-demo", "demo", flag_value="otherwise", help="Serve the embedded emulator if nothing is configured.")
@click.version_option(VERSION, "-v", "--version", prog_name="sap-ai-proxy")
@click.pass_context
def cli(context: click.Context, /, config: Path | None, *, debug: bool, demo: str | None, **given: Any) -> None:
    """Serve every large language model on SAP AI Core behind one URL."""
    load, context.obj = context.obj, config
    if context.invoked_subcommand is None:
        with loading():
            from gateway.cli.startup import DemoWhen, start

        if debug:
            given["log_level"] = "debug"
        overrides = {name: value for name, value in given.items() if value is not None}
        context.exit(start(config, overrides, load, demo=DemoWhen(demo or "never")))


for _command in COMMANDS:
    cli.add_command(_command)


def main(load: Callable[[], "CreateApplication"]) -> None:
    """Run the command line; *load* gives what builds the application that is served."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    cli.main(prog_name="sap-ai-proxy", obj=load)
