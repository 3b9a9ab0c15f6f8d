"""Every block of code in the documents is run, or says why not."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from routing.strategy import STRATEGIES
from tests.docs import runner
from tests.docs.blocks import REASONS, Block, blocks, blocks_of, documents
from tests.docs.runner import Page, Served
from tests.support.processes import new_place
from tests.support.sources import ROOT, held, name_of

RUN = [path for path in documents() if any(block.is_run for block in blocks_of(path))]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with runner.served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def page(served: Served, tmp_path: Path) -> Iterator[Page]:
    with ExitStack() as owned:
        yield Page(served, new_place(tmp_path), owned)


def block(language: str, text: str, mark: str = "") -> Block:
    return Block("page.md:1", language, text, mark)


def test_every_block_is_run_or_says_why_not() -> None:
    found = [each for path in documents() for each in blocks_of(path)]

    held("Name a language that is run, or mark the block.", [f"{b.place}: {b.mistake()}" for b in found if b.mistake()])
    assert len(found) > 40


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_blocks_of_a_document_do_what_they_say(path: Path, page: Page) -> None:
    for each in blocks_of(path):
        if each.is_run:
            page.run(each)


def test_contributing_lists_every_reason_not_to_run_a_block() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

    assert [reason for reason in REASONS if f"`<!-- not run: {reason} -->`" not in text] == []


def test_blocks_are_found_with_their_marks_and_without_the_indent_of_a_list() -> None:
    text = "# A\n\n<!-- not run: needs root: it\nmounts -->\n```sh\nmount\n```\n\n1. B\n\n   ```json\n   {}\n   ```\n"

    assert list(blocks(text, "a.md")) == [
        Block("a.md:5", "sh", "mount\n", "not run: needs root: it mounts"),
        Block("a.md:11", "json", "{}\n"),
    ]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (block("sh", "ls", "not run: it is hard"), "is none of those in CONTRIBUTING.md"),
        (block("sh", "ls", "run by tests/test_nothing.py"), "does not exist"),
        (block("sh", "ls", "run by tests/test_words.py"), "does not name page.md"),
        (block("ruby", "puts 1"), "the language 'ruby'"),
        (block("", "ls"), "the language ''"),
    ],
    ids=lambda value: getattr(value, "mark", None) or getattr(value, "language", ""),
)
def test_a_block_that_is_neither_run_nor_marked_is_noticed(wrong: Block, why: str) -> None:
    assert why in wrong.mistake()


@pytest.mark.parametrize(
    "wrong",
    [
        block("sh", "false\ntrue"),
        block("sh", "false | true"),
        block("sh", "make coffee"),
        block("sh", "pip install something"),
        block("sh", "sap-ai-proxy coffee"),
        block("sh", "curl -sS --fail http://127.0.0.1:3001/nothing"),
        block("console", "$ echo one two\ntwo\none"),
        block("python", "raise SystemExit(1)"),
        block("json", "{"),
        block("json", '{"port": "many"}'),
        block("json", '"routing": {"strategy": "coin"}'),
        block("json", '{"subAccounts": {"de": {"service_key_json": "de_key.json", "wieght": 2}}}'),
        block("yaml", "a: ["),
        block("toml", "a ="),
    ],
    ids=lambda wrong: f"{wrong.language}: {wrong.text.splitlines()[0]}",
)
def test_a_block_that_does_not_do_what_it_says_is_noticed(page: Page, wrong: Block) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception), match=r"page\.md:1"):
        page.run(wrong)


def test_a_session_may_leave_out_lines_and_parts_of_them(page: Page) -> None:
    page.run(block("console", "$ printf 'one\\n two  three\\nfour\\n'\none\n…\ntwo …ee\n$ echo $PROXY_KEY\nsk-demo\n"))


def test_what_a_configured_extension_registers_is_forgotten(page: Page) -> None:
    before = dict(STRATEGIES)

    page.run(block("json", '{"extensions": ["cheapest_first"], "routing": {"strategy": "cheapest-first"}}'))

    assert before == STRATEGIES
    assert "cheapest_first" not in sys.modules


def test_what_a_block_serves_is_found_by_those_behind_it(page: Page) -> None:
    page.run(block("sh", "sap-ai-proxy emulator --port 8001", "run: serves on 8001"))
    page.run(block("sh", "curl -sS --fail http://127.0.0.1:8001/admin/tenants"))
