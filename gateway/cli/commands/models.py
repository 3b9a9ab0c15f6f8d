"""``sap-ai-proxy models``."""

import json
from pathlib import Path

import click

from gateway.cli.commands.options import config_option, json_option, key_option, url_option


@click.command(short_help="List the models that a running proxy serves.")
@config_option
@url_option
@key_option
@json_option
@click.pass_context
def models(context: click.Context, /, config: Path | None, url: str | None, key: str | None, as_json: bool) -> None:
    """List the models that a running proxy serves: their limits, their end dates and their deployments."""
    from dataclasses import asdict

    from gateway.cli.messages import fail
    from gateway.cli.models import look_up, render
    from gateway.cli.running_proxy import RunningProxyError, running_proxy
    from gateway.cli.terminal import Space, output

    try:
        found = look_up(running_proxy(config or context.obj, url, key))
    except RunningProxyError as error:
        fail(f"{error}.", code=1)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    console = output()
    console.print(render(found, Space.of_lines(console)))
