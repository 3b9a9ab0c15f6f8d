"""``sap-ai-proxy check``."""

from contextlib import closing
from pathlib import Path

import click

from gateway.cli.commands.options import config_option


@click.command()
@config_option
@click.pass_context
def check(context: click.Context, config: Path | None) -> None:
    """Try every key and deployment of the config file. Exits with 1 if anything is wrong."""
    from gateway.cli import check as checking
    from gateway.cli.configuration import load_settings, required_file
    from gateway.upstream.management import ManagementClient

    settings = load_settings(required_file(config or context.obj), warns=False)
    with closing(ManagementClient(proxy=settings.proxy, ca_bundle=settings.ca_bundle)) as management:
        report = checking.check(settings, management)
    click.echo(checking.render(report), nl=False)
    context.exit(report.exit_code)
