"""Starts the proxy from the command line: with a configuration or the demo, after checking both."""

import os
from contextlib import ExitStack
from dataclasses import replace
from enum import Enum
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.banner import Banner
from gateway.cli.configuration import found_file, is_configured, load_settings, reachable_url, url_of
from gateway.cli.demo import Demo
from gateway.cli.messages import Messages
from gateway.config.child_loader import load_in_child
from gateway.config.environment import PREFIX, for_demo, names_of_account
from gateway.config.key_strength import with_judged_keys
from gateway.config.network import is_loopback
from gateway.config.service_keys import home_folder
from gateway.config.settings import Settings
from gateway.observability.log_writer import set_up, shows_colours
from gateway.server.serving import PortTakenError, UnknownHostError, address_of, ensure_free, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.server.runtime import CreateApplication

    _Load = Callable[[], CreateApplication]

_WAYS_OUT = "Create a config.json with `sap-ai-proxy init`, name one with --config FILE, or serve the demo with --demo."


class DemoWhen(Enum):
    """When the demo is served: never, always, or where nothing is configured."""

    NEVER = "never"
    ALWAYS = "always"
    OTHERWISE = "otherwise"


def start(config: Path | None, overrides: dict[str, Any], load_application: "_Load", *, demo: DemoWhen) -> int:
    """Serve *config*, the configuration of the environment, or the demo; return the exit code.

    *overrides* count before the settings, *load_application* gives what builds the application.
    """
    messages = _messages(overrides.get("log_format") or os.environ.get(f"{PREFIX}LOG_FORMAT", ""))
    is_demo = _is_demo(config, demo, messages)
    with ExitStack() as owned:
        path = owned.enter_context(Demo()).config if is_demo else found_file(config, messages)
        return _run(path, {**overrides, "is_demo": is_demo}, load_application, messages)


def _is_demo(config: Path | None, demo: DemoWhen, messages: Messages) -> bool:
    """Tell whether to serve the demo; exit if that would be a guess."""
    if demo is DemoWhen.ALWAYS:
        if config is not None:
            messages.fail("--demo serves no config file: leave out --demo, or --config.")
        return True
    if is_configured(found_file(config, messages)):
        return False
    named = names_of_account(os.environ)
    if named:
        whose = f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} set"
        messages.fail(f"{whose}, but there is no service key and no config.json in {Path.cwd()}. {_WAYS_OUT}")
    if demo is DemoWhen.NEVER:
        messages.fail(f"There is no config.json in {Path.cwd()} and no service key in the environment. {_WAYS_OUT}")
    return True


def _messages(log_format: str) -> Messages:
    """Choose the form of messages: a log for programs has JSON alone."""
    as_json = log_format.lower() == "json"
    if as_json:
        set_up("info", "json")
    return Messages(as_json=as_json)


def _run(path: Path | None, overrides: dict[str, Any], load_application: "_Load", messages: Messages) -> int:
    """Check everything that can go wrong before the first request, then serve; give the exit code."""
    env = for_demo(os.environ) if overrides["is_demo"] else os.environ

    def finish(loaded: Settings) -> Settings:
        return with_judged_keys(loaded.overridden(**overrides))

    settings = load_settings(path, env, messages, warns=False, finish=finish)
    messages = _messages(settings.log_format)
    messages.warn(settings.warnings)
    wanted = settings.host
    try:
        address = address_of(settings.host)
    except UnknownHostError as error:
        messages.fail(f"{error}. Give an address of this machine with --host.")
    if not (settings.keys or settings.allow_unauthenticated or is_loopback(address)):
        messages.warn(
            [f"No secret_authentication_tokens are configured: listening on 127.0.0.1 only, not on {settings.host}."]
        )
        address = "127.0.0.1"
        settings = replace(settings, host=address)
    elif not settings.keys:
        messages.warn(
            ["No secret_authentication_tokens are configured: everyone who can reach this port may send requests."]
        )
    try:
        ensure_free(address, settings.port)
    except PortTakenError as error:
        at = reachable_url(settings.host, settings.port)
        is_used = isinstance(error.__cause__, OSError) and error.__cause__.errno == EADDRINUSE
        whose = f" `sap-ai-proxy status --url {at}` shows whether a proxy is already serving there." if is_used else ""
        messages.fail(f"{error}.{whose} Choose another port with --port.")
    url, base = url_of(settings.host, settings.port), reachable_url(settings.host, settings.port)
    banner = Banner(settings, url, base)
    messages.report(banner.text(coloured=shows_colours(2)), banner.fields())

    def load_again() -> Settings:
        again = finish(load_in_child(path, env, home_folder()))
        return replace(again, host=address) if again.host == wanted else again

    try:
        return serve(replace(settings, host=address), load_again, load_application())
    except (PortTakenError, UnknownHostError) as error:
        messages.fail(f"{error}.")
