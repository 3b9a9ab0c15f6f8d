"""The version stands in one place, and the documents that repeat it say the same."""

import re
import tomllib
from datetime import date

from gateway.version import VERSION
from tests.support.sources import ROOT, held, name_of

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^## \[([^]]+)\](?: - (\S+))?$", re.MULTILINE)


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version() -> None:
    headings = HEADING.findall(CHANGELOG)

    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == VERSION
    assert [released for _, released in headings[1:] if date.fromisoformat(released).isoformat() != released] == []


def test_every_heading_of_the_changelog_is_a_version() -> None:
    assert len(re.findall("^## ", CHANGELOG, re.MULTILINE)) == len(HEADING.findall(CHANGELOG))


def test_the_package_takes_the_version_from_the_code() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert said["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "gateway.version.VERSION"}
    assert said["project"]["dynamic"] == ["version"]


def test_no_document_shows_another_version_of_the_proxy() -> None:
    shown = re.compile(r"(?:LLM proxy|sap-ai-proxy, version|sap-ai-core-llm-proxy==) ?(\d+\.\d+\.\d+\S*)")
    documents = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    found = [(name_of(path), each) for path in documents for each in shown.findall(path.read_text(encoding="utf-8"))]

    assert ("README.md", VERSION) in found
    held("Say the version of gateway/version.py.", [f"{path}: {each}" for path, each in found if each != VERSION])
