"""What the documents say of the code is true of it: each name exists, and no module is left out of the map."""

import ast
import re
from functools import cache
from itertools import chain

import pytest

from tests.support.sources import LAYERS, ROOT, files, held, nodes_of

DOCUMENTS = ("ARCHITECTURE.md", "docs/invariants.md", "docs/releasing.md", "CONTRIBUTING.md", "SECURITY.md")
TWO_SCREENS = 120
"""Lines."""
PRODUCTS = {"OpenAI"}
"""What is written like a class and is none of ours."""

_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_CLASS = re.compile(r"\b[A-Z][a-z]+[A-Z]\w*\b")
_NAME = re.compile(r"[A-Za-z_][\w.]*(?:\(\))?")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@cache
def known_names() -> frozenset[str]:
    """Every name that our code defines or uses, and every module."""
    found: set[str] = set()
    for path in files(*LAYERS, "emulator", "simulation", "benchmarks", "tests", "examples"):
        found |= {path.stem, path.parent.name}
        for node in nodes_of(path):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.Attribute(attr=name):
                    found.add(name)
                case ast.Name(id=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                    found.add(name)
    return frozenset(found)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))


def exists(quoted: str) -> bool:
    """Whether what stands in backquotes is there; what is neither a path, a name nor a command is not looked at.

    Nor is what stands for another name: NAME; nor a path of the proxy, as opposed to one of a file.
    """
    if "NAME" in quoted or quoted.startswith("/"):
        return True
    if quoted.startswith("make "):
        return quoted.split()[1] in targets()
    if "/" in quoted and _PATH.fullmatch(quoted):
        return any((ROOT / f"{quoted}{ending}").exists() for ending in ("", ".py"))
    if quoted.endswith((".py", ".md", ".json", ".toml")):
        return any(ROOT.rglob(quoted)) if "*" not in quoted else True
    if _NAME.fullmatch(quoted):
        return all(part in known_names() for part in quoted.removesuffix("()").split("."))
    return True


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_in_a_document_exists(document: str) -> None:
    text = text_of(document)
    drawn = {name for block in _BLOCK.findall(text) for name in _CLASS.findall(block)} - PRODUCTS
    quoted = _QUOTED.findall(_BLOCK.sub("", text))
    gone = [each for each in sorted(drawn | set(quoted)) if not exists(each)]

    held(f"What {document} names exists.", gone)


def sections() -> dict[str, str]:
    """The part of the map for each top-level folder."""
    block = next(each for each in _BLOCK.findall(text_of("ARCHITECTURE.md")) if "dialects/  " in each)
    parts = re.split(r"^(\w+)/ +", block, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("layer", ["dialects", "routing", "gateway"])
def test_the_map_shows_every_module_and_no_other(layer: str) -> None:
    section = sections()[layer]
    modules = {path.stem for path in files(layer) if path.stem != "__init__"}
    folders = {path.name for path in (ROOT / layer).iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    words = set(re.findall(r"\w+", section))
    named = {word for word in words if "_" in word} | set(re.findall(r"(\w+)/", section))

    held(f"The map shows every module of {layer}.", sorted((modules | folders) - words))
    held(f"What the map shows of {layer} exists.", sorted(named - modules - folders - known_names()))


def test_the_architecture_fits_two_screens() -> None:
    assert len(text_of("ARCHITECTURE.md").splitlines()) <= TWO_SCREENS


def test_a_name_that_is_gone_is_noticed() -> None:
    gone = ("routing/breaker", "Fleet", "gateway.Fleet.start()", "make coffee", "tests/test_nothing.py", "nothing.md")

    assert [each for each in gone if exists(each)] == []
    assert all(exists(each) for each in chain(DOCUMENTS, ("routing/health", "LoadBalancer.acquire()", "make test")))
