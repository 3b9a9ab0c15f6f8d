"""From the command line to a proxy that serves: what can go wrong before the first request, and what is said."""

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.configuration import found_file, is_configured, load_settings, reachable_url, url_of
from gateway.cli.demo import KEY, Demo
from gateway.cli.messages import fail, say
from gateway.config.environment import for_demo
from gateway.config.service_keys import home_folder
from gateway.config.settings import Settings, load
from gateway.server.serving import PortTakenError, UnknownHostError, address_of, ensure_free, is_loopback, serve
from gateway.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.server.runtime import CreateApplication

    _Load = Callable[[], CreateApplication]

_DEMO = """\
{why} a demo: an emulated SAP AI Core, with no model behind it.
To use your own, write a config.json (the README says how) or give --config FILE.
"""
_SERVED = """\
SAP AI Core LLM proxy {version} on {url}

  base URL  {base}/v1  (OpenAI)   {base}  (Anthropic, Google)
  key       {key}
"""
_TRY = """\
Try it:

  curl -s {url}/v1/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "gpt-5.5", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  curl -s {url}/v1/messages -H "x-api-key: {key}" -H "anthropic-version: 2023-06-01" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "claude-sonnet-4-6", "max_tokens": 200, "messages": [{{"role": "user", "content": "Hello"}}]}}'

  python3 -c 'import json, urllib.request as u; print(json.load(u.urlopen(u.Request("{url}/v1/chat/completions",
    json.dumps({{"model": "gemini-3.5-flash", "messages": [{{"role": "user", "content": "Hello"}}]}}).encode(),
    {{"Authorization": "Bearer {key}"}})))["choices"][0]["message"]["content"])'
"""


def start(config: Path | None, overrides: dict[str, Any], load_application: "_Load", *, demo: bool) -> int:
    """Serve what *config* says, or a demo where nothing is configured; give the exit code.

    *overrides* count before the settings, *load_application* gives what builds the application, *demo* wants the demo
    whatever there is.
    """
    with ExitStack() as owned:
        path = None if demo else found_file(config)
        why = "This is" if demo else "No config.json here, so this is"
        demo = demo or not is_configured(path)
        if demo:
            say(_DEMO.format(why=why))
            path = owned.enter_context(Demo()).config
        return _run(path, {**overrides, "is_demo": demo}, load_application, demo=demo)


def _run(path: Path | None, overrides: dict[str, Any], load_application: "_Load", *, demo: bool) -> int:
    """Check everything that can go wrong before the first request, then serve; give the exit code."""
    env = for_demo(os.environ) if demo else os.environ
    settings = load_settings(path, env).overridden(**overrides)
    wanted = settings.host
    try:
        address = address_of(settings.host)
    except UnknownHostError as error:
        fail(f"{error}. Give an address of this machine with --host.")
    if not (settings.tokens or settings.allow_unauthenticated or is_loopback(address)):
        say(f"No secret_authentication_tokens are configured: listening on 127.0.0.1 only, not on {settings.host}.")
        address = "127.0.0.1"
        settings = replace(settings, host=address)
    elif not settings.tokens:
        say("No secret_authentication_tokens are configured: everyone who can reach this port may call.")
    try:
        ensure_free(address, settings.port)
    except PortTakenError as error:
        fail(f"{error}. Give another one with --port.")
    url, base = url_of(settings.host, settings.port), reachable_url(settings.host, settings.port)
    key = KEY if demo else "one of your secret_authentication_tokens" if settings.tokens else "any: none is configured"
    say(_SERVED.format(version=VERSION, url=url, base=base, key=key))
    if demo:
        say(_TRY.format(url=base, key=KEY))

    def load_again() -> Settings:
        again = load(path, env, home_folder()).overridden(**overrides)
        return replace(again, host=address) if again.host == wanted else again

    try:
        return serve(replace(settings, host=address), load_again, load_application())
    except (PortTakenError, UnknownHostError) as error:
        fail(f"{error}.")
