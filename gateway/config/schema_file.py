"""The description of the config file for editors: JSON Schema, which `make schema` writes."""

import json
from pathlib import Path
from typing import Any, Final

JSON = Any
SCHEMA_FILE: Final = Path(__file__).parent / "config.schema.json"
UNSEEN: Final = "writeOnly"
"""What JSON Schema says of a value that is shown to nobody."""


def json_schema() -> dict[str, JSON]:
    """Read the description."""
    schema: dict[str, JSON] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def secret_keys() -> frozenset[str]:
    """Name the keys of the config file whose values, or lists of values, nobody is shown."""
    schema = json_schema()
    sections = (schema, *schema["$defs"].values())
    return frozenset(key for each in sections for key, value in each.get("properties", {}).items() if _is_secret(value))


def _is_secret(value: JSON) -> bool:
    choices = (*value.get("anyOf", ()), *([value["items"]] if "items" in value else []))
    return value.get(UNSEEN) is True or any(map(_is_secret, choices))
