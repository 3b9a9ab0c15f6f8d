"""``sap-ai-proxy check``."""

import json
from contextlib import closing
from pathlib import Path

import click

from gateway.cli.commands.options import config_option, json_option


@click.command()
@config_option
@click.option(
    "--ask", is_flag=True, help="Also send every model a short prompt, within a minute; this costs some tokens."
)
@json_option
@click.pass_context
def check(context: click.Context, config: Path | None, *, ask: bool, as_json: bool) -> None:
    """Try every key and deployment of the config file. Exits with 1 if anything is wrong.

    Each deployment gets an empty request, which its model refuses, so it costs nothing. Errors that a provider
    reports only for a real request appear with --ask, and so does the time to the first word. Files that other users
    of this machine can change are reported too, and files with secrets that all of them can read.

    The JSON has `ok`, `summary`, `subaccounts` (each with `name`, `resource_group`, `ok` and `models`, these with
    `deployments`), `findings` (`severity`, which is "wrong" or "remark", `code`, `subaccount`, `what`, `fix`,
    `models`, `deployments`) and, with --ask, `answers` (`subaccount`, `model`, `protocol`, `ok`,
    `first_word_ms`, `text`, `error`).
    """
    from gateway.cli.check import print_report, run_check
    from gateway.cli.check.ask import ask_models, with_answers
    from gateway.cli.configuration import load_settings, required_file
    from gateway.cli.messages import quiet
    from gateway.cli.terminal import working
    from gateway.config.file_permissions import with_judged_files
    from gateway.config.key_strength import with_judged_keys
    from gateway.upstream.management import ManagementClient

    settings = load_settings(required_file(config or context.obj), warns=False, finish=with_judged_keys)
    settings = with_judged_files(settings)
    with closing(ManagementClient(network=settings.network)) as management, quiet():
        with working("Looking at what is configured…"):
            found = run_check(settings, management)
        report = found.report
        if ask:
            with working("Asking the models…") as say:
                answers = ask_models(found.settings, asked=lambda n, of: say(f"Asking the models… {n} of {of}"))
            report = with_answers(report, answers, found.adviser)
    if as_json:
        click.echo(json.dumps(report.as_json, indent=2))
    else:
        print_report(report)
    context.exit(report.exit_code)
