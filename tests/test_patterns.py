"""Patterns that meet foreign words are linear: twice the text takes about twice the steps, whatever it says."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.config.settings import Settings
from proxy_server import create_app
from tests.support.sources import LAYERS, ROOT, files
from tests.support.steps import endless, examples, parsed, steps

pytestmark = pytest.mark.repeats

CONFIGURED = {
    "gateway/config/mistakes.py": {r"[\w$-]+"},
    "gateway/config/subaccount_reader.py": {"_DEPLOYMENT", r"[^/?#\s]+"},
    "gateway/config/service_keys.py": {"_REFERENCE"},
}
"""Patterns that only see what the operator has written: the config file and the keys."""
LENGTH = 120
MOST = 90
RATIO = 2.5


class Found(NamedTuple):
    """A pattern, where it stands, and whether it is tried from every place of a text."""

    where: str
    pattern: str
    flags: int
    everywhere: bool


def compiled_in(value: Any) -> Iterator[re.Pattern[str]]:
    """Find compiled patterns, also within tables."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from (found for each in (*value, *value.values()) for found in compiled_in(each))
    elif isinstance(value, tuple | list | set | frozenset):
        yield from (found for each in value for found in compiled_in(each))


def calls_in(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """Find the calls of methods of plain names: `name.method(…)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                yield name, method, node


def patterns_of(path: Path) -> Iterator[Found]:
    """Find what a module compiles, and what it hands to `re` on the spot."""
    where = str(path.relative_to(ROOT))
    module = importlib.import_module(where.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    calls = [*calls_in(ast.parse(path.read_text()))]
    known = CONFIGURED.get(where, set())
    for name, value in vars(module).items():
        used = {method for called, method, _ in calls if called == name}
        for each in compiled_in(value) if name not in known else ():
            yield Found(f"{where} {name}", each.pattern, each.flags, not used or bool(used - {"match", "fullmatch"}))
    for _, method, call in (each for each in calls if each[0] == "re" and each[1] != "compile"):
        for pattern in said_by(call.args[0], module, where) if method != "escape" else ():
            if pattern not in known:
                yield Found(f"{where} re.{method}", pattern, 0, method not in {"match", "fullmatch"})


def said_by(argument: ast.expr, module: Any, where: str) -> Iterator[str]:
    """Give the patterns that an argument of `re` can be: a text, or one of the texts of a table."""
    try:
        yield eval(compile(ast.Expression(argument), where, "eval"), vars(module))
    except NameError:
        tables = [value for name, value in vars(module).items() if name in ("_FAMILIES", "CONTEXT_LENGTHS", "PROFILES")]
        assert tables, f"{where}: write the pattern where this test finds it"
        yield from (row[0] for table in tables for row in table)


def routes() -> Iterator[Found]:
    """Find the patterns of paths."""
    for rule in rules():
        for part in rule._parts:
            if not part.static:
                yield Found(f"path {rule.rule}", part.content, 0, False)


def rules() -> list[Any]:
    app = create_app(Settings({}))
    app.extensions["gateway"].close()
    return [*app.url_map.iter_rules()]


FOUND = sorted({*routes(), *(found for path in files(*LAYERS) for found in patterns_of(path))})


def attacks(found: Found) -> list[tuple[str, str, str]]:
    """Give texts that nearly match, at most some: how they begin, what they repeat, and how they end."""
    texts: set[tuple[str, str, str]] = set()
    for pieces in examples(parsed(found.pattern, found.flags)):
        spans = [(i, j) for i in range(len(pieces)) for j in range(i + 1, min(len(pieces), i + 24) + 1)]
        for i, j in spans:
            texts |= {("".join(pieces[:i]), "".join(pieces[i:j]), end) for end in ("", "/", "\n\0")}
    ordered = sorted(each for each in texts if each[1])
    return ordered[:: 1 + len(ordered) // MOST]


@pytest.fixture(autouse=True)
def _deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.where} {found.pattern[:30]}")
def test_twice_the_text_takes_about_twice_the_steps(found: Found) -> None:
    if not endless(parsed(found.pattern, found.flags)):
        return
    for begin, middle, end in attacks(found):
        short, long = (
            steps(
                found.pattern,
                found.flags,
                begin + middle * (size // len(middle) + 1) + end,
                everywhere=found.everywhere,
            )
            for size in (LENGTH, 2 * LENGTH)
        )
        assert long <= RATIO * short + LENGTH, f"{begin!r} {middle!r} {end!r}: {short} steps become {long}"


@pytest.mark.parametrize(
    "pattern",
    [r"@.*$", r"response with id .* not found", r"\[[^\]]*\]$", r"\s+$", r"(?:-latest|-v\d+)+$", r"(?:a+)+b",
     r"https?://\S*/v2/", r"x*?y"],
)  # fmt: skip
def test_a_pattern_that_goes_over_a_text_again_and_again_is_seen(pattern: str) -> None:
    with pytest.raises((AssertionError, RecursionError)):
        test_twice_the_text_takes_about_twice_the_steps(Found("here", pattern, 0, True))


def test_all_patterns_are_looked_at() -> None:
    assert {
        "dialects/core/redaction.py _URL",
        "dialects/capabilities/model_identity.py _TAIL",
        "dialects/capabilities/model_identity.py re.split",
    } <= {found.where for found in FOUND}
    assert len(FOUND) > 50
