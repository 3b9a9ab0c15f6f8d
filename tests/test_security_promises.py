"""Each promise of SECURITY.md is held by a test, and every test that it names exists."""

import re

from tests.support.sources import ROOT, held

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises() -> dict[str, list[tuple[str, str]]]:
    """Each promise, with the files and names of the tests that hold it."""
    section = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if line.startswith("|") and not line.startswith(("| promise |", "|---")):
            promise, _, holders = line.strip("| ").rpartition(" | ")
            found[promise] = TEST.findall(holders)
    return found


def exists(file: str, name: str) -> bool:
    path = ROOT / file
    return path.is_file() and f"\ndef {name}(" in path.read_text(encoding="utf-8")


def test_every_promise_names_a_test() -> None:
    assert len(promises()) > 25
    held("Name the test that holds it.", [promise for promise, holders in promises().items() if not holders])


def test_every_test_that_holds_a_promise_exists() -> None:
    named = [holder for holders in promises().values() for holder in holders]

    assert len(named) == PAGE.count("::test_")
    held("Name the test as it is called now.", [f"{file}::{name}" for file, name in named if not exists(file, name)])


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert exists("tests/test_security_promises.py", "test_every_promise_names_a_test")
    assert not exists("tests/test_security_promises.py", "test_no_promise")
    assert not exists("tests/test_nothing.py", "test_every_promise_names_a_test")
