"""A command in a terminal of its own, whose questions are answered as a person would."""

import os
import pty
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import COMMAND, PATIENCE

CTRL_C, CTRL_D = "\x03", "\x04"
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass
class Terminal:
    """What a command shows, and the keyboard in front of it."""

    pid: int
    descriptor: int
    said: str = ""
    seen: int = 0
    exit_code: int | None = None

    def await_text(self, pattern: str) -> str:
        """Read until the command shows something new that matches; give that."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said[self.seen :])):
            assert time.monotonic() < deadline, f"{pattern!r} is not shown in:\n{self.said}"
            assert self._read(), f"{pattern!r} was not shown before the end of:\n{self.said}"
        self.seen += found.end()
        return found.group()

    def answer(self, pattern: str, text: str) -> None:
        """Wait for a question, and type an answer with Enter behind it."""
        self.await_text(pattern)
        self.type(f"{text}\n")

    def type(self, text: str) -> None:
        """Press keys, or paste."""
        data = text.encode()
        while data:
            data = data[os.write(self.descriptor, data) :]

    def end(self) -> int:
        """Read all to the end; give the exit code."""
        while self._read():
            pass
        return self.wait()

    def wait(self) -> int:
        """Give the exit code once the command has ended."""
        if self.exit_code is None:
            self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.exit_code

    def _read(self) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], PATIENCE)
        assert ready, f"nothing more is shown after:\n{self.said}"
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:
            return False
        self.said += _STYLES.sub("", data.decode("utf-8", "replace"))
        return bool(data)


@contextmanager
def terminal(*arguments: str, folder: Path, env: Mapping[str, str], columns: int = 200) -> Iterator[Terminal]:
    """Start the command in a terminal; one that is still there in the end is killed."""
    pid, descriptor = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        os.chdir(folder)
        termios.tcsetwinsize(0, (50, columns))
        os.execve(COMMAND[0], [*COMMAND, *arguments], dict(env))
        sys.exit(1)
    shown = Terminal(pid, descriptor)
    try:
        yield shown
    finally:
        if shown.exit_code is None:
            os.kill(pid, signal.SIGKILL)
            shown.wait()
        os.close(descriptor)
