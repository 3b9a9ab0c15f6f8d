"""Options that several commands have."""

from pathlib import Path

import click

config_option = click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
