"""Readers of the fields of a request, which check the types of values.

All of them raise `FaultError` for a value of the wrong type; its message names the place. Each function reads one
value, and `FieldReader` reads the fields of an object. *where* is the place of the value, such as
``messages[2].content``.
"""

import math
from collections.abc import Mapping
from typing import Any

from dialects.core.conversation import JSON
from dialects.core.faults import FaultError, invalid


def must_be(where: str, wanted: str) -> FaultError:
    """Build the error for a value that is not what it must be. *wanted* describes the expected value."""
    return invalid(f"{where} must be {wanted}", where)


def read_string(value: Any, where: str) -> str:
    """Read a string, which may be empty."""
    if not isinstance(value, str):
        raise must_be(where, "a string")
    return value


def read_text(value: Any, where: str) -> str:
    """Read a string. None is read as an empty string."""
    return "" if value is None else read_string(value, where)


def read_number(value: Any, where: str, below: float = math.inf) -> float | None:
    """Read an integer or a float with an absolute value *below* a bound. None stays None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise must_be(where, "a number")
    if below < math.inf and not -below < value < below:
        raise must_be(where, "a number")
    return value


def read_whole_number(value: Any, where: str, below: float = math.inf) -> int | None:
    """Read a whole number, which may be written as a float such as 3.0. None stays None."""
    number = read_number(value, where, below)
    if number is None or isinstance(number, int):
        return number
    if not number.is_integer():
        raise must_be(where, "a whole number")
    return int(number)


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


class FieldReader:
    """A reader of the fields of an object.

    *path* is the place of the object, which is empty for the request itself. For an object within an *outer* one,
    *path* is the name of its field there, and *index* its position if that field is a list. The full path is composed
    only for errors. A field that is missing or null is read as None, or as empty where the method says so.
    """

    __slots__ = ("_index", "_outer", "_path", "body")

    def __init__(
        self, body: Mapping[str, Any], path: str = "", outer: "FieldReader | None" = None, index: int | None = None
    ) -> None:
        self.body = body
        self._path = path
        self._outer = outer
        self._index = index

    @property
    def path(self) -> str:
        """The full path of the object in the request."""
        path = self._path if self._outer is None else self._outer.at(self._path)
        return path if self._index is None else f"{path}[{self._index}]"

    def at(self, name: str) -> str:
        """Return the full path of the field *name*."""
        path = self.path
        return f"{path}.{name}" if path else name

    def wrong(self, name: str, wanted: str) -> FaultError:
        """Build the error for a field that is not what it must be. *wanted* describes the expected value."""
        return must_be(self.at(name), wanted)

    def text(self, name: str) -> str:
        """Read a string. A missing one is read as empty."""
        value = self.body.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        raise self.wrong(name, "a string")

    def named(self, name: str) -> str:
        """Read a string that must not be empty."""
        value = self.text(name)
        if not value:
            raise self.wrong(name, "a string that is not empty")
        return value

    def number(self, name: str) -> float | None:
        """Read an integer or a float."""
        value = self.body.get(name)
        return None if value is None else read_number(value, self.at(name))

    def integer(self, name: str) -> int | None:
        """Read an integer. A float such as 3.0 is refused."""
        value = self.body.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self.wrong(name, "a whole number")

    def count(self, name: str) -> int | None:
        """Read an integer above zero."""
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

    def object(self, name: str) -> "FieldReader | None":
        """Read an object."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return FieldReader(value, name, self)
        raise self.wrong(name, "an object")

    def array(self, name: str) -> list[Any]:
        """Read a list. A missing one is read as empty."""
        value = self.body.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self.wrong(name, "a list")

    def objects(self, name: str) -> "list[FieldReader]":
        """Read a list of objects. A missing one is read as empty."""
        found = [FieldReader(value, name, self, index) for index, value in enumerate(self.array(name))]
        for each in found:
            if not isinstance(each.body, dict):
                raise must_be(each.path, "an object")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a string or a list of strings. A missing one is read as empty."""
        if isinstance(self.body.get(name), str):
            return (self.body[name],)
        items = tuple(self.array(name))
        if items and not all(isinstance(item, str) for item in items):
            raise self.wrong(name, "a string or a list of strings")
        return items
