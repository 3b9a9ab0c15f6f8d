"""Validation of a body by its schema, which finds the first problem and its place."""

import re
from dataclasses import dataclass
from typing import Any

from emulator.world import Json

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that does not fit its schema, and its place in the body."""

    text: str
    place: tuple[str | int, ...]

    def __str__(self) -> str:
        path = ""
        for step in self.place:
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        return f"{self.text} - '{path}'" if path else self.text


def find_problem(value: Any, schema: Json, place: tuple[str | int, ...] = ()) -> Problem | None:
    """Return the first problem of a value, or None.

    A schema is a subset of JSON Schema, with one addition: `switch` has the name of a property, and a schema for each
    of its values.
    """
    if "oneOf" in schema:
        return _of_several(value, schema["oneOf"], place)
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return Problem(f"{value!r} is not of type {', '.join(map(repr, kinds))}", place)
    if "enum" in schema and value not in schema["enum"]:
        return Problem(f"{value!r} is not one of {schema['enum']!r}", place)
    if isinstance(value, str):
        return _in_text(value, schema, place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _in_number(value, schema, place)
    if isinstance(value, list):
        return _in_list(value, schema, place)
    return _in_object(value, schema, place) if isinstance(value, dict) else None


def _is(value: Any, kind: str) -> bool:
    """Return whether a value is of a type. Booleans are not numbers."""
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _of_several(value: Any, schemas: list[Json], place: tuple[str | int, ...]) -> Problem | None:
    """Return the deepest problem of a value that fits none of several schemas, or None if it fits one."""
    problems = [find_problem(value, schema, place) for schema in schemas]
    found = [problem for problem in problems if problem is not None]
    return max(found, key=lambda problem: len(problem.place)) if len(found) == len(problems) else None


def _in_text(value: str, schema: Json, place: tuple[str | int, ...]) -> Problem | None:
    """Return the problem of a text, or None."""
    if len(value) < schema.get("minLength", 0):
        return Problem(f"{value!r} should be non-empty", place)
    if len(value) > schema.get("maxLength", len(value)):
        return Problem(f"{value!r} is too long", place)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return Problem(f"{value!r} does not match {schema['pattern']!r}", place)
    return None


def _in_number(value: float, schema: Json, place: tuple[str | int, ...]) -> Problem | None:
    """Return the problem of a number, or None."""
    if value < schema.get("minimum", value):
        return Problem(f"{value!r} is less than the minimum of {schema['minimum']}", place)
    if value > schema.get("maximum", value):
        return Problem(f"{value!r} is greater than the maximum of {schema['maximum']}", place)
    return None


def _in_list(value: list[Any], schema: Json, place: tuple[str | int, ...]) -> Problem | None:
    """Return the problem of a list, or of its first item that has one, or None."""
    if len(value) < schema.get("minItems", 0):
        return Problem(f"{value!r} should be non-empty", place)
    found = (find_problem(item, schema.get("items", {}), (*place, at)) for at, item in enumerate(value))
    return next((problem for problem in found if problem is not None), None)


def _in_object(value: Json, schema: Json, place: tuple[str | int, ...]) -> Problem | None:
    """Return the problem of an object, or None: an invalid value, a missing key, or an unknown key."""
    if "switch" in schema:
        key, cases = schema["switch"]
        if key not in value:
            return Problem(f"{key!r} is a required property", place)
        if not isinstance(value[key], str) or value[key] not in cases:
            return Problem(f"{value[key]!r} is not one of {list(cases)!r}", (*place, key))
        return find_problem(value, cases[value[key]], place)
    properties = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    rest = more if isinstance(more, dict) else {}
    found = (find_problem(item, properties.get(key, rest), (*place, key)) for key, item in value.items())
    if (problem := next((each for each in found if each is not None), None)) is not None:
        return problem
    if missing := next((key for key in schema.get("required", ()) if key not in value), None):
        return Problem(f"{missing!r} is a required property", place)
    if len(value) < schema.get("minProperties", 0):
        return Problem(f"{value!r} should be non-empty", place)
    if more is False and (odd := [key for key in value if key not in properties]):
        names = ", ".join(map(repr, odd))
        were = "was" if len(odd) == 1 else "were"
        return Problem(f"Additional properties are not allowed ({names} {were} unexpected)", place)
    return None
