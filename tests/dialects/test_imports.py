"""Within `dialects`, imports point downwards too: a failure lists all that do not."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from dialects.registry import DIALECTS
from tests.support.sources import ROOT, files, held, imports, name_of, nodes_of

TIERS = (
    ("core", "framing"),
    ("capabilities",),
    ("adapt",),
    ("interface", "openai_common"),
    ("anthropic_messages", "bedrock_converse", "gemini", "openai_chat", "openai_responses", "embeddings", "converters"),
    ("orchestration",),
    ("registry",),
    ("translator",),
)
"""From the lowest to the highest. Of one tier, only the lowest and `openai_common` may import each other's modules."""

BETWEEN_DIALECTS = {("dialects/openai_chat/request_parser.py", "dialects.anthropic_messages.request_parser")}
"""Chat clients send blocks of Anthropic's among their own."""

ANATOMY = {
    "__init__.py",
    "client_variants.py",
    "codex_models.py",
    "limits.py",
    "model_list.py",
    "modules.py",
    "passthrough.py",
    "request_parser.py",
    "request_renderer.py",
    "response.py",
    "stream.py",
    "templates.py",
    "vocabulary.py",
}
"""The roles that a module of a dialect can have."""

LEVELS = {name: level for level, names in enumerate(TIERS) for name in names}


def part_of(module: str) -> str:
    """The folder, or the module, of `dialects` that a name belongs to."""
    return module.split(".")[1]


def modules_in(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, by their files."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if (ROOT / f"{name.replace('.', '/')}.py").exists():
                    yield f"{name.replace('.', '/')}.py"


def test_imports_within_dialects_point_downwards() -> None:
    offenders = []
    for one in imports("dialects"):
        importer = one.file.split("/")[1].removesuffix(".py")
        if one.top != "dialects" or one.name == "dialects" or importer == "__init__":
            continue
        imported = part_of(one.name)
        if {importer, imported} - LEVELS.keys():
            continue
        is_below = LEVELS[imported] < LEVELS[importer] or importer == imported or {importer, imported} <= {*TIERS[0]}
        if not is_below and (one.file, one.name) not in BETWEEN_DIALECTS:
            offenders.append(str(one))

    parts = {part_of(one.file.removesuffix(".py").replace("/", ".")) for one in imports("dialects")} - {"__init__"}
    held("Say in TIERS of tests/dialects/test_imports.py what these may import.", sorted(parts - LEVELS.keys()))
    held(f"Each part of dialects imports itself and what stands before it: {TIERS}.", offenders)


def test_no_modules_of_dialects_import_each_other_in_a_circle() -> None:
    graph = {name_of(path): set(modules_in(path)) for path in files("dialects")}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        held("A module that needs another is not needed by it.", [" imports ".join(reversed(error.args[1]))])


def test_a_module_of_a_dialect_is_named_by_its_role() -> None:
    dialects = [ROOT / "dialects" / name.replace("-", "_") for name in DIALECTS]
    offenders = [
        name_of(path) for folder in dialects for path in sorted(folder.glob("*.py")) if path.name not in ANATOMY
    ]

    held(f"What a dialect has stands in one of {sorted(ANATOMY)}.", offenders)
