"""Names of functions that stand in a namespace.

Codex groups functions in ``namespace`` tools, which SAP AI Core refuses: its
models are shown plain functions called ``<namespace>__<function>``, and calls
go back to the client under both names, as it sent them.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST = 64
_ODD = re.compile(r"[^a-zA-Z0-9_-]")


def flat(namespace: str, name: str) -> str:
    """Name a function of a namespace in one word that OpenAI takes."""
    if not namespace:
        return name
    joined = f"{namespace}__{name}"
    if len(joined) <= _LONGEST and not _ODD.search(joined):
        return joined
    digest = hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_ODD.sub('_', joined)[: _LONGEST - 9]}_{digest}"


def namespaces(tools: Iterable[Any]) -> Mapping[str, tuple[str, str]]:
    """Say for each flat name which function of which namespace it is, from tools as the client sent them."""
    found: dict[str, tuple[str, str]] = {}
    for tool in tools:
        match tool:
            case {"type": "namespace", "name": str(namespace), "tools": [*members]}:
                names = [member["name"] for member in members if isinstance(member, dict) and is_function(member)]
                found |= {flat(namespace, name): (namespace, name) for name in names}
            case _:
                pass
    return found


def is_function(tool: Mapping[str, Any]) -> bool:
    """Whether a member of a namespace is a function that can be called by its name."""
    return tool.get("type", "function") == "function" and isinstance(tool.get("name"), str)
