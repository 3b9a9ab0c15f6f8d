"""The schema budget: how much the schemas of one request may grow when what they refer to is written out."""

import json
from collections.abc import Mapping
from typing import Any

from dialects.core.faults import invalid

MOST_WRITTEN = 512 * 1024
"""Bytes of definitions that are written out for one request; as tokens, more than most models read at all."""
DEFINITIONS = ("$defs", "definitions")
"""Where the definitions of a schema stand."""


class SchemaBudget:
    """The bytes of definitions that are left to write out, for all schemas of one request.

    Each reference costs what it is written out as, however often the same definition was written before.
    """

    def __init__(self, most: int = MOST_WRITTEN) -> None:
        self._most = most
        self._left = most

    @property
    def is_spent(self) -> bool:
        """Whether more was asked for than there was."""
        return self._left < 0

    def spend(self, definition: Mapping[str, Any], where: str) -> None:
        """Pay for a definition that is written out in the schema at *where*; raises `FaultError` if it is too much."""
        plain = {name: value for name, value in definition.items() if name not in DEFINITIONS}
        try:
            self._left -= len(json.dumps(plain, ensure_ascii=False))
        except RecursionError:
            self._left = -1
        if self.is_spent:
            raise invalid(
                f"{where}: with references resolved, the schemas of this request take more than {self._most} bytes."
                " Use fewer references, or smaller definitions."
            )
