"""Options that several commands have."""

from pathlib import Path
from typing import Any

import click

from gateway.tool_settings import KEY_VARIABLE

config_option = click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
url_option = click.option("--url", help="The URL of the proxy, instead of the config file's host and port.")
key_option = click.option(
    "--key", envvar=KEY_VARIABLE, show_envvar=True, help="A key of the proxy, instead of one in the config file."
)


def complete_models(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Complete the name of a model, for a shell."""
    from gateway.cli.completion import model_names

    config = context.params.get("config") or context.find_root().params.get("config")
    return [name for name in model_names(config) if name.startswith(begun)]


def complete_tools(_: click.Context, __: click.Parameter, begun: str) -> list[Any]:
    """Complete the name of a tool, for a shell."""
    from click.shell_completion import CompletionItem

    from gateway.tool_settings.registry import TOOLS

    named = {tool.name: tool.title for tool in TOOLS} | {"key": "print the key, and nothing else"}
    return [CompletionItem(name, help=title) for name, title in named.items() if name.startswith(begun)]
