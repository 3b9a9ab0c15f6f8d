"""What the guides for people say is true: error lines, settings, commands, headers, metrics, strategies and figures."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from gateway.cli.main import cli
from routing import STRATEGIES
from tests.end_to_end.test_troubleshooting import PRODUCED
from tests.support.message_texts import share_of
from tests.support.sources import ROOT, held, name_of

PAGES = "subaccounts strategies teams troubleshooting migrating migrating-from-litellm comparison"
GUIDES = [ROOT / "docs" / f"{name}.md" for name in PAGES.split()]
LEAST_KNOWN = 0.5
"""The part of an error line that must stand in the code word for word; the rest is values and the words around them."""
SECTIONS = ("routing", "server", "upstream", "orchestration", "model_filters", "subAccounts")
"""The objects of the config file whose keys the guides name."""

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(rf"(?<![\w/])(?:{'|'.join(SECTIONS)})(?:\.\w+)+")
_COMMAND = re.compile(r"sap-ai-proxy((?:[ \t]+(?:\"[^\"]*\"|[^\s`|;&)\"]+))*)")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def guides(*, but: tuple[str, ...] = ()) -> list[Path]:
    return [path for path in GUIDES if path.stem not in but]


def error_lines(path: Path) -> list[str]:
    return [
        line
        for language, text in _BLOCK.findall(text_of(path))
        if language == "text"
        for line in text.splitlines()
        if line.strip()
    ]


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(ROOT / "gateway/config/config.schema.json"))
    return found


def _resolved(node: dict[str, Any]) -> list[dict[str, Any]]:
    """List what a part of the schema may be, with references followed."""
    if "$ref" in node:
        target: Any = schema()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target)
    nested = [each for word in ("anyOf", "oneOf", "allOf") for part in node.get(word, ()) for each in _resolved(part)]
    return [node, *nested]


def has_setting(path: list[str]) -> bool:
    """Whether the schema has a setting; a key that people choose, as of a subaccount, is passed over."""
    found = [schema()]
    for key in path:
        forms = [form for node in found for form in _resolved(node)]
        found = [form["properties"][key] for form in forms if key in form.get("properties", {})]
        found += [form["additionalProperties"] for form in forms if isinstance(form.get("additionalProperties"), dict)]
    return bool(found)


def _mistake_in_command(words: list[str]) -> str:
    """Say what of a call of `sap-ai-proxy` does not exist; empty if all of it does."""
    command: click.Command = cli
    if words and words[0] in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), words[0]) or cli
    elif words and re.fullmatch(r"[a-z]+", words[0]):
        return f"there is no command {words[0]}"
    if command.context_settings.get("ignore_unknown_options"):
        return ""
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = words[: words.index("--")] if "--" in words else words
    options = {word.partition("=")[0] for word in given if re.fullmatch(r"--?[a-z][a-z-]*(?:=.*)?", word)}
    return ", ".join(sorted(options - known - {"-h", "--help"}))


def test_every_error_line_is_one_that_the_code_writes() -> None:
    lines = error_lines(ROOT / "docs/troubleshooting.md")
    unknown = [line for line in lines if line not in PRODUCED and share_of(line) < LEAST_KNOWN]

    held("Quote the line as it is now.", unknown)
    assert len(lines) >= 25


@pytest.mark.parametrize("line", ["the flux capacitor of eu is not charged", "cannot find the deployments near eu"])
def test_a_line_that_the_code_does_not_write_is_noticed(line: str) -> None:
    assert share_of(line) < LEAST_KNOWN


@pytest.mark.parametrize("guide", guides(), ids=name_of)
def test_every_setting_that_a_guide_names_exists(guide: Path) -> None:
    prose = re.sub(r"\]\([^)]*\)", "]", _BLOCK.sub("", text_of(guide)))
    named = sorted(set(_SETTING.findall(prose)))

    held(f"What {guide.name} names exists.", [each for each in named if not has_setting(each.split("."))])


def test_a_setting_that_is_gone_is_noticed() -> None:
    assert not has_setting(["routing", "cooling_off"])
    assert not has_setting(["subAccounts", "eu", "wait"])
    assert has_setting(["subAccounts", "eu", "weight"])


@pytest.mark.parametrize("guide", guides(but=("comparison",)), ids=name_of)
def test_every_command_that_a_guide_names_exists(guide: Path) -> None:
    calls = [found.split() for found in _COMMAND.findall(text_of(guide))]

    held(f"What {guide.name} calls exists.", [f"{call}: {why}" for call in calls if (why := _mistake_in_command(call))])


def test_a_command_or_an_option_that_is_gone_is_noticed() -> None:
    assert _mistake_in_command(["chek"]) == "there is no command chek"
    assert _mistake_in_command(["route", "gpt-5", "--times", "3"]) == "--times"
    assert _mistake_in_command(["connect", "claude", "--", "--print", "Hello"]) == ""


@pytest.mark.parametrize("guide", guides(), ids=name_of)
def test_every_header_and_metric_that_a_guide_names_is_public(guide: Path) -> None:
    public = text_of(ROOT / "docs/stability.md")
    named = re.findall(r"`((?:x-proxy-|aicore_proxy_)[\w-]+)`", text_of(guide))

    held(f"What {guide.name} names is public.", sorted({each for each in named if f"`{each}`" not in public}))


def rows_of(text: str) -> dict[str, list[str]]:
    """Read the rows of tables that begin with a name in backquotes: the name, and its other cells."""
    rows = re.findall(r"^\| `([^`|]+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def test_the_guide_to_strategies_describes_each_of_them_and_no_other() -> None:
    text = text_of(ROOT / "docs/strategies.md").partition("## What each one does")[2].partition("\n## ")[0]

    assert set(rows_of(text)) == set(STRATEGIES)


def test_the_figures_of_strategies_are_those_of_the_simulation() -> None:
    text = text_of(ROOT / "docs/strategies.md").partition("## What the strategies do in trouble")[2]
    shown = {name: tuple(re.findall(r"[\d.]+", " ".join(cells))) for name, cells in rows_of(text).items()}
    simulated = {
        name: (_figure("Slow", name, "p95"), _figure("Hang", name, "p95"), *_cut_and_wasted(name))
        for name in STRATEGIES
    }

    assert shown == simulated


def _cut_and_wasted(name: str) -> tuple[str, str]:
    return _figure("Cut streams", name, "cut"), _figure("30 % of one", name, "wasted")


def _figure(scenario: str, contender: str, column: str) -> str:
    """Read one figure of the simulation."""
    section = text_of(ROOT / "docs/simulation.md").partition(f"\n## {scenario}\n")[2].partition("\n## ")[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    row = next(row for row in table if row[0] == contender)
    return row[table[0].index(column)]


def test_the_figures_of_what_the_proxy_costs_are_those_of_the_chart() -> None:
    chart = text_of(ROOT / "docs/images/bench.svg")
    teams = text_of(ROOT / "docs/teams.md").partition("| measured |")[2].partition("These are")[0]
    others = text_of(ROOT / "docs/comparison.md").partition("## What was measured")[2].partition("The *bare")[0]
    figures = re.findall(r"([\d.,]+ ?(?:s|ms|MB|%))(?= \|)", teams + others)

    assert [each for each in figures if each not in chart] == ["79 MB"]
    assert len(figures) >= 30
    assert "79 MB" in text_of(ROOT / "decisions/0007-threads-on-demand.md")
