"""The command ``sap-ai-proxy``: what it is asked, and what it says."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from gateway.cli import check as checking
from gateway.cli.connect.files import undo, write
from gateway.cli.connect.lookup import look_up
from gateway.cli.connect.registry import find_tool, instructions, key_line, key_line_of, list_tools
from gateway.cli.connect.start import start
from gateway.cli.connect.tool import KEY_VARIABLE, ConnectError
from gateway.cli.demo import KEY, Demo
from gateway.cli.route import explain, looked_up
from gateway.config.environment import for_demo, names_subaccounts
from gateway.config.mistakes import ServiceKeyError
from gateway.config.service_keys import find, home_folder
from gateway.config.settings import Settings, SettingsError, load
from gateway.server.serving import (
    PortTakenError,
    UnknownHostError,
    address_of,
    ensure_free,
    is_loopback,
    serve,
)
from gateway.upstream.management import ManagementClient
from gateway.version import VERSION

if TYPE_CHECKING:
    from gateway.server.runtime import CreateApplication

_DEFAULT_CONFIG = Path("config.json")
_LEVELS = click.Choice(["debug", "info", "warning", "error"], case_sensitive=False)
_FORMATS = click.Choice(["text", "json"], case_sensitive=False)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what users write, and where they then find it

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


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one.")
@click.option("--host", help="The address to listen on, instead of the config file's.")
@click.option(
    "-p", "--port", type=click.IntRange(1, 65535), help="The port to listen on, instead of the config file's."
)
@click.option("--workers", type=click.IntRange(1, 256), help="How many processes serve; each balances for itself.")
@click.option("--log-level", type=_LEVELS, help="How much is logged.")
@click.option("--log-format", type=_FORMATS, help="How: text for people, or json for programs.")
@click.option("-d", "--debug", is_flag=True, help="The same as --log-level debug.")
@click.option("--demo", is_flag=True, help="Serve the embedded emulator, whatever config file there is.")
@click.version_option(VERSION, "-v", "--version", prog_name="sap-ai-proxy")
@click.pass_context
def cli(context: click.Context, /, config: Path | None, *, debug: bool, demo: bool, **given: Any) -> None:
    """One URL in front of every large language model on SAP AI Core."""
    create, context.obj = context.obj, config
    if context.invoked_subcommand is None:
        if debug:
            given["log_level"] = "debug"
        with ExitStack() as owned:
            path = None if demo else _found(config)
            why = "This is" if demo else "No config.json here, so this is"
            demo = demo or not _is_configured(path)
            if demo:
                _say(_DEMO.format(why=why))
                path = owned.enter_context(Demo()).config
            overrides = {name: value for name, value in given.items() if value is not None}
            context.exit(_run(path, overrides, create, demo=demo))


@cli.command()
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one.")
@click.pass_context
def check(context: click.Context, config: Path | None) -> None:
    """Try every key and deployment of the config file. Exits with 1 if anything is wrong."""
    settings = _loaded(_given(config or context.obj), warn=False)
    with closing(ManagementClient(proxy=settings.proxy, ca_bundle=settings.ca_bundle)) as management:
        report = checking.check(settings, management)
    click.echo(checking.render(report), nl=False)
    context.exit(report.exit_code)


@cli.command()
@click.argument("model")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one.")
@click.option(
    "--client",
    default="openai",
    show_default=True,
    help="Whose dialect is spoken: openai, responses, anthropic, gemini.",
)
@click.option(
    "--n",
    "times",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="How many requests to choose for.",
)
@click.pass_context
def route(context: click.Context, model: str, config: Path | None, client: str, times: int) -> None:
    """Say where requests for MODEL would go, and why. No model is asked."""
    settings = _loaded(_given(config or context.obj))
    with closing(ManagementClient(proxy=settings.proxy, ca_bundle=settings.ca_bundle)) as management:
        found = looked_up(settings, management)
        _warn([f"the deployments of {name} cannot be listed: {why}" for name, why in found.failed.items()])
        try:
            click.echo(explain(found.settings, model, client, times, found.failed, found.successors))
        except ValueError as error:
            _fail(str(error))


class _ConnectCommand(click.Command):
    """A command that remembers whether its arguments have `--` in them, which click takes away."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        context.meta["starts"] = "--" in args
        return super().parse_args(context, args)


@cli.command(cls=_ConnectCommand)
@click.argument("tool", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENTS...]")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The config file; ./config.json if there is one.")
@click.option("--url", help="Where the proxy is, instead of the config file's host and port.")
@click.option("--key", envvar=KEY_VARIABLE, show_envvar=True, help="A key of it, instead of the config file's first.")
@click.option("--print", "action", flag_value="print", help="Say what to set; the default.")
@click.option(
    "--write", "action", flag_value="write", help="Write it into the tool's own settings, with a copy beside."
)
@click.option("--undo", "action", flag_value="undo", help="Restore the settings from that copy.")
@click.pass_context
def connect(
    context: click.Context,
    tool: str | None,
    arguments: tuple[str, ...],
    config: Path | None,
    url: str | None,
    key: str | None,
    action: str | None,
) -> None:
    """Have TOOL ask the running proxy, for the models that it serves; without TOOL, list the tools.

    Behind -- stand arguments with which the tool is started: nothing is written then. TOOL may also be "key", which
    prints the key and nothing else.
    """
    starts = context.meta["starts"]
    if tool is None:
        click.echo(list_tools())
        return
    if (arguments and not starts) or (starts and action):
        raise click.UsageError("Arguments of the tool stand behind --, without --print, --write or --undo.")
    if tool == "key":
        click.echo(_caller(context, config, url, key).key)
        return
    try:
        row = find_tool(tool, must_be_written=starts or action in ("write", "undo"))
        if action == "undo":
            click.echo("\n".join(undo(row.paths(os.environ, Path.home()))))
            return
        caller = _caller(context, config, url, key)
        to = look_up(caller.url, caller.key)
        if starts and row.start:
            start(row.start(to), arguments, os.environ)
        elif action == "write":
            click.echo("\n".join(write(row.files(to, os.environ, Path.home()))))
        else:
            click.echo(instructions(row, to, caller.key_setter), nl=False)
    except ConnectError as error:
        _fail(f"{error}.", code=1)


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
@click.pass_context
def emulator(context: click.Context) -> None:
    """Run the emulator of SAP AI Core on its own."""
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    # -P: whatever is called emulator in the current folder is not meant.
    command = [sys.executable, "-P", "-m", "emulator", *context.args]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})  # noqa: S606 - our own module


def main(create: "CreateApplication") -> None:
    """Run the command line; *create* builds the application that is served."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    cli.main(prog_name="sap-ai-proxy", obj=create)


def _run(path: Path | None, overrides: dict[str, Any], create: "CreateApplication", *, demo: bool) -> int:
    """Check everything that can go wrong before the first request, then serve; give the exit code."""
    env = for_demo(os.environ) if demo else os.environ
    settings = _loaded(path, env).overridden(**overrides)
    wanted = settings.host
    try:
        address = address_of(settings.host)
    except UnknownHostError as error:
        _fail(f"{error}. Give an address of this machine with --host.")
    if not (settings.tokens or settings.allow_unauthenticated or is_loopback(address)):
        _say(f"No secret_authentication_tokens are configured: listening on 127.0.0.1 only, not on {settings.host}.")
        address = "127.0.0.1"
        settings = replace(settings, host=address)
    elif not settings.tokens:
        _say("No secret_authentication_tokens are configured: everyone who can reach this port may call.")
    try:
        ensure_free(address, settings.port)
    except PortTakenError as error:
        _fail(f"{error}. Give another one with --port.")
    url, base = _url(settings.host, settings.port), _url(_EVERYWHERE.get(settings.host, settings.host), settings.port)
    key = KEY if demo else "one of your secret_authentication_tokens" if settings.tokens else "any: none is configured"
    _say(_SERVED.format(version=VERSION, url=url, base=base, key=key))
    if demo:
        _say(_TRY.format(url=base, key=KEY))

    def load_again() -> Settings:
        again = load(path, env, home_folder()).overridden(**overrides)
        return replace(again, host=address) if again.host == wanted else again

    try:
        return serve(replace(settings, host=address), load_again, create)
    except (PortTakenError, UnknownHostError) as error:
        _fail(f"{error}.")


class _Caller(NamedTuple):
    """Where the proxy is, a key of it, and the shell line that sets the key, if it is not set already."""

    url: str
    key: str
    key_setter: str | None


def _caller(context: click.Context, config: Path | None, url: str | None, key: str | None) -> _Caller:
    """Find out whom to ask, and with which key; what the command line says goes first, the demo's are last."""
    if key is not None:
        in_environment = context.get_parameter_source("key") is click.core.ParameterSource.ENVIRONMENT
        setter = None if in_environment else key_line(key)
        return _Caller(url or _configured(context, config)[0], key, setter)
    own_url, own_key, path = _configured(context, config)
    if own_key is None:
        return _Caller(url or own_url, KEY, key_line(KEY))
    command = shlex.join([_own_program(), "connect", "key", *(["--config", str(path.absolute())] if path else [])])
    return _Caller(url or own_url, own_key, key_line_of(command))


def _configured(context: click.Context, config: Path | None) -> tuple[str, str | None, Path | None]:
    """Give URL, first key and path of the config file; the demo's URL, and no key, where nothing is configured."""
    path = _found(config or context.obj)
    if not _is_configured(path):
        return _url(Settings({}).host, Settings({}).port), None, None
    settings = _loaded(path, warn=False)
    url = _url(_EVERYWHERE.get(settings.host, settings.host), settings.port)
    return url, settings.tokens[0].reveal() if settings.tokens else None, path


def _own_program() -> str:
    """Name this command so that a shell finds it."""
    return "sap-ai-proxy" if shutil.which("sap-ai-proxy") else str(Path(sys.argv[0]).absolute())


def _found(config: Path | None) -> Path | None:
    """Give the config file to use, if there is one."""
    try:
        is_there = _DEFAULT_CONFIG.exists() if config is None else config.is_file()
    except OSError as error:
        _fail(f"Cannot look for the config file {config or _DEFAULT_CONFIG}: {error.strerror}.")
    if config is not None and not is_there:
        _fail(f"There is no config file {config}.")
    return (config or _DEFAULT_CONFIG) if is_there else None


def _is_configured(path: Path | None) -> bool:
    """Tell whether there is anything to serve; a key that cannot be used counts, and is complained of later."""
    try:
        found = path is not None or names_subaccounts(os.environ)
        return found or find(os.environ, home_folder()) is not None
    except ServiceKeyError:
        return True


def _given(config: Path | None) -> Path | None:
    """Give the config file to look into; leave if there is none, nor a key elsewhere."""
    path = _found(config)
    if not _is_configured(path):
        _fail("There is no config.json here and no service key in the environment. Give a file with --config FILE.")
    return path


def _loaded(path: Path | None, env: Mapping[str, str] = os.environ, *, warn: bool = True) -> Settings:
    """Load the settings and say what is odd about them, or what is wrong, and leave."""
    try:
        settings = load(path, env, home_folder())
    except SettingsError as error:
        _warn(error.warnings)
        _fail(*str(error).splitlines())
    if warn:
        _warn(settings.warnings)
    return settings


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(text: str) -> None:
    """Write to standard error; a full disk or a closed pipe there is no reason not to serve."""
    with suppress(OSError):
        click.echo(text, err=True)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        _say(f"warning: {warning}")


def _fail(*lines: str, code: int = 2) -> NoReturn:
    for line in lines:
        _say(f"sap-ai-proxy: {line}")
    raise SystemExit(code)
