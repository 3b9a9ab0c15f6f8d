"""TOML edited as it is written: comments, order and all the rest stay."""

from typing import Any

import tomlkit
from tomlkit.items import AoT, Table

from gateway.tool_settings.tool import ConnectError, Edits


def edit(text: str, edits: Edits) -> str:
    """Set values at the top, and whole tables, whose values are texts; raises `ConnectError` where that cannot be.

    Whoever calls it compares what came out with what was wanted.
    """
    try:
        return _edited(tomlkit.parse(text), edits)
    except Exception:  # noqa: BLE001 - tables in pieces make it stumble in many ways; nothing is written then
        raise ConnectError("its other content could not be kept") from None


def _edited(document: tomlkit.TOMLDocument, edits: Edits) -> str:
    above = tomlkit.document()
    has_tables = any(isinstance(each, Table | AoT) for each in document.values())
    for path, value in edits.items():
        *keys, name = path
        place: Any = document
        for key in keys:
            if key not in place:
                place[key] = tomlkit.table(is_super_table=True)
            place = place[key]
        if isinstance(value, dict) and isinstance(place.get(name), dict):
            _refill(place[name], value)
        elif has_tables and not (keys or name in document or isinstance(value, dict)):
            above[name] = value  # Before a comment that may be one on the first table.
        else:
            place[name] = value
    first, rest = tomlkit.dumps(above), tomlkit.dumps(document)
    return first + ("\n" if first and rest.startswith("[") else "") + rest


def _refill(table: Any, values: dict[str, object]) -> None:
    """Give a table other values; what stands behind the last one, such as a comment on what follows, stays there."""
    behind = _taken_from_behind(table)
    for name in [each for each in table if each not in values]:
        del table[name]
    for name, value in values.items():
        table[name] = value
    for item in behind:
        table.add(item)


def _taken_from_behind(table: Any) -> list[Any]:
    """Take away the comments and blank lines behind the last value of a table, which may be in a table within it."""
    body = table.value.body if isinstance(table, Table) else []
    behind: list[Any] = []
    while body and body[-1][0] is None:
        behind.insert(0, body.pop()[1])
    return behind or (_taken_from_behind(body[-1][1]) if body else [])
