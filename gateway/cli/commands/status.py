"""``sap-ai-proxy status``."""

import json
from pathlib import Path

import click

from gateway.cli.commands.options import config_option, json_option, key_option, url_option


@click.command(short_help="Show the state of a running proxy, live.")
@config_option
@url_option
@key_option
@click.option("--once", is_flag=True, help="Print the state once, even on a terminal.")
@json_option
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="The seconds between two updates.",
)
@click.pass_context
def status(
    context: click.Context, /, config: Path | None, url: str | None, key: str | None, interval: float, **flags: bool
) -> None:
    """Show the state of a running proxy, live.

    Problems come first, with models, deployments, circuits and cooldowns; then the latest decisions. On a terminal
    the view updates until q or Ctrl-C; elsewhere it is printed once. Exits with 1 if no proxy answers.
    """
    from gateway.cli.keyboard import Keyboard
    from gateway.cli.messages import fail
    from gateway.cli.running_proxy import RunningProxyError, running_proxy
    from gateway.cli.status.live import StatusReader, watch
    from gateway.cli.status.screen import render
    from gateway.cli.status.view import as_json, view_of
    from gateway.cli.terminal import Screen, Space, can_redraw, output

    console = output()
    try:
        read = StatusReader(running_proxy(config or context.obj, url, key))
        first = read()
    except RunningProxyError as error:
        fail(f"{error}.", code=1)
    if flags["as_json"]:
        click.echo(json.dumps(as_json(view_of(first)), indent=2))
    elif flags["once"] or not can_redraw(console):
        console.print(render(view_of(first), Space.of_lines(console)))
    else:
        with Screen(console) as screen, Keyboard() as keyboard:
            watch(read, screen.show, lambda: Space.of_screen(console), keyboard.wait, first, interval)
