"""The schema budget: it limits how much the schemas of one request may grow when references are replaced."""

import json
from collections.abc import Mapping
from typing import Any

from dialects.core.faults import invalid

MOST_WRITTEN = 512 * 1024
"""The characters of definitions that may replace references in one request. Few models accept so many as input."""
DEFINITIONS = ("$defs", "definitions")
"""The keywords for the definitions of a schema."""


class SchemaBudget:
    """The budget of definitions that may replace references, for all schemas of one request, in characters of JSON.

    Each reference costs the length of its definition, even if the same definition was used before.
    """

    def __init__(self, most: int = MOST_WRITTEN) -> None:
        self._most = most
        self._left = most

    @property
    def is_spent(self) -> bool:
        """Whether more was spent than the budget had."""
        return self._left < 0

    def spend(self, definition: Mapping[str, Any], where: str) -> None:
        """Spend the length of a definition in the schema at *where*. Raises `FaultError` if the budget is exceeded."""
        plain = {name: value for name, value in definition.items() if name not in DEFINITIONS}
        try:
            self._left -= len(json.dumps(plain, ensure_ascii=False))
        except RecursionError:
            self._left = -1
        if self.is_spent:
            raise invalid(
                f"{where}: with references resolved, the schemas have more than {self._most} characters."
                " Use fewer references, or smaller definitions."
            )
