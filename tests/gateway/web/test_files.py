"""The files of the page: all of them are served and shipped, and none asks for anything from elsewhere."""

import posixpath
import re
import tomllib
from pathlib import PurePosixPath

import pytest

from gateway.readiness import READY, WELL
from gateway.web.files import PAGE, load_files
from tests.support.sources import ROOT

STATIC = ROOT / "gateway/web/static"
FILES = load_files(key_is_needed=True)
TEXTS = {name: file.body.decode() for name, file in FILES.items()}
XML_NAMESPACE = "http://www.w3.org/2000/svg"


def test_every_file_is_served_and_shipped() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["gateway.web"]
    names = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    shipped = {name for name in names if any(PurePosixPath(f"static/{name}").match(pattern) for pattern in data)}

    assert names - FILES.keys() == {"vendor/README.md", "vendor/uPlot.LICENSE.txt"}
    assert names - shipped == set()


def test_whatever_a_file_names_is_served() -> None:
    by_page = re.findall(r'(?:href|src)="web/([^"]+)"', TEXTS[PAGE])
    by_modules = [
        posixpath.normpath(f"{posixpath.dirname(name)}/{named}").removeprefix("/")
        for name, text in TEXTS.items()
        for named in re.findall(r'(?:from |\bimport\()"(\.\.?/[^"]+)"', text)
    ]

    assert set(by_page + by_modules) == set(FILES) - {PAGE}


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_is_asked_from_elsewhere(name: str) -> None:
    text = TEXTS[name].replace(XML_NAMESPACE, "")

    assert re.findall(r"https?:|\bimport\((?!\"\./)|@import|url\(|\"//", text) == []


def test_the_page_has_nothing_that_its_policy_forbids() -> None:
    page = TEXTS[PAGE]

    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]* src=)", page) == []


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".js")))
def test_no_text_becomes_html(name: str) -> None:
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|localStorage", TEXTS[name]) == []
    )


def test_the_page_knows_what_is_well_and_ready_by_the_words_that_say_so() -> None:
    assert set(re.findall(r'\bstatus === "([^"]*)"', TEXTS["health.js"])) == {READY, WELL}


def test_no_program_compares_with_a_word_of_readiness_of_its_own() -> None:
    compared = re.compile(r"""\b(?:status|said|standing)\b\W*[!=]= ["'][a-z ]+["']""")
    found = {str(file.relative_to(ROOT)): compared.findall(file.read_text()) for file in ROOT.glob("gateway/**/*.py")}

    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_page_says_whether_a_key_is_needed_and_which_a_demo_has() -> None:
    def root(**said: object) -> str:
        return re.findall(r"<html[^>]*>", load_files(**said)[PAGE].body.decode())[0]

    assert root(key_is_needed=True) == '<html lang="en" data-key-is-needed="yes" data-demo-key="">'
    assert root(key_is_needed=False) == '<html lang="en" data-key-is-needed="no" data-demo-key="">'
    assert root(key_is_needed=True, demo_key='a"<b') == (
        '<html lang="en" data-key-is-needed="yes" data-demo-key="a&quot;&lt;b">'
    )


def test_another_text_is_another_etag() -> None:
    open_page, closed_page = (load_files(key_is_needed=needed)[PAGE] for needed in (False, True))

    assert open_page.etag != closed_page.etag
    assert load_files(key_is_needed=True)[PAGE] == closed_page
