"""Validation of functions, tool choices and schemas for Azure OpenAI.

Each check raises `ErrorResponse` for what Azure OpenAI refuses.
"""

import re
from collections.abc import Iterator
from typing import Any

from emulator.errors import azure
from emulator.json_schema import has_open_object
from emulator.world import Json

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME = 64
_NOT_AT_THE_ROOT = ("oneOf", "anyOf", "allOf", "enum", "const", "not")
_ONE = ("items", "additionalProperties", "not")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions")
_STRICT = frozenset(
    {
        "$defs",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "definitions",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "title",
        "type",
    }
)
"""The schema keywords that strict mode can enforce."""


def validate_function(function: Json, path: str, *, choices: bool = False) -> None:
    """Refuse a function without a valid name or schema. *choices* allows the schema to be a choice at its root."""
    name = str(function.get("name", ""))
    validate_name(name, f"{path}.name")
    parameters = function.get("parameters")
    wrong = _wrong_with(parameters, choices=choices, strict=bool(function.get("strict"))) if parameters else None
    if wrong:
        message = f"Invalid schema for function '{name}': {wrong}"
        raise azure(message, f"{path}.parameters", "invalid_function_parameters")


def _wrong_with(parameters: Json, *, choices: bool, strict: bool) -> str | None:
    """Return what is wrong with the schema of a function, or None."""
    if wrong := _wrong_at_the_root(parameters, choices=choices):
        return wrong
    if "properties" not in parameters:
        return "In context=(), object schema missing properties."
    return _wrong_within(parameters, strict=strict)


def _wrong_at_the_root(schema: Json, *, choices: bool) -> str | None:
    """Return why a schema does not describe an object, or None."""
    if schema.get("type") != "object":
        kind = schema.get("type")
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if not choices and any(key in schema for key in _NOT_AT_THE_ROOT):
        names = "/".join(f"'{key}'" for key in _NOT_AT_THE_ROOT)
        return f"schema must have type 'object' and not have {names} at the top level."
    return None


def _wrong_within(schema: Json, *, strict: bool) -> str | None:
    """Return what is wrong with any schema inside the given one, or None."""
    if (place := _array_of_nothing(schema, ())) is not None:
        return f"In context={place!r}, array schema missing items."
    if strict and has_open_object(schema):
        return "In context=(), 'additionalProperties' is required to be supplied and to be false."
    return _loose(schema, ()) if strict else None


def _loose(schema: Any, place: tuple[str, ...]) -> str | None:
    """Return what strict mode cannot enforce, such as an optional property or an unsupported keyword, or None."""
    if not isinstance(schema, dict):
        return f"In context={place!r}, schema must be an object."
    beside = sorted(schema.keys() - {"$ref", "$defs", "definitions"})
    if "$ref" in schema:
        return f"In context={place!r}, $ref cannot have keywords {set(beside)}." if beside else None
    if refused := sorted(schema.keys() - _STRICT):
        return f"In context={place!r}, {refused[0]!r} is not permitted."
    if not {"type", "anyOf"} & schema.keys():
        return f"In context={place!r}, schema must have a 'type' key."
    if odd := sorted(schema.get("properties", {}).keys() ^ set(schema.get("required") or [])):
        return (
            f"In context={place!r}, 'required' is required to be supplied and to be an array including every key in "
            f"properties. {'Missing' if odd[0] in schema.get('properties', {}) else 'Extra required key'} {odd[0]!r}."
        )
    within = ((step, one) for step, one in _within(schema) if one is not None and step != ("additionalProperties",))
    return next((wrong for step, one in within if (wrong := _loose(one, (*place, *step)))), None)


def _array_of_nothing(schema: Any, place: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the path of an array without items in a schema, or None."""
    if not isinstance(schema, dict):
        return None
    kind = schema.get("type")
    if kind == "array" and "items" not in schema:
        return place
    if isinstance(kind, list) and "array" in kind and "items" not in schema:
        return (*place, "type", str(kind.index("array")))
    found = (_array_of_nothing(one, (*place, *step)) for step, one in _within(schema))
    return next((each for each in found if each is not None), None)


def _within(schema: Json) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the schemas directly inside a schema, each with its path."""
    yield from (((key,), schema.get(key)) for key in _ONE)
    yield from (((key, str(at)), one) for key in _MANY for at, one in enumerate(schema.get(key) or []))
    yield from (((key, name), one) for key in _NAMED for name, one in (schema.get(key) or {}).items())


def validate_name(name: str, path: str) -> None:
    """Refuse a function name that is too long or has invalid characters."""
    validate_length(name, _LONGEST_NAME, path)
    if not _NAME.fullmatch(name):
        message = (
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the "
            "pattern '^[a-zA-Z0-9_-]+$'."
        )
        raise azure(message, path, "invalid_value")


def validate_length(text: Any, longest: int, path: str) -> None:
    """Refuse a text that is too long."""
    if isinstance(text, str) and len(text) > longest:
        message = (
            f"Invalid '{path}': string too long. Expected a string with maximum length {longest}, but got a "
            f"string with length {len(text)} instead."
        )
        raise azure(message, path, "string_above_max_length")


def validate_tool_choice(choice: Any, names: list[str]) -> None:
    """Refuse an invalid tool choice."""
    if isinstance(choice, str) and choice not in ("auto", "none", "required"):
        raise azure(
            f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.",
            "tool_choice",
            "invalid_value",
        )
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = (choice.get("function") or choice).get("name")
        if name not in names:
            raise azure(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")


def validate_response_format(wanted: Json, param: str, said: str) -> None:
    """Refuse an invalid response format."""
    match wanted.get("type", "text"):
        case "text":
            return
        case "json_object" if "json" not in said.lower():
            raise azure(
                f"'messages' must contain the word 'json' in some form, to use '{param}' of type 'json_object'.",
                "messages",
            )
        case "json_object":
            return
        case "json_schema":
            _schema(wanted.get("json_schema") or {}, param)
        case other:
            raise azure(f"Invalid value: '{other}'.", f"{param}.type", "invalid_value")


def _schema(wanted: Json, param: str) -> None:
    """Refuse an answer's schema that has no name, is not an object or, if strict, cannot be enforced."""
    if not wanted.get("name"):
        raise azure(f"Missing required parameter: '{param}.name'.", f"{param}.name", "missing_required_parameter")
    validate_name(str(wanted["name"]), f"{param}.name")
    if not isinstance(wanted.get("schema"), dict):
        raise azure(f"Missing required parameter: '{param}.schema'.", f"{param}.schema", "missing_required_parameter")
    schema = wanted["schema"]
    wrong = _wrong_at_the_root(schema, choices=False) or _wrong_within(schema, strict=bool(wanted.get("strict")))
    if wrong:
        raise azure(f"Invalid schema for response_format '{wanted['name']}': {wrong}", param)
