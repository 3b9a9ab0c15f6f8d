"""No document, example or default names a model past its end, but to say what to use instead."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from dialects.capabilities.model_identity import identity
from dialects.capabilities.model_info import RETIREMENTS
from emulator.world import default_world
from routing.model_names import FALLBACKS
from tests.matrix.cells import BACKENDS
from tests.support.sources import LAYERS, ROOT, files, held, name_of, nodes_of

LONG_GONE = (
    *(f"claude-{kind}" for kind in ("2", "2.1", "instant", "instant-1.2", "3-sonnet", "3-opus", "3.5-sonnet")),
    *(f"claude-{kind}" for kind in ("3.5-haiku", "3.7-sonnet", "4-opus", "4.1-opus", "4-haiku")),
    *(f"gemini-{kind}" for kind in ("1.0-pro", "1.5-pro", "1.5-flash", "2.0-pro", "2.0-flash", "2.0-flash-lite")),
    *(f"gpt-{kind}" for kind in ("3.5-turbo", "35-turbo", "35-turbo-16k", "4", "4-32k", "4-turbo", "4.5")),
    *("o1-mini", "o1-preview", "chatgpt-4o"),
)
"""What was gone before SAP AI Core's catalogue said when a model ends."""
ENDED = {identity(name): name for name in (*LONG_GONE, *RETIREMENTS)}
DOCUMENTS = [
    *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
    *(path for folder in ("docs", "decisions", "benchmarks") for path in (ROOT / folder).glob("*.md")),
    *(ROOT / "benchmarks").glob("*.[ch]"),
    *(path for path in (ROOT / "examples").rglob("*.*") if "__pycache__" not in path.parts),
    ROOT / "gateway" / "config" / "config.schema.json",
    ROOT / "Makefile",
]
TABLES = ("dialects/capabilities",)
"""Where models that may be deployed all the same are described."""

_NAME = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*\w")
_INSTEAD = re.compile(r"\b(?:use|deploy|instead)\b", re.IGNORECASE)


def ended_in(text: str) -> Iterator[str]:
    """Find the models past their end that a line names, under any name, with no word of what to use instead."""
    names = _NAME.findall(text)
    spelled = {identity(name) for name in names}
    for name in names:
        gone = ENDED.get(identity(name))
        successors = RETIREMENTS[gone].successors if gone in RETIREMENTS else ()
        said = _INSTEAD.search(text) and (not successors or spelled & set(map(identity, successors)))
        if gone is not None and not said:
            yield name


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_document_or_example_names_a_model_past_its_end(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    gone = [f"{number}: {name}" for number, line in lines for name in ended_in(line)]

    held(f"{name_of(path)} names models that live, or says what to use instead.", gone)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Give every text of a module, its docstrings among them, line by line."""
    for node in nodes_of(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)


def test_no_default_help_or_docstring_names_a_model_past_its_end() -> None:
    paths = [path for path in files(*LAYERS, "simulation", "benchmarks") if not name_of(path).startswith(TABLES)]
    found = ((path, number, name) for path in paths for number, line in texts(path) for name in ended_in(line))

    held("Models past their end stand in tables of data alone.", [f"{name_of(p)}:{n} {name}" for p, n, name in found])


def test_what_is_chosen_for_people_lives() -> None:
    deployed = (each for tenant in default_world().tenants for each in tenant.deployments)
    chosen = [
        *chain.from_iterable(FALLBACKS.values()),
        *(deployment.model.name for deployment in deployed),
        *(backend.model for backend in BACKENDS),
        *chain.from_iterable(retired.successors for retired in RETIREMENTS.values()),
    ]

    held("Fallbacks, demo, matrix and successors name models that live.", [m for m in chosen if any(ended_in(m))])


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("`gpt-4.1-2025-04-14` finds it", ["gpt-4.1-2025-04-14"]),
        ('"model": "gemini-2.5-pro:generateContent"', ["gemini-2.5-pro"]),
        ("anthropic--claude-4-sonnet, claude-sonnet-4-0", ["anthropic--claude-4-sonnet", "claude-sonnet-4-0"]),
        ("use o4-mini", ["o4-mini"]),
        ("claude-3-5-sonnet-20241022", ["claude-3-5-sonnet-20241022"]),
        ("gemini-2.5-pro ended on 2026-10-16; deploy gemini-3.5-flash", []),
        ("gemini-2.5-pro ended on 2026-10-16; deploy gpt-5", ["gemini-2.5-pro"]),
        ("gemini-2.5-pro or gemini-3.5-flash", ["gemini-2.5-pro"]),
        ("claude-sonnet-4-5, gpt-5.4-mini and gemini-2.5-flash-lite; o is no model", []),
    ],
)
def test_a_model_past_its_end_is_noticed(line: str, gone: list[str]) -> None:
    assert list(ended_in(line)) == gone
