"""``sap-ai-proxy discover``."""

from pathlib import Path

import click

from gateway.cli.commands.options import config_option, json_option


@click.command(short_help="List what is deployed in SAP AI Core, and what of it is served.")
@config_option
@json_option
@click.option(
    "--write",
    is_flag=True,
    help="Add the running deployments that are not served to the config file; a backup stays beside it.",
)
@click.option(
    "-g",
    "--resource-group",
    "groups",
    multiple=True,
    metavar="NAME",
    help="A resource group to list; may be repeated. The default is all that the service keys may see.",
)
@click.option("--dry-run", is_flag=True, help="Print what --write would add, and write nothing.")
@click.pass_context
def discover(
    context: click.Context,
    config: Path | None,
    *,
    as_json: bool,
    write: bool,
    groups: tuple[str, ...],
    dry_run: bool,
) -> None:
    """List what is deployed in SAP AI Core, and what of it is served. Exits with 1 if something could not be listed.

    The JSON has `deployments` (each with `subaccount`, `resource_group`, `model`, `version`, `deployment`, `status`,
    `served`, and `why` if it is not served) and `failures`.
    """
    import json
    import os
    from contextlib import closing

    from gateway.cli.config_draft import ConfigDraft
    from gateway.cli.configuration import load_settings, required_file
    from gateway.cli.discover import add_to, show, take_inventory
    from gateway.cli.messages import CommandError, fail, quiet, say, warn
    from gateway.cli.terminal import working
    from gateway.upstream.management import ManagementClient

    path = required_file(config or context.obj)
    if (write or dry_run) and path is None:
        fail("There is no config file to write to: create one with `sap-ai-proxy init`.")
    settings = load_settings(path, warns=False)
    management = ManagementClient(network=settings.network)
    with closing(management), quiet(), working("Looking at what runs…"):
        found = take_inventory(settings, management, groups)
    if as_json:
        deployments = [each.as_json for each in found.deployments]
        click.echo(json.dumps({"deployments": deployments, "failures": found.failures}, indent=2))
    else:
        show(found)
    warn(found.failures)
    if (write or dry_run) and path is not None:
        try:
            draft = ConfigDraft(path, os.environ)
            said = list(add_to(draft, found.deployments, "would add" if dry_run else "added"))
            if draft.changes:
                said += [f"nothing was written to {path}"] if dry_run else draft.write()
            else:
                said.append(f"{path} needs no change")
            for line in said:
                say(line)
        except CommandError as error:
            fail(f"{error}.", code=1)
    context.exit(1 if found.failures else 0)
