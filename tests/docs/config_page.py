"""The reference of docs/configuration.md, written from the JSON Schema of the config file."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.config.schema_file import json_schema

PREFIX = "SAP_AI_PROXY_"
NAMES = {"subAccounts": "NAME", "deployment_models": "MODEL", "deployment_ids": "MODEL", "per_model": "MODEL"}
"""What stands for the names that users choose, below a key."""
HIDDEN = ("$schema", "server.host", "server.port", "server.threads")
"""Keys that are read, and that nobody needs to write."""
SAME = {"orchestration.per_model": "orchestration"}
"""Sections of which the keys are listed elsewhere."""
_DEFAULT = re.compile(r"[Tt]he default is (.+?)\.(?=\s|<br>|$)")
_LONGEST_DEFAULT = 40
_TYPES = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "object": "object",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """One object of the config file, and where it stands."""

    path: tuple[str, ...]
    definition: dict[str, Any]

    @property
    def title(self) -> str:
        return ".".join(self.path)

    @property
    def in_list(self) -> bool:
        """Whether it is an entry of a list, so that no variable leads into it."""
        return any(step.endswith("[]") or step.startswith("deployment_") for step in self.path)


def reference() -> str:
    """Write a table of every section."""
    schema = json_schema()
    return "\n".join(_written(section, schema["$defs"]) for section in _sections(Section((), schema), schema["$defs"]))


def settings() -> Iterator[str]:
    """Name every setting by its path."""
    definitions = json_schema()["$defs"]
    for section in _sections(Section((), json_schema()), definitions):
        for key, described in section.definition["properties"].items():
            if not _below(section, key, described, definitions):
                yield ".".join((*section.path, key))


def _sections(section: Section, definitions: dict[str, Any]) -> Iterator[Section]:
    yield section
    for key, described in section.definition["properties"].items():
        if f"{section.title}.{key}" not in SAME:
            for below in _below(section, key, described, definitions):
                yield from _sections(below, definitions)


def _below(section: Section, key: str, described: dict[str, Any], definitions: dict[str, Any]) -> list[Section]:
    """Find the sections that stand under a key: one, one for each name, or one for each entry of a list."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}

    def look(schema: dict[str, Any], *steps: str) -> None:
        if "$ref" in schema:
            found[steps] = definitions[schema["$ref"].rpartition("/")[2]]
        for choice in schema.get("anyOf", ()):
            look(choice, *steps)
        if isinstance(schema.get("additionalProperties"), dict):
            look(schema["additionalProperties"], *steps, NAMES.get(key, "NAME"))
        if "items" in schema:
            look(schema["items"], *steps[:-1], f"{steps[-1]}[]")

    look(described, key)
    # A deployment may stand alone or in a list: one of both is enough to describe it.
    alone = {steps: each for steps, each in found.items() if tuple(step + "[]" for step in steps[-1:]) != steps[-1:]}
    unique = {id(each): steps for steps, each in reversed(list(alone.items()))}
    return [Section((*section.path, *steps), alone[steps]) for steps in unique.values()]


def _written(section: Section, definitions: dict[str, Any]) -> str:
    heading = f"## {section.title}" if section.path else "## The file itself"
    if len(section.path) > 1:
        heading = f"#{heading}"
    rows = [
        _row(section, key, described, definitions)
        for key, described in section.definition["properties"].items()
        if ".".join((*section.path, key)) not in HIDDEN
    ]
    about = "" if not section.path else f"{_plain(section.definition['description'])}\n\n"
    return f"{heading}\n\n{about}| key | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(section: Section, key: str, described: dict[str, Any], definitions: dict[str, Any]) -> str:
    title = ".".join((*section.path, key))
    below = _below(section, key, described, definitions)
    meaning = _plain(described.get("description", "") or (below[0].definition["description"] if below else ""))
    if title in SAME:
        meaning += f" The keys are those of [{SAME[title]}](#{SAME[title]})."
    elif below:
        meaning += f" See [{below[0].title}](#{_anchor(below[0].title)})."
    if not section.in_list:
        meaning += f"<br>`{PREFIX}{'__'.join((*section.path, key)).upper()}`"
    cells = (f"`{key}`", _value(described, meaning), _default(described, below, meaning), meaning)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _value(described: dict[str, Any], meaning: str) -> str:
    """Say which values a key takes, with their unit and range."""
    if "$ref" in described:
        return "object"
    if "anyOf" in described:
        choices = [_value(each, meaning) for each in described["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(choices))
    if "enum" in described or "const" in described:
        return ", ".join(f"`{json.dumps(each)}`" for each in described.get("enum", [described.get("const")]))
    if described["type"] == "array":
        return f"list of: {_value(described['items'], '')}"
    if isinstance(described.get("additionalProperties"), dict):
        return f"object by name of: {_value(described['additionalProperties'], '')}"
    secret = ", secret" if described.get("writeOnly") else ""
    number = described["type"] in {"integer", "number"}
    unit = next((each for each in ("seconds", "bytes") if number and each in meaning), _TYPES[described["type"]])
    return f"{unit}{_range(described)}{secret}"


def _range(described: dict[str, Any]) -> str:
    low, above, high = (described.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    match low, above, high:
        case None, None, None:
            return ""
        case _, None, None:
            return f", from {_number(low)}"
        case None, _, _:
            return f", above {_number(above)}, up to {_number(high)}"
        case _:
            return f", {_number(low)} to {_number(high)}"


def _number(value: float | None) -> str:
    return f"{int(value):,}" if value is not None and value == int(value) else str(value)


def _default(described: dict[str, Any], below: list[Section], meaning: str) -> str:
    """Say what a key is where nobody sets it: a value, or what the description says of it if that is short."""
    default = described.get("default")
    if default in (None, "") or (below and isinstance(default, dict)):
        said = _DEFAULT.search(meaning)
        return said[1] if said and len(said[1]) < _LONGEST_DEFAULT else ""
    return f"`{json.dumps(default)}`"


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower() if letter.isalnum() or letter in "_-")


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")
