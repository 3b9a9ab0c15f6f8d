"""Pages that have a part which is written from the code, between two comments."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.docs import commands_page, config_page
from tests.support.sources import ROOT

PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs/commands.md": commands_page.reference,
    ROOT / "docs/configuration.md": config_page.reference,
}
_BEGIN, _END = "<!-- written by make docs-reference -->", "<!-- the end of what is written -->"
_PART = re.compile(rf"({re.escape(_BEGIN)}\n).*?({re.escape(_END)})", re.DOTALL)


def with_reference(page: Path, reference: str) -> str:
    """Put a reference into its page; raises `ValueError` if the page has no place for it."""
    text, count = _PART.subn(lambda match: f"{match[1]}\n{reference}\n{match[2]}", page.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{page} does not have the two comments {_BEGIN} and {_END} once")
    return text
