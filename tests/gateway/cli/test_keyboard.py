"""What ends a wait at a terminal, and that the terminal is as it was when all is over."""

import os
import signal
import sys
import termios
from collections.abc import Iterator

import pytest

from gateway.cli.keyboard import Keyboard, Wake

FOREVER = 60.0
"""Seconds that no test waits."""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal: the person's, and the program's."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("key", [b"q", b"Q", b"\x04", b"jkq"])
def test_q_ends_a_wait(terminal: tuple[int, int], key: bytes) -> None:
    person, program = terminal
    with Keyboard(program) as keyboard:
        os.write(person, key)

        assert keyboard.wait(FOREVER) is Wake.QUIT


def test_another_size_of_the_terminal_ends_a_wait(terminal: tuple[int, int]) -> None:
    with Keyboard(terminal[1]) as keyboard:
        signal.raise_signal(signal.SIGWINCH)

        assert keyboard.wait(FOREVER) is Wake.REDRAW
        assert keyboard.wait(0.0) is Wake.TIME_UP


def test_another_key_ends_a_wait_and_is_not_q(terminal: tuple[int, int]) -> None:
    """Terminals make arrows of a mouse wheel."""
    person, program = terminal
    with Keyboard(program) as keyboard:
        os.write(person, b"\x1b[A")

        assert keyboard.wait(FOREVER) is Wake.REDRAW


def test_keys_are_not_shown_as_long_as_it_is_entered(terminal: tuple[int, int]) -> None:
    program = terminal[1]
    before, handlers = termios.tcgetattr(program), signal.getsignal(signal.SIGTERM)
    with Keyboard(program):
        assert not termios.tcgetattr(program)[3] & (termios.ECHO | termios.ICANON)
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN

    assert termios.tcgetattr(program) == before
    assert signal.getsignal(signal.SIGTERM) == handlers


def test_a_signal_that_ends_the_process_leaves_the_terminal_as_it_was(terminal: tuple[int, int]) -> None:
    program = terminal[1]
    before = termios.tcgetattr(program)
    with pytest.raises(SystemExit) as caught, Keyboard(program):
        signal.raise_signal(signal.SIGTERM)

    assert caught.value.code == 143
    assert termios.tcgetattr(program) == before


def test_without_a_terminal_only_time_passes() -> None:
    slept: list[float] = []
    reader, writer = os.pipe()
    with Keyboard(reader, slept.append) as keyboard:
        os.write(writer, b"q")

        assert keyboard.wait(1.5) is Wake.TIME_UP
    assert slept == [1.5]
    for end in (reader, writer):
        os.close(end)


def test_it_reads_from_standard_input_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    with open(os.devnull) as nothing:  # noqa: PTH123 - a file with a descriptor
        monkeypatch.setattr(sys, "stdin", nothing)
        with Keyboard(sleep=slept.append) as keyboard:
            assert keyboard.wait(1.0) is Wake.TIME_UP
