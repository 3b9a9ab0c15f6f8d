"""Every link in the documents leads somewhere: to a file, and where it names one, to an anchor in it."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.docs.blocks import documents
from tests.support.sources import ROOT, held, name_of

_FENCE = re.compile(r"^( *)```.*?^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:img|source|a)\b[^>]*?\b(?:src|srcset|href)=\"([^\"]+)\""
)
_HEADING = re.compile(r"^ {0,3}#{1,6} +(.+?) *#* *$", re.MULTILINE)
_MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|[*`]")


def text_of(path: Path) -> str:
    """The text of a document without its blocks of code."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def links(text: str) -> Iterator[str]:
    """Give the target of every link and picture."""
    for markdown, html in _LINK.findall(_CODE.sub("", text)):
        yield markdown or html


def slug(heading: str) -> str:
    """Make the anchor of a heading as GitHub does."""
    plain = _MARKUP.sub(lambda match: match[1] or "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    counted: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(text_of(path)):
        name = slug(heading)
        found.add(f"{name}-{counted[name]}" if counted[name] else name)
        counted[name] += 1
    return frozenset(found)


def mistake(path: Path, link: str) -> str:
    """Say why a link of a document leads nowhere; empty if it does not."""
    parts = urlsplit(link)
    if parts.scheme:
        well_formed = parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc)
        return "" if well_formed else "is no https URL of a host"
    target = Path(posixpath.normpath(path.parent / parts.path)) if parts.path else path
    if not target.exists() or not target.is_relative_to(ROOT):
        return "there is no such file"
    if parts.fragment and (target.suffix != ".md" or parts.fragment not in anchors(target)):
        return f"{name_of(target)} has no such heading"
    return ""


def test_every_link_leads_somewhere() -> None:
    found = [(path, link) for path in documents() for link in links(text_of(path))]
    wrong = [f"{name_of(path)}: {link}: {why}" for path, link in found if (why := mistake(path, link))]

    held("Links are relative to their file, and anchors are those of GitHub.", wrong)
    assert len(found) > 80


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = set(re.findall(r"[\w/.-]+\.md", yaml.safe_dump(yaml.safe_load(f"nav:{text}"))))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}

    held("Name these under `nav` in mkdocs.yml.", sorted(pages - named))


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("nothing.md", "no such file"),
        ("../../outside.md", "no such file"),
        ("#nothing", "no such heading"),
        ("stability.md#nothing", "no such heading"),
        ("images/bench.svg#top", "no such heading"),
        ("http://example.com/", "no https URL"),
        ("https://localhost/", "no https URL"),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(link: str, why: str) -> None:
    assert why in mistake(ROOT / "docs/index.md", link)


def test_links_are_found_in_text_and_pictures_but_not_in_code() -> None:
    text = (
        'A [b](c.md#d), `[e](f)` and\n![g](h.png "i")\n<img alt="j" src="k.png">\n<source media="(l)" srcset="m.png">'
    )

    assert list(links(text)) == ["c.md#d", "h.png", "k.png", "m.png"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Connect your tool", "connect-your-tool"),
        ("`/router/state`, and more", "routerstate-and-more"),
        ("A / B", "a--b"),
        ("[The `x`](y.md) of z_1", "the-x-of-z_1"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
