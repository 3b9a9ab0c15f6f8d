"""The file with the JSON Schema of the config file, which `make schema` writes."""

import json
from pathlib import Path
from typing import Any, Final

JSON = Any
SCHEMA_FILE: Final = Path(__file__).parent / "config.schema.json"
UNSEEN: Final = "writeOnly"
"""The keyword of JSON Schema that marks secret values."""


def json_schema() -> dict[str, JSON]:
    """Read the JSON Schema from its file."""
    schema: dict[str, JSON] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def secret_keys() -> frozenset[str]:
    """Return the keys of the config file whose values, or whose lists of values, are secret."""
    schema = json_schema()
    sections = (schema, *schema["$defs"].values())
    return frozenset(key for each in sections for key, value in each.get("properties", {}).items() if _is_secret(value))


def _is_secret(value: JSON) -> bool:
    choices = (*value.get("anyOf", ()), *([value["items"]] if "items" in value else []))
    return value.get(UNSEEN) is True or any(map(_is_secret, choices))
