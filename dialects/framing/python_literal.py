"""Python literals, which SAP AI Core has been seen to send instead of JSON."""

import ast
from typing import Final

LONGEST: Final = 1024 * 1024
"""The maximum length of a literal, in characters."""
_MOST_VALUES: Final = 10_000
"""The maximum number of brackets and commas in a literal. Python takes about 2 KiB and 25 µs for each value."""


def parse_literal(text: str) -> object:
    """Parse Python's `repr` of an object, in bounded time and memory.

    Raises one of `dialects.core.faults.UNREADABLE` for other text, and `ValueError` if it is too long or has too many
    values. Python's parser refuses what is nested deeper than 200 levels.
    """
    if len(text) > LONGEST or sum(map(text.count, "([{,")) > _MOST_VALUES:
        raise ValueError("a literal that is too long or has too many values")
    return ast.literal_eval(text)
