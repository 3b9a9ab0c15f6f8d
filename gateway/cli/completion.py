"""Completions for shells; failures are silent, because somebody is typing."""

import io
import os
from collections.abc import Iterable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Final

from dialects.core.conversation import JSON
from gateway.cli.configuration import found_file
from gateway.cli.running_proxy import running_proxy
from gateway.config.loader import load
from gateway.config.service_keys import home_folder
from gateway.config.settings import pools

_PATIENCE: Final = 0.5
"""The seconds that a running proxy has to answer."""


def model_names(config: Path | None) -> list[str]:
    """List the models of a config file, and those that its running proxy serves."""
    names: set[str] = set()
    with redirect_stderr(io.StringIO()):
        with suppress(Exception, SystemExit):
            settings = load(found_file(config), os.environ, home_folder())
            names.update(pools(settings), settings.policy.aliases)
        with suppress(Exception, SystemExit):
            names.update(running_proxy(config, None, None).ask("/v1/models", _names, "its models", _PATIENCE))
    return sorted(names)


def _names(body: JSON) -> Iterable[str]:
    return [each["id"] for each in body["data"] if each["id"].isprintable()]
