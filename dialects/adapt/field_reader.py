"""Fields of a request, read with their types checked: what is wrong is the caller's fault and says where.

A function reads one value, whatever dialect it stands in; `FieldReader` reads
the fields of an object. *where* is the value's place, such as
``messages[2].content``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialects.core.conversation import JSON
from dialects.core.faults import FaultError, invalid


def must_be(where: str, wanted: str) -> FaultError:
    """Build the error for a value that is not what it must be."""
    return invalid(f"{where} must be {wanted}", where)


def read_string(value: Any, where: str) -> str:
    """Read a string, which may be empty."""
    if not isinstance(value, str):
        raise must_be(where, "a string")
    return value


def read_text(value: Any, where: str) -> str:
    """Read a string; none is the empty one."""
    return "" if value is None else read_string(value, where)


def read_number(value: Any, where: str, below: float = math.inf) -> float | None:
    """Read a number as it is written, whole or not, with an absolute value *below* a bound."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise must_be(where, "a number")
    if below < math.inf and not -below < value < below:
        raise must_be(where, "a number")
    return value


def read_whole_number(value: Any, where: str, below: float = math.inf) -> int | None:
    """Read a whole number, however it is written: 3.0 is one, too."""
    number = read_number(value, where, below)
    if number is None or isinstance(number, int):
        return number
    if not number.is_integer():
        raise must_be(where, "a whole number")
    return int(number)


def read_integer(value: Any, where: str) -> int | None:
    """Read a whole number that is written as one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise must_be(where, "a whole number")
    return value


def read_flag(value: Any, where: str) -> bool | None:
    """Read true or false."""
    if value is None or isinstance(value, bool):
        return value
    raise must_be(where, "true or false")


def read_object(value: Any, where: str) -> JSON:
    """Read an object."""
    if not isinstance(value, dict):
        raise must_be(where, "an object")
    return value


def read_list(value: Any, where: str) -> list[Any]:
    """Read a list."""
    if not isinstance(value, list):
        raise must_be(where, "a list")
    return value


@dataclass(frozen=True, slots=True)
class FieldReader:
    """The fields of an object; *path* is where it stands, empty for the request itself."""

    body: Mapping[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        """Name where the field *name* stands."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, wanted: str) -> FaultError:
        """Build the error for a field that is not what it must be."""
        return must_be(self.at(name), wanted)

    def text(self, name: str) -> str:
        """Read a string; none is the empty one."""
        return read_text(self.body.get(name), self.at(name))

    def named(self, name: str) -> str:
        """Read a string that must say something."""
        value = self.text(name)
        if not value:
            raise self.wrong(name, "a string that is not empty")
        return value

    def number(self, name: str) -> float | None:
        """Read a number as it is written, whole or not."""
        return read_number(self.body.get(name), self.at(name))

    def integer(self, name: str) -> int | None:
        """Read a whole number."""
        return read_integer(self.body.get(name), self.at(name))

    def count(self, name: str) -> int | None:
        """Read a whole number above zero."""
        value = self.integer(name)
        if value is not None and value < 1:
            raise self.wrong(name, "at least 1")
        return value

    def flag(self, name: str) -> bool | None:
        """Read true or false."""
        return read_flag(self.body.get(name), self.at(name))

    def object(self, name: str) -> "FieldReader | None":
        """Read an object."""
        value = self.body.get(name)
        return None if value is None else FieldReader(read_object(value, self.at(name)), self.at(name))

    def array(self, name: str) -> list[Any]:
        """Read a list; none is the empty one."""
        value = self.body.get(name)
        return [] if value is None else read_list(value, self.at(name))

    def objects(self, name: str) -> "list[FieldReader]":
        """Read a list of objects."""
        places = ((value, f"{self.at(name)}[{index}]") for index, value in enumerate(self.array(name)))
        return [FieldReader(read_object(value, where), where) for value, where in places]

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a string or a list of strings."""
        value = self.body.get(name)
        if isinstance(value, str):
            return (value,)
        if not all(isinstance(item, str) for item in self.array(name)):
            raise self.wrong(name, "a string or a list of strings")
        return tuple(self.array(name))
