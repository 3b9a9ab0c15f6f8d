"""JSON Schema: deterministic values that fit a schema, and checks for what vendors refuse."""

import re
from collections.abc import Iterator
from typing import Any

from emulator.world import Json

_DEEPEST = 12
_NO_SCHEMAS = frozenset({"const", "default", "enum", "examples"})
_BY_NAME = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "jane@example.com",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "ipv4": "192.0.2.1",
}


def value_for(schema: Any, root: Any = None, name: str = "value", depth: int = 0) -> Any:
    """Return a value that fits a schema."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return "value"
    root = schema if root is None else root
    for key in ("const", "default", "example"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return value_for(_resolve(schema["$ref"], root), root, name, depth + 1)
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return value_for(schema[key][0], root, name, depth + 1)
    if schema.get("allOf"):
        return value_for(_merge(schema, root), root, name, depth + 1)
    return _typed(schema, root, name, depth)


def is_recursive(schema: Any, root: Any = None, inside: tuple[str, ...] = ()) -> bool:
    """Return whether a schema refers to itself."""
    root = schema if root is None else root
    match schema:
        case {"$ref": str(reference)}:
            return reference in inside or is_recursive(_resolve(reference, root), root, (*inside, reference))
        case dict():
            return any(is_recursive(value, root, inside) for value in schema.values())
        case list():
            return any(is_recursive(value, root, inside) for value in schema)
        case _:
            return False


def _typed(schema: Json, root: Json, name: str, depth: int) -> Any:
    """Return a value of the schema's type."""
    match _type(schema):
        case "object":
            wanted = schema.get("properties", {})
            return {key: value_for(value, root, key, depth + 1) for key, value in wanted.items()}
        case "array":
            length = max(1, schema.get("minItems", 1)) if schema.get("maxItems") != 0 else 0
            items = schema.get("items", {"type": "string"})
            return [value_for(items, root, name, depth + 1) for _ in range(length)]
        case "integer":
            return int(_number(schema))
        case "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, name)


def _type(schema: Json) -> str:
    """Return the type of a schema in lower case. Gemini writes it in capitals, and others may list several."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind).lower()


def _number(schema: Json) -> float:
    """Return a number within the bounds."""
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + step if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema.get("exclusiveMaximum", 0) - step if "exclusiveMaximum" in schema else None)
    if low is None:
        low = min(step, high) if high is not None else step
    value = -(-low // step) * step
    return value if isinstance(value, int) else round(value, 6)


def _string(schema: Json, name: str) -> str:
    """Return a string with the right length and format."""
    if schema.get("format") in _FORMATS:
        return str(_FORMATS[schema["format"]])
    text = f"some {name}"
    text += "." * max(0, schema.get("minLength", 0) - len(text))
    text = text[: schema.get("maxLength", len(text))]
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, text):
        candidates = ("a", "A", "1", "abc", "ABC", "123", "a1", "abc123", "2026-01-31", "a@b.co", "A-1", "00000")
        return next((word for word in candidates if re.search(pattern, word)), text)
    return str(text)


def _resolve(reference: str, root: Any) -> Any:
    """Resolve a reference within the same document."""
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step, {}) if step and isinstance(found, dict) else found
    return found


def _merge(schema: Json, root: Json) -> Json:
    """Merge the branches of an allOf."""
    merged: Json = {key: value for key, value in schema.items() if key != "allOf"}
    for branch in schema["allOf"]:
        part = _resolve(branch["$ref"], root) if "$ref" in branch else branch
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        merged = {**merged, **part} | ({"properties": properties} if properties else {})
    return merged


def property_keys(schema: Any) -> Iterator[str]:
    """Yield the names of all properties in a schema and the schemas within it."""
    match schema:
        case dict():
            named = schema.get("properties")
            if isinstance(named, dict):
                yield from named
            for key, value in schema.items():
                if key not in _NO_SCHEMAS:
                    inner = value.values() if key in _BY_NAME and isinstance(value, dict) else [value]
                    for each in inner:
                        yield from property_keys(each)
        case list():
            for each in schema:
                yield from property_keys(each)
        case _:
            pass


def has_open_object(schema: Any) -> bool:
    """Return whether some object in a schema allows additional properties."""
    match schema:
        case dict():
            is_open = schema.get("type") == "object" and schema.get("additionalProperties") is not False
            return is_open or any(has_open_object(value) for value in schema.values())
        case list():
            return any(has_open_object(value) for value in schema)
        case _:
            return False
