"""Fields of Gemini's requests, read with their types checked: what is wrong is the caller's fault and says where."""

from collections.abc import Container
from typing import Any

from dialects.core.conversation import JSON
from dialects.core.faults import invalid


def object_in(value: Any, where: str) -> JSON:
    """Read an object; none is the empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{where} must be an object", where)
    return value


def objects_in(value: Any, where: str) -> list[JSON]:
    """Read a list of objects; one alone stands for a list of one."""
    if isinstance(value, dict):
        return [value]
    if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise invalid(f"{where} must be a list of objects", where)
    return value or []


def text_in(value: Any, where: str) -> str:
    """Read a string; none is the empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{where} must be a string", where)
    return value


def name_in(value: JSON, where: str) -> str:
    """Read a name, which must say something."""
    name = text_in(value.get("name"), f"{where}.name")
    if not name:
        raise invalid(f"{where}.name is missing", f"{where}.name")
    return name


def take_number(config: JSON, name: str, within: str = "generationConfig") -> float | None:
    """Take a number out of *config*."""
    value = config.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{within}.{name} must be a number", f"{within}.{name}")
    return value


def take_whole(config: JSON, name: str, within: str = "generationConfig") -> int | None:
    """Take a whole number out of *config*, however it is written."""
    value = take_number(config, name, within)
    if value is None or isinstance(value, int):
        return value
    if not value.is_integer():
        raise invalid(f"{within}.{name} must be a whole number", f"{within}.{name}")
    return int(value)


def keep_apart(extra: JSON, holder: JSON, known: Container[str], place: str) -> None:
    """Remember in *extra* what of *holder* has no neutral word, if it says anything."""
    for name, value in holder.items():
        if name not in known and value:
            extra.setdefault(f"{place}.{name}", []).append(value)
