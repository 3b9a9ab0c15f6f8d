"""Blocks of code in Markdown: where they stand, their language, and the comment that says why one is not run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.sources import ROOT, name_of

LANGUAGES = frozenset({"sh", "console", "python", "json", "yaml", "toml", "text"})
"""Languages whose blocks are run, parsed or, as text, only shown."""
REASONS = (
    "needs an account",
    "needs a cluster",
    "needs root",
    "installs software",
    "takes long",
    "is a pattern",
    "is the other product's",
)
"""Reasons for which a block is not run; after a colon a comment may say more."""

_COMMENT = re.compile(r"<!--\s*((?:not run|run by|run)\b.*?)\s*-->\s*\Z", re.DOTALL)
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL
)
_NOT_RUN = re.compile(rf"not run: (?:{'|'.join(map(re.escape, REASONS))})(?:: .+)?", re.DOTALL)
_RUN_BY = re.compile(r"run by (tests/[\w/]+\.py)(?:: .+)?", re.DOTALL)
_SERVES = re.compile(r"run: serves on (\d+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code in a document."""

    place: str
    """Document and line, as error messages name it."""
    language: str
    text: str
    mark: str = ""
    """The comment before it, if that is about running it."""

    @property
    def document(self) -> str:
        return self.place.rpartition(":")[0]

    @property
    def is_run(self) -> bool:
        """Whether the runner of blocks has something to do for it."""
        return self.language != "text" and (not self.mark or self.serves_on is not None)

    @property
    def serves_on(self) -> int | None:
        """The port on which it goes on serving, if its mark says so."""
        found = _SERVES.fullmatch(self.mark)
        return int(found[1]) if found else None

    def mistake(self) -> str:
        """Say why it can neither be run nor left out; empty if it can."""
        if by := _RUN_BY.fullmatch(self.mark):
            test = ROOT / by[1]
            if not test.exists() or Path(self.document).name not in test.read_text(encoding="utf-8"):
                return f"{by[1]} does not exist, or does not name {Path(self.document).name}"
        elif self.mark:
            if self.serves_on is None and not _NOT_RUN.fullmatch(self.mark):
                return f"the mark {self.mark!r} is none of those in CONTRIBUTING.md"
        elif self.language not in LANGUAGES:
            return f"the language {self.language!r} is none of {', '.join(sorted(LANGUAGES))}: mark it, or name one"
        return ""


def blocks(markdown: str, document: str) -> Iterator[Block]:
    """Find the blocks of a document, from top to bottom."""
    end = 0
    for fence in _FENCE.finditer(markdown):
        comment = _COMMENT.search(markdown[end : fence.start()])
        line = markdown.count("\n", 0, fence.start()) + 1
        indent = re.compile(rf"^{fence['indent']}", re.MULTILINE)
        mark = " ".join(comment[1].split()) if comment else ""
        yield Block(f"{document}:{line}", fence["language"].strip(), indent.sub("", fence["text"]), mark)
        end = fence.end()


def documents() -> list[Path]:
    """List every Markdown file whose blocks are run."""
    folders = ("docs", "examples", "deploy", "benchmarks", "decisions")
    return sorted([*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))])


def blocks_of(path: Path) -> list[Block]:
    return list(blocks(path.read_text(encoding="utf-8"), name_of(path)))
