"""Writer of the JSON Schema of the config file, with a description of every key: `make schema`."""

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.config import schema
from gateway.config.schema import ConfigFile
from gateway.config.schema_file import JSON, SCHEMA_FILE
from routing import policy


def written_schema() -> dict[str, JSON]:
    """Generate the JSON Schema of the config file."""
    written = ConfigFile.model_json_schema()
    sections = {"": ConfigFile} | {each.__name__: each for each in _sections()}
    for name, definition in (("", written), *written["$defs"].items()):
        texts, ranges = dict(_descriptions(sections[name])), dict(_ranges(sections[name]))
        for key, described in definition["properties"].items():
            described.pop("title", None)
            if key in ranges:
                _limit(described, ranges[key])
            if key in texts:
                definition["properties"][key] = dict(sorted((described | {"description": texts[key]}).items()))
        definition.pop("title", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}


def _sections() -> Iterator[type]:
    """Yield the classes that may be a section: pydantic models, and the dataclasses of `routing.policy`."""
    for module in (schema, policy):
        for each in vars(module).values():
            if isinstance(each, type) and (issubclass(each, BaseModel) or is_dataclass(each)):
                yield each


def _descriptions(section: type) -> Iterator[tuple[str, str]]:
    """Yield the keys of a section, each with the docstring below its field."""
    models: dict[str, FieldInfo] = getattr(section, "model_fields", {})
    for each in reversed(section.__mro__):
        if each.__module__.partition(".")[0] in {"gateway", "routing"}:
            [body] = ast.parse(inspect.getsource(each)).body
            assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is one
            for node, text in zip(body.body, body.body[1:], strict=False):
                match node, text:
                    case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(said))):
                        key = models[name].alias if name in models else None
                        yield key or name, inspect.cleandoc(said)


def _ranges(section: type) -> Iterator[tuple[str, policy.Range]]:
    """Yield the numeric fields of a section of `routing`, each with its range."""
    for each in fields(section) if is_dataclass(section) else ():
        for option in (each.type, *get_args(each.type)):
            for limit in getattr(option, "__metadata__", ()):
                if isinstance(limit, policy.Range):
                    yield each.name, limit


def _limit(described: JSON, limit: policy.Range) -> None:
    """Add the range to a number in the schema, also where it is one of several alternatives."""
    for choice in described.get("anyOf", [described]):
        if choice.get("type") in {"integer", "number"}:
            choice |= {"minimum": limit.low, "maximum": limit.high}


def main() -> None:
    """Write the JSON Schema to its file."""
    SCHEMA_FILE.write_text(json.dumps(written_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
