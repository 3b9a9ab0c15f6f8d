"""One name per concept: modules, classes, functions, settings, metrics and log fields avoid the words that are gone.

A name is split at its underscores and capitals, and each part is looked up, so that `prestart` or `wired` hit nothing.
Names of test functions are sentences, and free.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.sources import ROOT, files, held, name_of, nodes_of

OURS = ("dialects", "proxy_helpers", "routing", "gateway", "proxy_server", "sap_ai_proxy", "emulator")

GONE = {
    # the word             what to say
    "resting": "cooldown",
    "rested": "cooldown",
    "cooling": "cooldown",
    "insist": "probe (of a circuit)",
    "withdrew": "cancel",
    "withdraw": "cancel an attempt, spend of a budget",
    "withdrawn": "cancelled, spent",
    "stand": "available, unavailable",
    "standing": "available, unavailable",
    "survey": "available, unavailable",
    "regret": "available, unavailable",
    "regrets": "available, unavailable",
    "peek": "select",
    "locate": "select",
    "choose": "select",
    "journal": "routing event",
    "note": "routing event, record",
    "notes": "routing events, records",
    "tell": "emit, send",
    "tells": "emits, sends",
    "told": "emitted, sent",
    "verdict": "classification",
    "verdicts": "classifications",
    "lane": "passthrough",
    "lanes": "passthrough",
    "forward": "passthrough",
    "forwarded": "passthrough",
    "crossing": "translator",
    "crossings": "translators",
    "way": "translator",
    "ways": "translators",
    "foreign": "unsupported: approximate or reject",
    "spoken": "unsupported: approximate or reject",
    "retelling": "unsupported: approximate or reject",
    "asking": "request_parser, parse",
    "answering": "response, render",
    "wire": "the protocol, the connection, the bytes: whichever it is",
    "wires": "the protocol, the connection, the bytes: whichever it is",
    "pump": "stream reader",
    "fleet": "endpoint pool",
    "mentions": "model overrides",
    "pins": "sticky endpoints",
    "lesson": "rejected fields",
    "lessons": "rejected fields",
    "browsers": "cors",
    "seal": "signature; sign",
    "seals": "signatures; sign",
    "sealed": "signed",
}
"""Parts of a name that stand for something which has another name now."""

GONE_MODULES = {
    "words": "vocabulary",
    "references": "schema_references",
    "wrapping": "json_root",
    "tools": "tool_names",
    "turns": "turn_order",
    "counting": "token_estimate",
    "accounts": "subaccounts",
    "access": "auth",
    "observe": "access_log, metrics",
    "rest": "cooldown",
}
"""Names of modules that say something else than what is in them; within a longer name they may be right."""

GONE_IN_ROUTING = {"rest": "cooldown", "leave": "eject, release", "well": "closed", "gone": "ejected"}
"""Words that mean something else outside of `routing/`."""

KEEPS = re.compile(r"x_forwarded|forwarded_(for|proto|host)")
"""Names that are not ours to choose: HTTP's headers."""

EXCEPTIONS: frozenset[str] = frozenset()
"""Names that still have a word that is gone, while they are being replaced. None may be added."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name of ours: where it stands, what it names, and how it is written."""

    place: str
    kind: str
    text: str

    @property
    def parts(self) -> list[str]:
        """The words it is made of, in lower case."""
        split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", KEEPS.sub("", self.text))
        return [part.lower() for part in split.split("_") if part]

    @property
    def hits(self) -> dict[str, str]:
        """The words in it that are gone, each with what to say."""
        gone = GONE | (GONE_IN_ROUTING if self.place.startswith("routing/") else {})
        found = {part: gone[part] for part in self.parts if part in gone}
        if self.kind == "module" and self.text.removeprefix("test_") in GONE_MODULES:
            found[self.text] = GONE_MODULES[self.text.removeprefix("test_")]
        return found


def modules(*names: str) -> Iterator[Name]:
    """Name the modules, and the folders they stand in."""
    seen = set()
    for path in files(*names):
        for each in {path, *path.parents} - {Path(__file__)}:
            if ROOT in each.parents and each not in seen and each.name != "__init__.py":
                seen.add(each)
                yield Name(name_of(each), "module", each.name.removesuffix(".py"))


def golden_files() -> Iterator[Name]:
    """Name the files of `tests/wire`: what is sent, and what becomes of it."""
    for path in sorted((ROOT / "tests/wire").rglob("*.*")):
        yield Name(name_of(path), "golden file", path.name.replace(".", "_").replace("-", "_"))


def definitions(*names: str) -> Iterator[Name]:
    """Name the classes and functions, and the fields of the classes."""
    for path in files(*names):
        for node in nodes_of(path):
            match node:
                case ast.ClassDef(name):
                    yield Name(f"{name_of(path)}:{node.lineno}", "class", name)
                    yield from fields(path, node)
                case ast.FunctionDef(name) if not name.startswith("test_"):
                    yield Name(f"{name_of(path)}:{node.lineno}", "function", name)
                case _:
                    pass


def fields(path: Path, of: ast.ClassDef) -> Iterator[Name]:
    """Name the fields of a class: settings, and what records and events carry into the log."""
    for node in of.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield Name(f"{name_of(path)}:{node.lineno}", "field", node.target.id)


def strings(*names: str) -> Iterator[Name]:
    """Name the metrics, and the fields that log lines write as `name=value`."""
    for path in files(*names):
        for node in nodes_of(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                place = f"{name_of(path)}:{node.lineno}"
                yield from (Name(place, "metric", found) for found in re.findall(r"\baicore_proxy_\w+", node.value))
                yield from (Name(place, "log field", found) for found in re.findall(r"\b(\w+)=%", node.value))


def settings(schema: object) -> Iterator[Name]:
    """Name the settings of the config file, however deep they stand."""
    match schema:
        case dict():
            for key in schema.get("properties", {}):
                yield Name("gateway/config/config.schema.json", "setting", key)
            for value in schema.values():
                yield from settings(value)
        case list():
            for value in schema:
                yield from settings(value)
        case _:
            pass


@cache
def names() -> list[Name]:
    """List every name that the law is about."""
    schema = json.loads((ROOT / "gateway/config/config.schema.json").read_text(encoding="utf-8"))
    return [
        *modules(*OURS, "tests"),
        *golden_files(),
        *definitions(*OURS, "tests/support", "tests/emulator", "tests/matrix"),
        *strings(*OURS),
        *settings(schema),
    ]


def test_no_name_has_a_word_that_is_gone() -> None:
    offenders = [
        f"{name.place} {name.kind} {name.text}: for {word!r} say {instead}"
        for name in names()
        if name.text not in EXCEPTIONS
        for word, instead in name.hits.items()
    ]

    held("Each concept has one name. Rename these:", offenders)


def test_no_exception_outlives_its_name() -> None:
    needed = {name.text for name in names() if name.hits}

    held("These are renamed. Take them out of EXCEPTIONS:", sorted(EXCEPTIONS - needed))


def test_a_true_use_of_a_word_is_no_hit() -> None:
    places = [
        ("function", "x_forwarded_for"),
        ("function", "prestart"),
        ("module", "access_log"),
        ("module", "tool_names"),
    ]

    assert [{}] * len(places) == [Name("gateway/here.py:1", kind, text).hits for kind, text in places]
    assert Name("gateway/here.py:1", "class", "ForwardedBody").hits == {"forwarded": "passthrough"}


def test_names_of_tests_fit_a_line_of_100_characters() -> None:
    offenders = [
        f"{name_of(path)} {line.strip()}"
        for path in files("tests")
        for line in re.findall(r"^ *def \w{80,}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        if len(line) > 100
    ]

    held("Say it in fewer words:", offenders)
