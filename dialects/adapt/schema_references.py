"""Schema references: they are replaced by definitions for providers that support none, or no recursive ones."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from dialects.adapt.schema_budget import DEFINITIONS, SchemaBudget
from dialects.adapt.schemas import MAX_DEPTH, Adapted, visited
from dialects.core.conversation import JSON
from dialects.core.faults import FaultError, invalid

_ROUNDS = 2
"""The number of times that a definition may occur within itself before its content is left out."""
_DEEPEST = 16
"""The number of definitions that may be nested in each other."""
_MOST = 500
"""The number of references that are replaced in a schema. A few definitions can refer to each other very often."""
_PLACE = re.compile(r"0|[1-9][0-9]{0,8}")
"""A place in a list, as a step of a pointer."""
_OPENING = ("type", "title", "description")
"""The keywords that are kept of a definition whose content is left out."""


def without_references(
    schema: Mapping[str, Any], budget: SchemaBudget | None = None, where: str = "the schema"
) -> Adapted:
    """Replace the references in a schema by the definitions. Recursive definitions are cut, and reported as dropped.

    *where* is the place of the schema in the request, for the error if the budget is exceeded. Raises `FaultError` if
    it is, or if the schema is nested too deeply.
    """
    writer = _Writer(dict(schema), budget or SchemaBudget(), where)
    return Adapted(writer.write(dict(schema)), ("$ref",) if writer.left_open else ())


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema has a recursive reference, a reference without a target, or too many references."""
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
    """Replaces the references in one schema. *left_open* is whether the content of a definition was left out."""

    def __init__(self, root: JSON, budget: SchemaBudget, where: str = "", rounds: int = _ROUNDS) -> None:
        self.left_open = False
        self._root = root
        self._budget = budget
        self._where = where
        self._rounds = rounds
        self._written = 0

    def write(self, node: Any, inside: tuple[str, ...] = (), depth: int = 0) -> Any:
        """Return *node* without references. *inside* has the references within whose definitions it is."""
        if depth > MAX_DEPTH:
            raise invalid(f"a schema is nested more than {MAX_DEPTH} levels deep")
        if not isinstance(node, dict):
            return node
        while isinstance(reference := node.get("$ref"), str):
            node, inside = self._followed(node, reference, inside), (*inside, reference)
        plain = {name: value for name, value in node.items() if name not in DEFINITIONS}
        return visited(plain, lambda inner: self.write(inner, inside, depth + 1))

    def _followed(self, node: JSON, reference: str, inside: tuple[str, ...]) -> JSON:
        """Return the definition of a reference. Keywords beside the reference take precedence over the definition's."""
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
    """Return the schema to which a pointer into *root* points; None if there is none."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        match found:
            case dict():
                found = found.get(name)
            case list() if _PLACE.fullmatch(name) and int(name) < len(found):
                found = found[int(name)]
            case _:
                return None
    return found if isinstance(found, dict) else None
