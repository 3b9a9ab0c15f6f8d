"""``sap-ai-proxy route``."""

import json
from contextlib import closing
from pathlib import Path

import click

from gateway.cli.commands.options import complete_models, config_option, json_option


@click.command(short_help="Show where requests for a model would go, and why.")
@click.argument("model", shell_complete=complete_models)
@config_option
@click.option(
    "--client",
    default="openai",
    show_default=True,
    help="The API of the client: openai, responses, anthropic or gemini.",
)
@click.option(
    "--n",
    "times",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="How many requests to select deployments for.",
)
@json_option
@click.pass_context
def route(context: click.Context, /, model: str, config: Path | None, client: str, times: int, as_json: bool) -> None:
    """Show where requests for MODEL would go, and why. Neither a model nor a running proxy is asked.

    A proxy that has just started would select the same. For circuits and cooldowns of a running one, see status.
    """
    from dataclasses import asdict

    from gateway.cli.configuration import load_settings, required_file
    from gateway.cli.messages import fail, quiet, warn
    from gateway.cli.route import explain, looked_up, render
    from gateway.cli.terminal import Space, output, working
    from gateway.upstream.management import ManagementClient

    settings = load_settings(required_file(config or context.obj))
    with closing(ManagementClient(network=settings.network)) as management, quiet():
        with working("Looking at what runs…"):
            found = looked_up(settings, management)
        warn([f"the deployments of {name} cannot be listed: {why}" for name, why in found.failed.items()])
        try:
            said = explain(found.settings, model, client, times, found.failed, found.successors)
        except ValueError as error:
            fail(f"{str(error).removesuffix('.')}.")
    if as_json:
        click.echo(json.dumps(asdict(said), indent=2))
    else:
        console = output()
        console.print(render(said, is_utf=Space.of_lines(console).is_utf))
