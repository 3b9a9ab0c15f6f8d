"""Mistakes in the settings: where each one is, what is wrong, and what to write instead."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Place = tuple[str | int, ...]

_WORD: Final = re.compile(r"\w+")
_CONTENTS: Final = ("{", "-----BEGIN")
"""How service keys and certificates begin, which may be secret and are no paths."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: its place, what is wrong, and what to write instead."""

    where: str
    what: str

    def under(self, prefix: str) -> "Mistake":
        """Return the same mistake with *prefix* in front of its place."""
        return Mistake(".".join(filter(None, (prefix, self.where))), self.what)


class ServiceKeyError(ValueError):
    """Raised for a service key that cannot be used; `mistakes` lists all reasons."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("; ".join(f"{each.where}: {each.what}" if each.where else each.what for each in mistakes))
        self.mistakes = mistakes


class Findings:
    """Collector of mistakes and warnings while a config file is read."""

    def __init__(self, folder: Path, env: Mapping[str, str], home: Path | None) -> None:
        self.folder = folder
        self.env = env
        self.home = home
        self.mistakes: list[Mistake] = []
        self.files: list[Path] = []
        """The files that the settings name and that exist."""
        self.texts: set[Place] = set()
        """The places that an environment variable sets to a string that is not JSON."""
        self._odd: list[Mistake] = []
        self._variables: dict[str, str] = {}
        """The environment variables that set values, by the place in the config file."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, one line for each."""
        return tuple(f"{each.where}: {each.what}" for each in map(self._as_set, self._odd))

    @property
    def complaints(self) -> tuple[Mistake, ...]:
        """The mistakes.

        For a value that comes from an environment variable, the variable replaces the place in the file.
        """
        return tuple(map(self._as_set, self.mistakes))

    def name_variable(self, place: Place, name: str, *, is_text: bool) -> None:
        """Record that the environment variable *name* sets the value at *place*, as plain text or as JSON."""
        self._variables[spelled(place)] = name
        if is_text:
            self.texts.add(place)

    def variable(self, where: str) -> str | None:
        """Return the environment variable that sets the value at *where*, or None if no variable does."""
        place = max((each for each in self._variables if _is_within(where, each)), key=len, default=None)
        return None if place is None else self._variables[place] + where[len(place) :]

    def _as_set(self, mistake: Mistake) -> Mistake:
        """Return a mistake with the environment variable that caused it, if there is one, as its place."""
        name = self.variable(mistake.where)
        if name is None and mistake.where:
            words = _WORD.findall(mistake.what)
            below = (each for each in self._variables if _is_within(each, mistake.where))
            name = next((self._variables[each] for each in below if each.rpartition(".")[2] in words), None)
        return mistake if name is None else Mistake(name, mistake.what)

    def wrong(self, where: str, what: str) -> None:
        """Add a mistake, which must be corrected."""
        self.mistakes.append(Mistake(where, what))

    def odd(self, where: str, what: str) -> None:
        """Add a warning about a setting that is probably a mistake."""
        self._odd.append(Mistake(where, what))

    def reported(self, where: str) -> bool:
        """Return whether there is a mistake at *where* or below it."""
        return any(_is_within(each.where, where) for each in self.mistakes)

    @contextmanager
    def of_key(self, where: str, file: Path | None = None) -> Iterator[None]:
        """Report mistakes in the service key that is read in this context.

        They are reported at *where*, with the name of the *file* if the key is in one.
        """
        try:
            yield
        except ServiceKeyError as error:
            for each in error.mistakes:
                if file is None:
                    self.mistakes.append(each.under(where))
                else:
                    self.wrong(where, f"in {file}, {each.where} {each.what}" if each.where else each.what)

    def file(self, name: str | None, where: str) -> Path | None:
        """Return the path of a file that the config file names; report it and return None if it does not exist.

        A relative path starts from the folder of the config file or, with a warning, from the current folder.
        """
        if name is None:
            return None
        if not name.strip():
            self.wrong(where, "is empty; write the path of a file")
            return None
        if name.lstrip().startswith(_CONTENTS):
            self.wrong(where, "is the content of a file; write the path of the file")
            return None
        set_apart = self.variable(where) is not None
        here = Path(name)
        beside = here if set_apart else self.folder / name
        try:
            if beside.is_file():
                self.files.append(beside)
                return beside
            if here.is_file():
                self.files.append(here)
                self.odd(where, "was found in the current folder, not beside the config file; move it there")
                return here
        except OSError as error:
            self.wrong(where, f"cannot look for {beside}: {error.strerror}")
            return None
        start = "the current folder" if set_apart else "the folder of the config file"
        self.wrong(where, f"there is no file {beside}; paths start from {start}")
        return None


def why_no_json(error: ValueError | RecursionError) -> str:
    """Return what is wrong with a text, from the *error* of `json.loads`; the text itself is not quoted."""
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} at line {error.lineno}, column {error.colno}"
        case RecursionError():
            return "it is nested too deeply"
        case _:
            return "one of its numbers has too many digits"


def kind(value: object) -> str:
    """Return a phrase for the type of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "a list"


def _is_within(where: str, outer: str) -> bool:
    """Return whether the place *where* is *outer* or below it."""
    return where.startswith(outer) and where[len(outer) : len(outer) + 1] in ("", ".", "[", " ")


def spelled(place: Iterable[str | int]) -> str:
    """Format a place as in JavaScript: names that need them are in quotes, and indexes are in brackets."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if re.fullmatch(r"[\w$-]+", step) else json.dumps(step))
    return text
