"""Fields of a request, read with their types checked: what is wrong is the caller's fault and says where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialects.core.faults import FaultError, invalid


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a request; *path* is where it stands, as OpenAI writes it: ``messages[2].content``."""

    body: Mapping[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        """Say where the field *name* stands."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, wanted: str) -> FaultError:
        """Build the error for a field that is not what it must be."""
        return invalid(f"{self.at(name)} must be {wanted}", self.at(name))

    def text(self, name: str) -> str:
        """Read a string; none is the empty one."""
        value = self.body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def named(self, name: str) -> str:
        """Read a string that must say something."""
        value = self.text(name)
        if not value:
            raise self.wrong(name, "a string that is not empty")
        return value

    def number(self, name: str) -> float | None:
        """Read a number as it is written, whole or not."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        return value

    def integer(self, name: str) -> int | None:
        """Read a whole number."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "a whole number")
        return value

    def count(self, name: str) -> int | None:
        """Read a whole number above zero."""
        value = self.integer(name)
        if value is not None and value < 1:
            raise self.wrong(name, "at least 1")
        return value

    def flag(self, name: str) -> bool | None:
        """Read true or false."""
        value = self.body.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.wrong(name, "true or false")

    def object(self, name: str) -> "Fields | None":
        """Read an object."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value, self.at(name))

    def array(self, name: str) -> list[Any]:
        """Read a list; none is the empty one."""
        value = self.body.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        return value

    def objects(self, name: str) -> "list[Fields]":
        """Read a list of objects."""
        found = []
        for index, value in enumerate(self.array(name)):
            path = f"{self.at(name)}[{index}]"
            if not isinstance(value, dict):
                raise invalid(f"{path} must be an object", path)
            found.append(Fields(value, path))
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a string or a list of strings."""
        value = self.body.get(name)
        if isinstance(value, str):
            return (value,)
        if not all(isinstance(item, str) for item in self.array(name)):
            raise self.wrong(name, "a string or a list of strings")
        return tuple(self.array(name))
