"""Python literals: read as Python reads them, as long as they are of a size that a model sends."""

import pytest

from dialects.core.faults import UNREADABLE
from dialects.framing.python_literal import parse_literal


def test_a_literal_is_read_as_python_reads_it() -> None:
    said = {"contentBlockDelta": {"delta": {"text": 'it\'s "so"\n'}, "contentBlockIndex": 0}, "more": [None, True, 1.5]}

    assert parse_literal(repr(said)) == said
    assert parse_literal(repr("x" * 1_000_000)) == "x" * 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "'" + "x" * 1024 * 1024 + "'",
        "[" + "1," * 10_000 + "]",
        "{" + "():1," * 5_000 + "}",
        "[" * 1_000 + "]" * 1_000,
        "-" * 1_000_000 + "1",
        "1" + "+1" * 100_000,
        "9" * 1_000_000,
        "f()",
    ],
    ids=["long", "list", "dict", "nested", "signs", "sum", "digits", "call"],
)
def test_a_literal_without_bounds_is_refused_at_once(text: str) -> None:
    with pytest.raises(UNREADABLE):
        parse_literal(text)
