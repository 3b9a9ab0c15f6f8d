"""Our own source files, parsed once: what laws about the code look at."""

import ast
import gc
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("dialects", "proxy_helpers", "routing", "gateway", "proxy_server", "sap_ai_proxy")
"""From the lowest to the highest: each imports itself and what is below."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a file: where it stands, and the whole name of what it loads."""

    file: str
    line: int
    name: str

    @property
    def top(self) -> str:
        """The top-level name."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"


def files(*names: str) -> list[Path]:
    """List the Python files of these top-level names, be they modules or packages."""
    found = [path for name in names for path in (ROOT / f"{name}.py", *ROOT.glob(f"{name}/**/*.py")) if path.exists()]
    assert found, f"none of {names} exists"
    return sorted(found)


def name_of(path: Path) -> str:
    """Name a file as error messages do."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """List all that a file says, wherever it stands; it stays to the end, so no collection of garbage looks at it."""
    nodes = tuple(ast.walk(tree_of(path)))
    gc.freeze()
    return nodes


def imports(*names: str) -> list[Import]:
    """List the imports of these top-level names, wherever in their files they stand."""
    return [found for path in files(*names) for found in _imports(path)]


@cache
def _imports(path: Path) -> tuple[Import, ...]:
    found = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found += [Import(name_of(path), node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(Import(name_of(path), node.lineno, _module(path, node)))
    return tuple(found)


def _module(path: Path, node: ast.ImportFrom) -> str:
    """Name the module of a `from` import; a relative one by the package it stands in."""
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parts[: -node.level]
    return ".".join((*package, *filter(None, [node.module])))


def held(law: str, offenders: list[str]) -> None:
    """Fail with a law and everything that breaks it, one to a line."""
    assert not offenders, f"{law}\n  " + "\n  ".join(offenders)
