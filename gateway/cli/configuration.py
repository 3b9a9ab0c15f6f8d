"""Finds the config file of a command, and loads its settings."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.cli.messages import TEXT, Messages, fail
from gateway.config.caller_keys import CallerKey
from gateway.config.child_loader import load_in_child
from gateway.config.environment import names_subaccounts
from gateway.config.mistakes import ServiceKeyError
from gateway.config.service_keys import find, home_folder
from gateway.config.settings import Settings, SettingsError

DEFAULT_CONFIG: Final = Path("config.json")
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what users write, and where they then find it


def found_file(config: Path | None, messages: Messages = TEXT) -> Path | None:
    """Return the config file to use, if there is one; exit if *config* is given and does not exist."""
    try:
        is_there = DEFAULT_CONFIG.exists() if config is None else config.is_file()
    except OSError as error:
        messages.fail(f"Cannot look for the config file {config or DEFAULT_CONFIG}: {error.strerror}.")
    if config is not None and not is_there:
        messages.fail(f"There is no config file {config}.")
    return (config or DEFAULT_CONFIG) if is_there else None


def is_configured(path: Path | None) -> bool:
    """Tell whether there is something to serve; an unusable service key counts, and is reported later."""
    try:
        found = path is not None or names_subaccounts(os.environ)
        return found or find(os.environ, home_folder()) is not None
    except ServiceKeyError:
        return True


def required_file(config: Path | None) -> Path | None:
    """Give the config file to look into; leave if there is none, nor a key elsewhere."""
    path = found_file(config)
    if not is_configured(path):
        what = "There is no config.json here and no service key in the environment."
        fail(f"{what} Create one with `sap-ai-proxy init`, or name one with --config FILE.")
    return path


def load_settings(
    path: Path | None,
    env: Mapping[str, str] = os.environ,
    messages: Messages = TEXT,
    *,
    warns: bool = True,
    finish: Callable[[Settings], Settings] = lambda settings: settings,
) -> Settings:
    """Load the settings and print their warnings; print mistakes and exit.

    *finish* makes of them what is used, or raises `SettingsError`.
    """
    try:
        settings = finish(load_in_child(path, env, home_folder()))
    except SettingsError as error:
        messages.warn(error.warnings)
        messages.fail(*str(error).splitlines())
    if warns:
        messages.warn(settings.warnings)
    return settings


def command(rest: str, config: Path | None) -> str:
    """Write a command about a config file as it is typed; the default file needs no name."""
    of_config = [] if config in (None, DEFAULT_CONFIG) else ["--config", str(config)]
    return shlex.join(["sap-ai-proxy", *rest.split(), *of_config])


def url_of(host: str, port: int) -> str:
    """Write the URL of a host and a port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable_url(host: str, port: int) -> str:
    """Write the URL under which this machine finds a proxy that listens on *host*, which may mean every address."""
    return url_of(_EVERYWHERE.get(host, host), port)


@dataclass(frozen=True, slots=True)
class ServingAt:
    """Where a proxy of this configuration is found, and which keys open it."""

    url: str
    keys: tuple[CallerKey, ...]
    """None where nothing is configured, or no key is asked for."""
    path: Path | None
    """The config file, if there is one."""


def serving_at(config: Path | None) -> ServingAt:
    """Tell where the proxy of a config file is found; the demo's URL, and no keys, where nothing is configured."""
    path = found_file(config)
    if not is_configured(path):
        return ServingAt(reachable_url(*_demo_address()), (), None)
    settings = load_settings(path, warns=False)
    return ServingAt(reachable_url(settings.host, settings.port), settings.keys, path)


def _demo_address() -> tuple[str, int]:
    """Give where a demo listens; leave if the environment says it wrong."""
    from gateway.config.loader import demo_address  # noqa: PLC0415 - it brings what validates, which serving does not need

    try:
        return demo_address(os.environ)
    except SettingsError as error:
        fail(*str(error).splitlines())
