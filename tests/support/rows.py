"""Tables of tests that want a row for each dialect, or each strategy."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from tests.support.sources import name_of

V = TypeVar("V")


class Rows(dict[str, V]):
    """A table by such names, *name* in *file*; says where to add the row that is missing."""

    def __init__(self, file: str, name: str, rows: Mapping[str, V]) -> None:
        super().__init__(rows)
        self._where = f"{name} in {name_of(Path(file))}"

    def __missing__(self, wanted: str) -> V:
        raise AssertionError(f"Add a row for {wanted!r} to {self._where}.")
