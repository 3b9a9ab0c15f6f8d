"""Detects terminals, and waits there for a key, a new size or the end of a time."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum
from typing import Any, Final, Self, TextIO

_QUITS: Final = frozenset(b"qQ\x03\x04")
"""q, and Ctrl-C and Ctrl-D where the terminal hands them on."""


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a standard stream is a terminal; one that was closed before the start is None."""
    return stream is not None and stream.isatty()


class Wake(Enum):
    """Why a wait is over."""

    TIME_UP = "time is up"
    REDRAW = "the terminal has another size, or another key was pressed"
    QUIT = "q was pressed"


class Keyboard:
    """The keys of the terminal at *descriptor*, which are not shown as long as it is entered.

    A signal that ends the process first undoes what would stay; not SIGHUP, after which there is no terminal. Where
    there is none to begin with, and on Windows, only time passes.
    """

    def __init__(self, descriptor: int | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None and is_terminal(sys.stdin) else descriptor
        self._sleep = sleep
        self._entered = ExitStack()
        self._woken: int | None = None
        """Where a byte can be read after each signal."""
        self._keys: int | None = None
        """Where keys are read, as long as there are any."""

    def wait(self, seconds: float) -> Wake:
        """Wait for at most so many *seconds*."""
        if self._woken is None:
            self._sleep(seconds)
            return Wake.TIME_UP
        sources = [self._woken, *([] if self._keys is None else [self._keys])]
        ready, _, _ = select.select(sources, [], [], seconds)
        if self._keys in ready:
            keys = os.read(self._keys, 64)
            self._keys = self._keys if keys else None
            if _QUITS & set(keys):
                return Wake.QUIT
        if self._woken in ready:
            os.read(self._woken, 64)
        return Wake.REDRAW if ready else Wake.TIME_UP

    def __enter__(self) -> Self:
        if self._descriptor is not None and os.isatty(self._descriptor) and sys.platform != "win32":
            self._take_keys(self._descriptor)
            self._take_signals()
        return self

    def __exit__(self, *_: object) -> None:
        self._entered.close()
        self._woken = None

    def _take_keys(self, descriptor: int) -> None:
        """Read keys one by one, and show none."""
        import termios  # noqa: PLC0415 - Windows has no such modules, and imports this one
        import tty  # noqa: PLC0415 - the same

        before = termios.tcgetattr(descriptor)
        self._entered.callback(termios.tcsetattr, descriptor, termios.TCSADRAIN, before)
        tty.setcbreak(descriptor)
        self._keys = descriptor

    def _take_signals(self) -> None:
        """Wake on signals; Ctrl-Z, after which the terminal would stay as it is now, does nothing."""
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            self._entered.callback(os.close, descriptor)
            os.set_blocking(descriptor, False)
        self._entered.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writer, warn_on_full_buffer=False))
        handlers: dict[int, Any] = {
            signal.SIGWINCH: lambda *_: None,
            signal.SIGTSTP: signal.SIG_IGN,
            signal.SIGTERM: _leave,
        }
        for number, handler in handlers.items():
            self._entered.callback(signal.signal, number, signal.signal(number, handler))
        self._woken = reader


def _leave(number: int, _: object) -> None:
    """Exit with the code of the signal, after the usual cleanup."""
    raise SystemExit(128 + number)
