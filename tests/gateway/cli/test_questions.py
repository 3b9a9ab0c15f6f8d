"""A paste that is read unseen from a terminal: whole, and nothing of it answers the next question."""

import os
import select
import sys
from collections.abc import Iterator

import pytest

from gateway.cli.questions import Questions


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The person's end of a terminal whose other end is standard input."""
    person, program = os.openpty()
    with open(program) as stdin:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stdin", stdin)
        yield person
    os.close(person)


def test_enter_behind_a_paste_answers_no_other_question(person: int) -> None:
    def is_whole(text: str) -> bool:
        if text:
            os.write(person, b"\n")
            assert select.select([sys.stdin], [], [], 60)[0]
        return bool(text)

    os.write(person, b"{}")

    assert Questions().pasted("Paste it now:", "", is_whole) == "{}"
    assert select.select([sys.stdin], [], [], 0)[0] == []


def test_a_letter_whose_bytes_come_apart_is_read_whole(person: int) -> None:
    pieces = iter([b"\xc3", b'\xa9"', b"}"])

    def is_whole(text: str) -> bool:
        os.write(person, next(pieces, b""))
        return text.endswith("}")

    os.write(person, b'{"')

    assert Questions().pasted("Paste it now:", "", is_whole) == '{"é"}'
