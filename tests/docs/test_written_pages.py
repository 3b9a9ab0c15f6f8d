"""The references of settings and commands are those of the code, and complete."""

import re
from pathlib import Path

import click
import pytest

import routing
from gateway.cli.main import cli
from gateway.config.environment import PREFIX
from gateway.config.loader import load
from tests.docs import commands_page, config_page
from tests.docs.pages import PAGES, with_reference
from tests.support.sources import ROOT, held, name_of

CONFIGURATION, COMMANDS = config_page.reference(), commands_page.reference()
HIDDEN = {each.rpartition(".")[2] for each in config_page.HIDDEN}
SERVICE_KEY = """{"clientid": "c", "clientsecret": "s", "url": "https://x.example.com",
    "serviceurls": {"AI_API_URL": "https://api.example.com"}}"""
ROW = re.compile(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*?)(?:<br>`(\w+)`)? \|$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_reference_is_current(page: Path) -> None:
    current = with_reference(page, PAGES[page]()) == page.read_text(encoding="utf-8")

    assert current, f"{name_of(page)} is not what the code says: run `make docs-reference`"


def test_every_setting_is_described_in_sentences() -> None:
    rows = ROW.findall(CONFIGURATION)
    wrong = [f"{key}: {meaning!r}" for key, _, _, meaning, _ in rows if not re.match(r"[A-Z`].*[.)]$", meaning)]

    held("Write a docstring below the field: a sentence that begins with a capital and ends with a full stop.", wrong)
    assert {path.rpartition(".")[2] for path in config_page.settings()} - HIDDEN <= {key for key, *_ in rows}


def test_every_number_has_a_range_and_a_time_its_unit() -> None:
    rows = ROW.findall(CONFIGURATION)
    numbers = [(key, value) for key, value, *_ in rows if re.match(r"(whole )?number|seconds|bytes", value)]

    assert {key for key, value in numbers if "," not in value} == {"tier"}
    assert ("drain_seconds", "seconds, 0 to 86,400") in numbers
    assert ("max_body_bytes", "bytes, from 1,024") in numbers
    assert ("header_timeout", "seconds, above 0, up to 86,400") in numbers


def test_a_variable_of_the_reference_is_read(tmp_path: Path) -> None:
    variables = {variable for *_, variable in ROW.findall(CONFIGURATION) if variable}
    given = {f"{PREFIX}ROUTING__RETRY__MAX_ATTEMPTS": "7", f"{PREFIX}SERVER__DRAIN_SECONDS": "9"}
    settings = load(None, given | {"AICORE_SERVICE_KEY": SERVICE_KEY}, tmp_path)

    assert given.keys() <= variables
    assert (settings.policy.retry.max_attempts, settings.server.drain_seconds) == (7, 9)


def test_every_option_of_every_command_is_in_the_reference() -> None:
    assert isinstance(cli, click.Group)
    options = {
        (name, option)
        for name, command in cli.commands.items()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in parameter.opts
    }
    sections = dict(re.findall(r"^## sap-ai-proxy (\w+)\n(.*?)(?=^## |\Z)", COMMANDS, re.MULTILINE | re.DOTALL))

    assert sections.keys() == cli.commands.keys()
    assert {(name, option) for name, option in options if option not in sections[name]} == set()


def test_every_name_that_routing_exports_is_on_one_page_of_its_api() -> None:
    pages = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/api").glob("*.md")))
    named = [name for page in pages for name in re.findall(r"^::: routing\.(\w+)$", page, re.MULTILINE)]

    assert sorted(named) == sorted(routing.__all__)
