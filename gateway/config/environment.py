"""Settings from environment variables.

A variable's name is `SAP_AI_PROXY_` and the path of a key in the config file.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from gateway.config.mistakes import Findings, why_no_json
from gateway.config.schema_file import json_schema

_Path = tuple[str, ...]

PREFIX: Final = "SAP_AI_PROXY_"
_OF_SAP: Final = "AICORE_"
"""The prefix of the environment variables that SAP's tools use for a service key."""
_BETWEEN: Final = "__"
"""The separator between the keys of a path."""
_SAME_KEYS: Final = (
    # keys of one object that set the same
    ("service_key", "service_key_json"),
    ("include", "include_filters"),
    ("exclude", "exclude_filters"),
)
_SAME_PLACES: Final[tuple[tuple[_Path, _Path], ...]] = (
    (("host",), ("server", "host")),
    (("port",), ("server", "port")),
)
_FOR_A_DEMO: Final = ("host", "port", "server", "log_level", "log_format")
"""The settings that a demo takes from the environment. Those of accounts and callers are not among them."""
_LIKENESS: Final = 0.75
"""The minimum similarity, from 0 to 1, of a key that is suggested in place of an unknown one."""
_LIKENESS_OF_WHOLE: Final = 0.92
"""The minimum similarity, from 0 to 1, of a variable's whole name that is suggested in place of an unknown one."""
_OF_KUBERNETES: Final = re.compile(
    rf"{PREFIX}(PORT=(tcp|udp|sctp)://.*|(SERVICE_HOST|SERVICE_PORT|PORT_\d+_(TCP|UDP|SCTP))(_[A-Z0-9_]+)?=.*)"
)
"""The variables that Kubernetes sets in each container if there is a service with the name sap-ai-proxy."""


def variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that are settings. A blank one counts as not set."""
    return {
        name: text
        for name, text in env.items()
        if name.startswith(PREFIX) and text.strip() and not _OF_KUBERNETES.fullmatch(f"{name}={text}")
    }


def names_subaccounts(env: Mapping[str, str]) -> bool:
    """Return whether a variable configures a subaccount."""
    return any(_first_key(name) == "subaccounts" for name in variables(env))


def names_of_account(env: Mapping[str, str]) -> list[str]:
    """List the variables that configure accounts or callers, which a demo ignores."""
    kept = for_demo(env)
    return sorted(name for name in env if name not in kept or (name.startswith(_OF_SAP) and env[name].strip()))


def for_demo(env: Mapping[str, str]) -> dict[str, str]:
    """Remove the variables that configure accounts or callers, of which a demo has its own."""
    held = variables(env)
    return {name: text for name, text in env.items() if name not in held or _first_key(name) in _FOR_A_DEMO}


def overlaid(raw: Any, findings: Findings) -> Any:
    """Apply the variables to *raw*, the content of the config file; report mistakes in them to *findings*.

    A variable replaces the whole value at its place, even if that is an object. If the place of one variable is within
    that of another, the one with the longer path is applied last.
    """
    held = variables(findings.env)
    if not held or not isinstance(raw, dict):
        return raw
    raw, tree = deepcopy(raw), _Tree(json_schema())
    by_depth = sorted(held, key=lambda name: (name.count(_BETWEEN), name))
    said: dict[_Path, str] = {}
    for name in by_depth:
        place = _place(name, raw, tree, findings)
        if place is None:
            continue
        if place in said:
            findings.wrong(name, f"sets the same as {said[place]}; keep one of them")
            continue
        try:
            value = _value(held[name])
        except ValueError as error:
            findings.wrong(name, f"is not valid JSON: {error}")
            continue
        said[place] = name
        findings.name_variable(place, name, is_text=isinstance(value, str))
        for twin in _twins(place):
            if twin not in said:
                _take_out(raw, twin)
        _put(raw, place, value)
    return raw


class _Tree:
    """The structure of the config file according to its JSON Schema: which keys exist at a place."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema

    def keys(self, place: _Path) -> list[str] | None:
        """List the keys of the object at *place*. None if users choose its keys, or if there is no object."""
        found = [key for node in self._at(place) for key in node.get("properties", ())]
        return found or None

    def places(self, place: _Path = ()) -> Iterator[_Path]:
        """List all places in the file except those below a key that users choose."""
        for key in self.keys(place) or ():
            yield (*place, key)
            yield from self.places((*place, key))

    def is_named(self, place: _Path) -> bool:
        """Return whether users choose the keys of the object at *place*."""
        return any(isinstance(node.get("additionalProperties"), Mapping) for node in self._at(place))

    def _at(self, place: _Path) -> list[Mapping[str, Any]]:
        nodes = list(self._choices(self._root))
        for step in place:
            below = (node.get("properties", {}).get(step) or node.get("additionalProperties") for node in nodes)
            nodes = [choice for node in below if isinstance(node, Mapping) for choice in self._choices(node)]
        return nodes

    def _choices(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """List the schemas that a value of the schema *node* may have, with references resolved."""
        if "$ref" in node:
            node = self._root["$defs"][node["$ref"].rpartition("/")[2]]
        yield node
        for each in (*node.get("anyOf", ()), *node.get("allOf", ())):
            yield from self._choices(each)


def _place(name: str, raw: Mapping[str, Any], tree: _Tree, findings: Findings) -> _Path | None:
    """Return the place in the file that the variable *name* sets; report a variable that sets none."""
    place: _Path = ()
    for step in name.removeprefix(PREFIX).split(_BETWEEN):
        keys, there = tree.keys(place), _get(raw, place)
        key = _same(step, keys or ())
        if key is None and tree.is_named(place):
            named = list(there) if isinstance(there, Mapping) else []
            key = step if step in named else (_same(step, named) or step.lower())
        if not key:
            findings.odd(name, f"this variable is unknown and has no effect{_hint(name, place, step, tree)}")
            return None
        place += (key,)
    return place


def _hint(name: str, place: _Path, step: str, tree: _Tree) -> str:
    """Return a hint about the intended name of the variable *name*, whose part *step* matches no key at *place*."""
    keys = tree.keys(place)
    if keys is None:
        return f"; write JSON into {variable_of(place)}"
    near = difflib.get_close_matches(step.lower(), {key.lower(): key for key in keys}, n=1, cutoff=_LIKENESS)
    meant = [variable_of((*place, key)) for key in near]
    meant = meant or difflib.get_close_matches(name, map(variable_of, tree.places()), n=1, cutoff=_LIKENESS_OF_WHOLE)
    return f"; did you mean {meant[0]}?" if meant else ""


def variable_of(place: _Path) -> str:
    """Return the name of the variable that sets *place*."""
    return PREFIX + _BETWEEN.join(str(step).upper() for step in place)


def _same(step: str, names: Iterable[str]) -> str | None:
    """Return the one of *names* that a part of a variable's name refers to, regardless of case and word separators."""
    wanted = _folded(step)
    return next((name for name in names if _folded(name) == wanted), None)


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name).lower()


def _value(text: str) -> Any:
    """Parse the value of a variable: an object, a list or null as JSON, anything else as a string.

    Raises `ValueError` for invalid JSON.
    """
    text = text.strip()
    if text != "null" and text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(why_no_json(error)) from None


def _twins(place: _Path) -> Iterator[_Path]:
    """List the other places that set the same as *place*. A variable for *place* replaces what the file has there."""
    for pair in _SAME_PLACES:
        if place in pair:
            yield from (each for each in pair if each != place)
    for keys in _SAME_KEYS:
        if place[-1] in keys:
            yield from ((*place[:-1], key) for key in keys if key != place[-1])


def _first_key(name: str) -> str:
    return name.removeprefix(PREFIX).split(_BETWEEN)[0].lower()


def _get(raw: Any, place: _Path) -> Any:
    for step in place:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    return raw


def _put(raw: dict[str, Any], place: _Path, value: Any) -> None:
    """Set the value at *place*, and create the objects around it that do not exist."""
    *outer, key = place
    for step in outer:
        if not isinstance(raw.get(step), dict):
            raw[step] = {}
        raw = raw[step]
    raw[key] = value


def _take_out(raw: Any, place: _Path) -> None:
    """Remove the value at *place*, if there is one."""
    outer = _get(raw, place[:-1])
    if isinstance(outer, dict):
        outer.pop(place[-1], None)
