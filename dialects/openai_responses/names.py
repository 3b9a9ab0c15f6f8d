"""Names of functions that stand in a namespace.

Codex groups functions in ``namespace`` tools, which SAP AI Core refuses: its
models are shown plain functions called ``<namespace>__<function>``, and calls
go back to the client under both names, as it sent them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dialects.adapt.tool_names import fitting, is_function
from dialects.capabilities.models import ODD_IN_NAMES


def flat(namespace: str, name: str) -> str:
    """Name a function of a namespace in one word that OpenAI takes."""
    if not namespace:
        return name
    return fitting(f"{namespace}__{name}", ODD_IN_NAMES)


def namespaces(tools: Iterable[Any]) -> Mapping[str, tuple[str, str]]:
    """Say for each flat name which function of which namespace it is, from tools as the client sent them."""
    found: dict[str, tuple[str, str]] = {}
    for tool in tools:
        match tool:
            case {"type": "namespace", "name": str(namespace), "tools": [*members]}:
                names = [member["name"] for member in members if is_function(member)]
                found |= {flat(namespace, name): (namespace, name) for name in names}
            case _:
                pass
    return found
