"""What the command line says of itself, and to who writes something else than a command."""

import sys

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import COMMANDS, cli
from gateway.tool_settings.registry import TOOLS
from tests.gateway.cli.drawn import Terminal


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, obj=lambda: None)


def test_every_command_is_told_whole_in_the_help_of_all() -> None:
    _, _, listed = ask("--help").stdout.partition("Commands:\n")
    rows = [line.split(None, 1) for line in listed.splitlines()]

    assert [name for name, _ in rows] == [each.name for each in COMMANDS]
    assert [text for _, text in rows if not text.endswith(".") or text.endswith("...")] == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "serve",
            "Error: No such command 'serve': `sap-ai-proxy` alone starts the proxy, with options such as --port.",
        ),
        (
            "start",
            "Error: No such command 'start': `sap-ai-proxy` alone starts the proxy, with options such as --port.",
        ),
        ("eu_key.json", "for a service key run `sap-ai-proxy init eu_key.json`"),
        ("mine/config.json", "for a config file `sap-ai-proxy --config mine/config.json`."),
        ("chekc", "Did you mean 'check'?"),
    ],
)
def test_what_is_no_command_is_answered_with_the_one_that_is(word: str, said: str) -> None:
    told = ask(word)

    assert told.exit_code == 2
    assert said in told.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("claude", "-p", "hello"), "No such option '-p'. Options of the tool come after --, as in: "),
        (("claude", "--wrte"), "No such option '--wrte'. (Did you mean one of: '--print', '--write'?)"),
    ],
)
def test_an_option_of_the_tool_before_the_dashes_is_told_where_it_belongs(
    arguments: tuple[str, ...], said: str
) -> None:
    told = ask("connect", *arguments)

    assert told.exit_code == 2
    assert f"Error: {said}" in told.stderr


def test_connect_alone_lists_the_tools_a_line_each_in_a_pipe() -> None:
    listed = ask("connect")

    assert [line.split()[0] for line in listed.stdout.splitlines()] == [tool.name for tool in TOOLS]
    assert "\x1b" not in listed.stdout


def test_what_connect_lists_is_wrapped_below_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", file := Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    cli.main(["connect"], standalone_mode=False)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]

    assert lines[:2] == ["claude     Claude Code (also --write,", "           --undo, and -- to start it)"]
