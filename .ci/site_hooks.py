"""Hooks of the documentation site: documents outside docs/ become pages, and links lead to them.

Each document has one source, which GitHub shows too. Links are therefore written for the repository, and are rewritten
here: to a page of the site where the target is one, else to a copy of the file in the site's folder `files`.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "deploy/README.md": "deploy.md",
    "examples/clients/README.md": "clients.md",
}
"""Documents outside docs/, and the pages that they become. So does each file of decisions/."""
HOME = {"README.md": "index.md"}
"""What the repository has in the place of a page, with other sections."""

_LOADED = re.compile(
    r"<(?:script|img|source|iframe)\b[^>]*\bsrc(?:set)?=\"(?:https?:)?//[^\"]*|"
    r"<link\b[^>]*\brel=\"(?:stylesheet|preconnect|icon)\"[^>]*\bhref=\"(?:https?:)?//[^\"]*"
)
_FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!\\)\]\((?![a-z][a-z+.-]*:|#)([^)\s#]+)(#[^)\s]*)?\)")


def pages() -> dict[str, str]:
    """Map each document of the repository to its page in the site."""
    decisions = (path.relative_to(ROOT).as_posix() for path in (ROOT / "decisions").glob("*.md"))
    docs = (path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return {f"docs/{name}": name for name in docs} | HOME | OUTSIDE | {name: name for name in decisions}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents that stand outside docs/."""
    for source, page in pages().items():
        if files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page from the repository to the site."""
    known = pages()
    here = page.file.src_uri
    source = next((path for path, name in known.items() if name == here and path not in HOME), f"docs/{here}")

    def rewritten(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        found = known.get(target) or known.get(f"{target}/README.md") or _copied(target, config, files)
        if found is None:
            return match[0]
        anchor = "" if target in HOME else match[2] or ""
        return f"]({posixpath.relpath(found, posixpath.dirname(here) or '.')}{anchor})"

    return _outside_code(markdown, rewritten)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that has a browser load something from elsewhere."""
    del config
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0]}")
    return output


def _outside_code(markdown: str, rewritten: Callable[[re.Match[str]], str]) -> str:
    """Replace links everywhere but in blocks of code."""
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(rewritten, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(rewritten, markdown[end:])])


def _copied(target: str, config: MkDocsConfig, files: Files) -> str | None:
    """Give the path of a file of the site: of docs/ as it is, of any other as a copy; None if there is no such file."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if not (ROOT / target).is_file():
        return None
    copy = f"files/{target}"
    if files.get_file_from_path(copy) is None:
        files.append(File.generated(config, copy, abs_src_path=str(ROOT / target)))
    return copy
