"""Blocking calls in background threads, with a descriptor that callers can wait for like a socket."""

import errno
import math
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, NoReturn, TypeVar

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime

T = TypeVar("T")

OUT_OF_DESCRIPTORS: Final = Fault(
    FaultKind.UNAVAILABLE, "The proxy has run out of file descriptors; try again in a moment.", retry_after=1.0
)
_OUT_OF_THREADS: Final = Fault(
    FaultKind.UNAVAILABLE, "The proxy cannot start another thread; try again in a moment.", retry_after=1.0
)


def is_out_of_descriptors(error: BaseException) -> bool:
    """Return whether the process or the machine can open no more files, which is not a failure of an endpoint."""
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}


class Task(Generic[T]):
    """One blocking call in a daemon thread. Its descriptor becomes readable, and stays so, once the call is done.

    Any number of threads may wait for it. `start` begins the call. A task uses two descriptors until it is done, then
    one until it is garbage-collected.

    Raises `FaultError` if the process can open no more descriptors.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        try:
            self._reader, self._writer = socket.socketpair()
        except OSError as error:
            if is_out_of_descriptors(error):
                raise FaultError(OUT_OF_DESCRIPTORS) from None
            raise
        self._call = call
        self._outcome: Callable[[], T] | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    @property
    def done(self) -> bool:
        """Whether the call has ended, so that `result` returns at once."""
        return self._outcome is not None

    def start(self) -> None:
        """Start the call. If no thread can be started, `result` raises a `FaultError`."""
        try:
            self._thread.start()
        except RuntimeError:
            self._finish(partial(_raise, FaultError(_OUT_OF_THREADS)))

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reader.fileno()

    def result(self) -> T:
        """Wait for the end of the call; return what it returned or raise what it raised."""
        while self._outcome is None:
            self._reader.recv(1)
        return self._outcome()

    def _run(self) -> None:
        try:
            value = self._call()
        except BaseException as error:  # noqa: BLE001 - not swallowed: it is raised by `result`
            self._finish(partial(_raise, error))
        else:
            self._finish(lambda: value)

    def _finish(self, outcome: Callable[[], T]) -> None:
        self._outcome = outcome
        self._writer.close()

    def __del__(self) -> None:
        for name in ("_reader", "_writer"):
            if (end := getattr(self, name, None)) is not None:
                end.close()


def ends_within(task: Task[T], seconds: float) -> bool:
    """Wait for a task for at most so many *seconds*; return whether it is done."""
    Lifetime(math.inf).wait((Interest(task),), seconds)
    return task.done


def _raise(error: BaseException) -> NoReturn:
    """Raise *error*. A `FaultError` is raised as a copy, because a repeatedly raised one grows its traceback."""
    raise FaultError(error.fault) if isinstance(error, FaultError) else error
