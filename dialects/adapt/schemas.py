"""JSON Schemas, adapted to the subset that each vendor accepts.

A client's schema may use any keyword of JSON Schema, but a provider accepts only some. Annotations are left out.
Constraints are expressed by other keywords if possible; otherwise they are left out and reported as dropped.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dialects.adapt.schema_budget import SchemaBudget
from dialects.core.conversation import JSON
from dialects.core.faults import invalid
from dialects.framing.json_text import sorted_text

MAX_DEPTH = 100
"""The number of levels that a schema may be nested."""

_ONE = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"})
_MANY = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_WITH_SCHEMAS = _ONE | _MANY | _NAMED

# The other spellings that protobuf JSON accepts for the keywords of Google's OpenAPI subset.
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Schema
_GOOGLE_NAMES = {
    "any_of": "anyOf",
    "additional_properties": "additionalProperties",
    "defs": "$defs",
    "max_items": "maxItems",
    "max_length": "maxLength",
    "max_properties": "maxProperties",
    "min_items": "minItems",
    "min_length": "minLength",
    "min_properties": "minProperties",
    "property_ordering": "propertyOrdering",
    "ref": "$ref",
}
_COUNTS = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})

_INT64 = re.compile(r"[0-9]{1,19}")

_ANNOTATIONS = frozenset(
    {"$schema", "$comment", "$id", "$vocabulary", "examples", "example", "deprecated", "readOnly", "writeOnly"}
)
# https://ai.google.dev/gemini-api/docs/structured-output lists the accepted keywords. These are not among them.
_REFUSED_BY_GEMINI = frozenset(
    {
        "contains",
        "contentEncoding",
        "contentMediaType",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "maxContains",
        "minContains",
        "multipleOf",
        "not",
        "patternProperties",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
NOT_AT_THE_ROOT = frozenset({"allOf", "anyOf", "const", "enum", "not", "oneOf"})
"""The keywords that neither Claude nor GPT accepts at the root of a tool's schema."""
_CHOICES = frozenset({"anyOf", "oneOf"})
_TYPE_OF: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Adapted:
    """A schema that a provider accepts, and the sorted names of the constraints that were dropped."""

    schema: JSON
    dropped: tuple[str, ...] = ()


def from_google(schema: Mapping[str, Any]) -> JSON:
    """Convert a schema of Google's API to JSON Schema: types in lower case, null as a type, and counts as numbers."""
    changed = walked(dict(schema), _as_json_schema)
    return changed if isinstance(changed, dict) else {}


def for_gemini(schema: Mapping[str, Any], budget: SchemaBudget | None = None, where: str = "the schema") -> Adapted:
    """Adapt a JSON Schema to what Gemini accepts in ``parametersJsonSchema`` and ``responseJsonSchema``.

    *where* is the place of the schema in the request, for the `FaultError` that is raised if the budget is exceeded.
    """
    dropped: set[str] = set()
    root, paid = dict(schema), (budget or SchemaBudget(), where)

    def change(node: JSON) -> JSON:
        return _as_gemini_takes_it(_Top(root, dropped, *paid).conjoined(node), dropped)

    changed = walked(root, change)
    return Adapted(changed, tuple(sorted(dropped)))


def for_openai(schema: Mapping[str, Any], *, choices: bool) -> Adapted:
    """Adapt the schema of a tool to what OpenAI accepts. A schema that OpenAI accepts stays unchanged.

    The root must be an object with ``properties``. *choices* is whether it may also have a choice such as ``anyOf``.
    """
    is_whole = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
    refused = not choices and not NOT_AT_THE_ROOT.isdisjoint(schema)
    if refused or ("$ref" in schema and not is_whole):
        adapted = object_root(schema)
    else:
        adapted = Adapted({**schema, "type": "object", "properties": _mapping(schema.get("properties"))})
    return Adapted(_with_items(dict(adapted.schema)), adapted.dropped)


def answer_for_openai(schema: Mapping[str, Any]) -> JSON:
    """Adapt the schema of an answer to what OpenAI accepts. A root without a type becomes an object."""
    return _with_items({**schema, "type": schema.get("type", "object")})


def _with_items(schema: JSON) -> JSON:
    """Add ``items`` to each array that has none, with a schema that accepts anything."""
    changed: JSON = walked(schema, _of_something)
    return changed


def object_root(schema: Mapping[str, Any]) -> Adapted:
    """Make the root of a schema a plain object, for providers that refuse a choice there, such as Claude and GPT.

    The new root has the properties of all alternatives, without saying which belong together. Required are only those
    that all alternatives require.
    """
    root, dropped = dict(schema), set[str]()
    plain = _Top(root, dropped).plain(root)
    dropped |= NOT_AT_THE_ROOT & plain.keys()
    kept = {name: value for name, value in plain.items() if name not in NOT_AT_THE_ROOT}
    return Adapted({**kept, "type": "object", "properties": _mapping(kept.get("properties"))}, tuple(sorted(dropped)))


def has_parameters(schema: Mapping[str, Any]) -> bool:
    """Return whether a function with this schema has any parameters."""
    return any(schema.get(name) for name in (*_MANY, "properties", "$ref", "additionalProperties", "patternProperties"))


def walked(node: Any, change: Callable[[JSON], JSON], depth: int = 0) -> Any:
    """Apply *change* to a schema and to all schemas within it, from the root down.

    Raises `FaultError` if they are nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise invalid(f"a schema is nested more than {MAX_DEPTH} levels deep")
    if not isinstance(node, dict):
        return node
    return visited(change(node), lambda inner: walked(inner, change, depth + 1))


def visited(node: JSON, visit: Callable[[Any], Any]) -> JSON:
    """Copy a schema, and replace each schema directly within it by the result of *visit*."""
    copy = dict(node)
    for name, value in node.items():
        if name in _ONE and isinstance(value, dict):
            copy[name] = visit(value)
        elif (name in _MANY or name in _ONE) and isinstance(value, list):
            copy[name] = [visit(item) for item in value]
        elif name in _NAMED and isinstance(value, dict):
            copy[name] = {key: visit(item) for key, item in value.items()}
    return copy


def keys_of_properties(schemas: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the keys of all properties in *schemas*, at any depth."""
    keys, is_leaf = set[str](), _WITH_SCHEMAS.isdisjoint
    left: list[Any] = list(schemas)
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            for name, value in node.items():
                if name in _NAMED and isinstance(value, dict):
                    if name == "properties":
                        keys.update(value)
                    # Nearly all properties contain no further schema, so they are skipped here.
                    left += [each for each in value.values() if isinstance(each, dict) and not is_leaf(each)]
                elif name in _WITH_SCHEMAS:
                    left.append(value)
    return keys


def _as_json_schema(node: JSON) -> JSON:
    changed = {_GOOGLE_NAMES.get(name, name): value for name, value in node.items()}
    match changed.get("type"):
        case "TYPE_UNSPECIFIED":
            del changed["type"]
        case str(kind):
            changed["type"] = kind.lower()
        case [*kinds]:
            changed["type"] = [kind.lower() if isinstance(kind, str) else kind for kind in kinds]
    for name in _COUNTS & changed.keys():
        # In protobuf JSON an int64 is a string.
        if isinstance(changed[name], str) and _INT64.fullmatch(changed[name]):
            changed[name] = int(changed[name])
    if changed.get("format") == "enum":
        del changed["format"]
    if "example" in changed:
        changed["examples"] = [changed.pop("example")]
    if changed.pop("nullable", False) is True:
        _allow_null(changed)
    return changed


def _allow_null(node: JSON) -> None:
    match node.get("type"):
        case str(kind) if kind != "null":
            node["type"] = [kind, "null"]
        case [*kinds] if "null" not in kinds:
            node["type"] = [*kinds, "null"]
    if isinstance(node.get("anyOf"), list):
        node["anyOf"] = [*node["anyOf"], {"type": "null"}]
    if isinstance(node.get("enum"), list) and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]


def _as_gemini_takes_it(node: JSON, dropped: set[str]) -> JSON:
    if isinstance(reference := node.get("$ref"), str):
        # Gemini accepts only keywords with a dollar sign beside a reference.
        kept = {"$ref": reference.replace("#/definitions/", "#/$defs/")}
        return kept | _definitions(node)
    dropped |= _REFUSED_BY_GEMINI & node.keys()
    out = {name: node[name] for name in node if name not in _REFUSED_BY_GEMINI and name not in _ANNOTATIONS}
    out.pop("definitions", None)
    out |= _definitions(node)
    if "const" in out:
        out["enum"] = [out.pop("const")]
    if isinstance(out.get("enum"), list):
        _limit_enum(out, dropped)
    _include_bounds(out, dropped)
    if isinstance(out.get("oneOf"), list) and "anyOf" not in out:
        out["anyOf"] = out.pop("oneOf")
    if isinstance(out.get("items"), list):
        out["prefixItems"] = out.pop("items")
    if out.get("type") == "array" and not {"items", "prefixItems"} & out.keys():
        out["items"] = {}
    return _without_booleans(out)


def _of_something(node: JSON) -> JSON:
    kind = node.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "array" not in kinds or isinstance(node.get("items"), dict | bool):
        return dict(node)
    if isinstance(node.get("items"), list):
        # Since draft 2020-12, which OpenAI follows, a list of schemas is called `prefixItems`.
        node = {"prefixItems" if name == "items" else name: value for name, value in node.items()}
    return {**node, "items": {}}


def _definitions(node: JSON) -> JSON:
    found = {**_mapping(node.get("definitions")), **_mapping(node.get("$defs"))}
    return {"$defs": found} if found else {}


def _limit_enum(node: JSON, dropped: set[str]) -> None:
    """Remove values that are not strings or numbers from an enumeration, as Gemini refuses them, and set the type."""
    values: list[Any] = node.pop("enum")
    kept = [value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)]
    kinds = {_TYPE_OF.get(type(value)) for value in values}
    if "type" not in node and None not in kinds:
        kinds_sorted = sorted(kind for kind in kinds if kind)
        node["type"] = kinds_sorted[0] if len(kinds_sorted) == 1 else kinds_sorted
    if None in values:
        _allow_null(node)
    said = [value for value in values if value is not None]
    if kept and len(kept) == len(said):
        node["enum"] = kept
    elif said and not _are_both_booleans(said):
        dropped.add("enum")


def _are_both_booleans(values: list[Any]) -> bool:
    """Return whether *values* are true and false, which the type alone says."""
    return len(values) == 2 and all(isinstance(value, bool) for value in values) and values[0] is not values[1]


def _include_bounds(node: JSON, dropped: set[str]) -> None:
    """Replace an exclusive bound by an inclusive one: exactly for integers; otherwise it is reported as dropped."""
    for exclusive, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        bound = node.pop(exclusive, None)
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            continue
        if node.get("type") == "integer":
            bound = (math.floor(bound) if step > 0 else math.ceil(bound)) + step
        else:
            dropped.add(exclusive)
        node.setdefault(inclusive, bound)


def _without_booleans(node: JSON) -> JSON:
    """Replace boolean schemas by an empty object where Gemini requires an object."""
    for name, value in node.items():
        if name in _NAMED and isinstance(value, dict):
            node[name] = {key: item if isinstance(item, dict) else {} for key, item in value.items()}
        elif name in _MANY and isinstance(value, list):
            node[name] = [item if isinstance(item, dict) else {} for item in value]
    if isinstance(node.get("items"), bool):
        node["items"] = {}
    return node


class _Top:
    """Merges the conjunctions, references and choices at the top of a schema into one schema.

    Each definition of *root* is looked up only once, because definitions may be recursive. A lookup spends from the
    *budget*, if there is one. Constraints that are lost are added to *dropped*.
    """

    def __init__(self, root: JSON, dropped: set[str], budget: SchemaBudget | None = None, where: str = "") -> None:
        self._root = root
        self._dropped = dropped
        self._budget = budget
        self._where = where
        self._seen: set[str] = set()

    def conjoined(self, node: JSON, depth: int = 0) -> JSON:
        """Merge the members of an `allOf` into one schema. The first schema with a keyword decides its value."""
        members = _dicts(node.get("allOf"))
        merged = {name: value for name, value in node.items() if name != "allOf"}
        if len(members) == 1 and "$ref" in members[0] and "$ref" not in merged and "properties" not in merged:
            return {**merged, "$ref": members[0]["$ref"]}
        if members and depth > MAX_DEPTH:
            self._dropped.add("allOf")
            return merged
        return _merged([merged, *(self.conjoined(self._looked_up(member), depth + 1) for member in members)])

    def plain(self, node: JSON, depth: int = 0) -> JSON:
        """Merge conjunctions, references and choices into one schema. Raises `FaultError` if the budget is exceeded."""
        followed = [self.conjoined(node)]
        while isinstance(reference := followed[-1].pop("$ref", None), str):
            definition = self._looked_up({"$ref": reference})
            if not definition:
                self._dropped.add("$ref")
            followed.append(self.conjoined(definition))
        plain = _merged(followed)
        for keyword in _CHOICES & plain.keys():
            self._dropped.add(keyword)
            members = [member for member in _dicts(plain.pop(keyword)) if _may_be_object(member)]
            if depth < MAX_DEPTH:
                plain = _merged([plain, _offered([self.plain(member, depth + 1) for member in members])])
        return plain

    def _looked_up(self, member: JSON) -> JSON:
        """Return the definition to which *member* refers, or *member* itself if it is not a reference.

        The result is empty if the definition does not exist or was looked up before.
        """
        reference = member.get("$ref")
        if not isinstance(reference, str):
            return member
        if reference in self._seen:
            return {}
        self._seen.add(reference)
        place, _, name = reference.removeprefix("#/").partition("/")
        found = _mapping(_mapping(self._root.get(place)).get(name))
        if self._budget is not None:
            self._budget.spend(found, self._where)
        return found


def _merged(parts: list[JSON]) -> JSON:
    """Merge schemas. The first one with a keyword decides its value, but named schemas and names are collected."""
    schema = dict(parts[0])
    named: dict[str, list[JSON]] = {}
    required: list[list[Any]] = []
    for part in parts[1:]:
        for name, value in part.items():
            if name in _NAMED and isinstance(value, dict):
                named.setdefault(name, [_mapping(schema.get(name))]).append(value)
            elif name == "required" and isinstance(value, list):
                required = required or [_list(schema.get(name))]
                required.append(value)
            schema.setdefault(name, value)
    schema |= {name: _combined(schemas) for name, schemas in named.items()}
    return schema | ({"required": _united(required)} if required else {})


def _combined(named: list[JSON]) -> JSON:
    """Combine named schemas. The first one with a name takes precedence, and names of later ones come first."""
    return {name: schema for each in reversed(named) for name, schema in each.items()}


def _united(lists: list[list[Any]]) -> list[Any]:
    """Return the items of the first list, and those of each other list that the lists before it do not have."""
    united, known = list(lists[0]), set(map(_comparable, lists[0]))
    for each in lists[1:]:
        more = [item for item in each if _comparable(item) not in known]
        united += more
        known.update(map(_comparable, more))
    return united


def _offered(alternatives: list[JSON]) -> JSON:
    """Combine the properties of all alternatives. A property that differs among them gets an `anyOf`."""
    ways: dict[str, dict[object, Any]] = {}
    for alternative in alternatives:
        for name, schema in _mapping(alternative.get("properties")).items():
            ways.setdefault(name, {}).setdefault(_comparable(schema), schema)
    known = {name: list(schemas.values()) for name, schemas in ways.items()}
    offered = {name: schemas[0] if len(schemas) == 1 else {"anyOf": schemas} for name, schemas in known.items()}
    first, *others = [_list(each.get("required")) for each in alternatives] or [[]]
    required = [set(map(_comparable, each)) for each in others]
    shared = [name for name in first if all(_comparable(name) in each for each in required)]
    return {"properties": offered, **({"required": shared} if shared else {})}


def _comparable(value: Any) -> object:
    """Return a hashable value for JSON, which equals that of equal JSON only."""
    return value if isinstance(value, str) else sorted_text(value)


def _may_be_object(schema: JSON) -> bool:
    kind = schema.get("type", "object")
    return "object" in (kind if isinstance(kind, list) else [kind])


def _mapping(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
