"""Reading an upstream in a thread of its own, so that whoever waits for it can wait with a limit.

A socket's own time-out will not do: after it has struck, the connection is
spoilt, and a caller that only wanted to send a keep-alive would have lost it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from dialects.faults import Fault, FaultError, FaultKind

_LEFTOVER = 256
"""How many chunks that nobody wants are read on the way to an answer's end."""


class Upstream(Protocol):
    """An open answer from a backend."""

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters or with."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Give the body's bytes as they arrive; raises `FaultError`."""
        ...

    def shutdown(self) -> None:
        """Make a read that is under way in another thread come back."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Quiet(Exception):  # noqa: N818 - nothing is wrong: nothing has come yet
    """Nothing arrived within the time that was given."""


class Pump:
    """Opens and reads one upstream in a daemon thread, at most *room* chunks ahead of whoever takes them.

    What fails there that is no fault is a defect, and raised again where the
    answer is taken. ``_turn`` guards the chunks, the content type, the upstream,
    the fault, the defect and the three flags; it is never held while the
    upstream is opened, read or closed.
    """

    def __init__(self, open: Callable[[], Upstream], *, room: int = 256) -> None:
        self._open = open
        self._room = room
        self._turn = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._content_type: str | None = None
        self._upstream: Upstream | None = None
        self._fault: Fault | None = None
        self._defect: Exception | None = None
        self._done = False
        self._closed = False
        self._released = False
        self._leftover = _LEFTOVER
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def content_type(self, timeout: float) -> str:
        """Wait for the answer's head; raises `FaultError`, or `Quiet` after *timeout* seconds."""
        with self._turn:
            if not self._turn.wait_for(lambda: self._content_type is not None or self._done, timeout):
                raise Quiet
            if self._content_type is None:
                self._raise_defect()
                raise FaultError(self._fault or Fault(FaultKind.STREAM_BROKEN, "the answer has no head"))
            return self._content_type

    def take(self, timeout: float) -> bytes | None:
        """Take all that has arrived, or None at the end; raises `FaultError`, or `Quiet` after *timeout* seconds."""
        with self._turn:
            if not self._turn.wait_for(lambda: self._chunks or self._done, timeout):
                raise Quiet
            if self._chunks:
                taken = b"".join(self._chunks)
                self._chunks.clear()
                self._turn.notify_all()
                return taken
            self._raise_defect()
            if self._fault:
                raise FaultError(self._fault)
            return None

    def close(self) -> None:
        """Stop reading, at once and from any thread; the connection is shut."""
        with self._turn:
            self._closed = True
            upstream = self._upstream
            self._turn.notify_all()
        if upstream is not None and self._thread.is_alive():
            upstream.shutdown()

    def release(self) -> None:
        """Want nothing more, but let the answer run to its end, so that its connection can be used again.

        An end that is many chunks away is not waited for.
        """
        with self._turn:
            self._released = True
            self._turn.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; say whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _raise_defect(self) -> None:
        if self._defect is not None:
            raise self._defect

    def _run(self) -> None:
        fault: Fault | None = None
        defect: Exception | None = None
        try:
            upstream = self._open()
            try:
                self._read(upstream)
            finally:
                upstream.close()
        except FaultError as error:
            fault = error.fault
        except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the answer is taken
            defect = error
        with self._turn:
            self._fault, self._defect, self._done = fault, defect, True
            self._turn.notify_all()

    def _read(self, upstream: Upstream) -> None:
        if self._begin(upstream):
            for chunk in upstream:
                if not self._put(chunk):
                    return

    def _begin(self, upstream: Upstream) -> bool:
        """Publish the head; say whether anyone still wants the body."""
        with self._turn:
            self._upstream, self._content_type = upstream, upstream.content_type
            self._turn.notify_all()
            return not self._closed

    def _put(self, chunk: bytes) -> bool:
        """Queue a chunk as soon as there is room; say whether anyone still wants more."""
        with self._turn:
            self._turn.wait_for(lambda: len(self._chunks) < self._room or self._closed or self._released)
            if self._released:
                self._leftover -= 1
            elif not self._closed:
                self._chunks.append(chunk)
                self._turn.notify_all()
            return not self._closed and self._leftover > 0
