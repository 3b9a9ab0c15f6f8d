"""Options that several commands have."""

from pathlib import Path

import click

from gateway.cli.connect.tool import KEY_VARIABLE

config_option = click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
url_option = click.option("--url", help="Where the proxy is, instead of the config file's host and port.")
key_option = click.option(
    "--key", envvar=KEY_VARIABLE, show_envvar=True, help="A key of it, instead of the config file's first."
)
