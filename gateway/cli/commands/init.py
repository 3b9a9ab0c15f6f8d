"""``sap-ai-proxy init``."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.commands.options import config_option


@click.command(short_help="Create the config file from a service key.")
@click.argument("file", required=False)
@config_option
@click.option(
    "-k",
    "--service-key",
    metavar="FILE",
    help='The same as FILE. "-" reads standard input, "env" the variables and files of SAP\'s SDKs.',
)
@click.option(
    "--name", help="The name of the subaccount in the config file. The default is its name in the BTP cockpit."
)
@click.option(
    "-g",
    "--resource-group",
    "groups",
    multiple=True,
    metavar="NAME",
    help="A resource group to serve; may be repeated.",
)
@click.option(
    "--deploy",
    multiple=True,
    metavar="MODEL",
    help='Deploy this model unless it is deployed; "orchestration" serves all models, "none" creates nothing.',
)
@click.option(
    "--wait", type=click.FloatRange(0), default=1200, show_default=True, help="Seconds to wait for a new deployment."
)
@click.option(
    "--proxy",
    metavar="URL",
    help="The HTTP proxy to SAP AI Core, or none, instead of the one in HTTPS_PROXY. The config file gets it as it "
    "is written, '${NAME}' too. Put one with a password into SAP_AI_PROXY_UPSTREAM__PROXY instead.",
)
@click.option(
    "--ca-bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of the certificates to trust; the config file refers to it.",
)
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Answer all questions with their defaults, and with yes where something costs money.",
)
@click.option("--dry-run", is_flag=True, help="Print the config file without its secrets; write and create nothing.")
@click.pass_context
def init(context: click.Context, /, file: str | None, config: Path | None, *, yes: bool, **given: Any) -> None:
    """Create the config file from FILE, a service key from the BTP cockpit. What no option answers is asked.

    If the config file exists, a subaccount or a resource group is added to it and the rest is kept.
    """
    import os
    import secrets
    import sys
    import time

    from gateway.cli.configuration import DEFAULT_CONFIG
    from gateway.cli.init.choices import Environment, Options
    from gateway.cli.init.flow import Init
    from gateway.cli.messages import CommandError, fail, quiet
    from gateway.cli.questions import Questions, Stopped
    from gateway.config.service_keys import home_folder

    if file is not None and given["service_key"] is not None:
        raise click.UsageError("Give the service key once: as FILE, or with --service-key.")
    given["service_key"] = given["service_key"] if file is None else file
    path = config or context.obj or DEFAULT_CONFIG
    options = Options(path, **given)
    around = Environment(
        os.environ,
        home_folder(),
        lambda: sys.stdin.read() if sys.stdin else "",
        lambda: f"sk-{secrets.token_urlsafe(32)}",
        time.sleep,
    )
    done = ""
    try:
        run = Init(options, Questions(takes_defaults=yes), around)
        try:
            with quiet():
                context.exit(run.run())
        finally:
            done = run.done
    except CommandError as error:
        fail(f"{error}.", *([f"Done so far: {done}."] if done else []), code=1)
    except (KeyboardInterrupt, Stopped):
        click.echo()
        fail(f"Stopped: {done or 'nothing was written'}.", code=130)
