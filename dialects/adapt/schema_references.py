"""Schema references, written out for providers that follow none, or none that come round again."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from dialects.adapt.schema_budget import DEFINITIONS, SchemaBudget
from dialects.adapt.schemas import MAX_DEPTH, Adapted, visited
from dialects.core.conversation import JSON
from dialects.core.faults import FaultError, invalid

_ROUNDS = 2
"""How often a definition may stand within itself before what it holds is left open."""
_DEEPEST = 16
"""How many definitions may stand one in the other."""
_MOST = 500
"""How many references are written out: a few definitions can refer to each other more often than anybody could read."""
_OPENING = ("type", "title", "description")
"""What is still said of a definition that is left open."""


def without_references(
    schema: Mapping[str, Any], budget: SchemaBudget | None = None, where: str = "the schema"
) -> Adapted:
    """Write out what is referred to; of definitions that hold themselves the first rounds, which is named.

    *where* the schema stands is said where it exceeds the budget of its request.
    """
    writer = _Writer(dict(schema), budget or SchemaBudget(), where)
    return Adapted(writer.write(dict(schema)), ("$ref",) if writer.left_open else ())


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a schema has a reference that leads into what it stands in, or to nothing, or too many to follow."""
    budget = SchemaBudget()
    writer = _Writer(dict(schema), budget, rounds=1)
    try:
        writer.write(dict(schema))
    except FaultError:
        if budget.is_spent:
            return True
        raise
    return writer.left_open


class _Writer:
    """Writes one schema without its definitions; *left_open* is whether anything had to be left open."""

    def __init__(self, root: JSON, budget: SchemaBudget, where: str = "", rounds: int = _ROUNDS) -> None:
        self.left_open = False
        self._root = root
        self._budget = budget
        self._where = where
        self._rounds = rounds
        self._written = 0

    def write(self, node: Any, inside: tuple[str, ...] = (), depth: int = 0) -> Any:
        """Write a schema that stands *inside* these references."""
        if depth > MAX_DEPTH:
            raise invalid(f"a schema is nested more than {MAX_DEPTH} levels deep")
        if not isinstance(node, dict):
            return node
        while isinstance(reference := node.get("$ref"), str):
            node, inside = self._followed(node, reference, inside), (*inside, reference)
        plain = {name: value for name, value in node.items() if name not in DEFINITIONS}
        return visited(plain, lambda inner: self.write(inner, inside, depth + 1))

    def _followed(self, node: JSON, reference: str, inside: tuple[str, ...]) -> JSON:
        """Look up what a reference refers to; what stands beside it goes before."""
        beside = {name: value for name, value in node.items() if name != "$ref"}
        found = _found(reference, self._root)
        self._written += 1
        too_much = inside.count(reference) >= self._rounds or len(inside) >= _DEEPEST or self._written > _MOST
        if found is None or too_much:
            self.left_open = True
            found = {name: found[name] for name in _OPENING if found and name in found}
        self._budget.spend(found, self._where)
        return {**found, **beside}


def _found(reference: str, root: JSON) -> JSON | None:
    """Look up a pointer into the schema itself."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        match found:
            case dict():
                found = found.get(name)
            case list() if name in map(str, range(len(found))):
                found = found[int(name)]
            case _:
                return None
    return found if isinstance(found, dict) else None
