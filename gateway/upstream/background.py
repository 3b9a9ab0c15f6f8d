"""Blocking calls in threads of their own, for which others can wait as they wait for a socket."""

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
    """Tell whether the process or the machine may open no more files, which is the fault of no endpoint."""
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}


class Task(Generic[T]):
    """One blocking call in a daemon thread; its descriptor can be read from, for good, once the call is done.

    Any number of threads may wait for it. It begins with `start`; one that nobody starts costs two descriptors until
    it is forgotten. A `Task` that is done costs one.

    Raises `FaultError` when the process may open no more descriptors.
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
        """Whether `result` answers at once."""
        return self._outcome is not None

    def start(self) -> None:
        """Begin; where no thread can be had, that is the result."""
        try:
            self._thread.start()
        except RuntimeError:
            self._finish(partial(_raise, FaultError(_OUT_OF_THREADS)))

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._reader.fileno()

    def result(self) -> T:
        """Give what the call returned or raise what it raised, as soon as it has ended."""
        while self._outcome is None:
            self._reader.recv(1)
        return self._outcome()

    def _run(self) -> None:
        try:
            value = self._call()
        except BaseException as error:  # noqa: BLE001 - not swallowed: it is raised where the result is asked for
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


def result_of(call: Callable[[], T], lifetime: Lifetime) -> T:
    """Make a blocking call in a thread of its own, and wait for it; raises `FaultError` once the request is over."""
    task = Task(call)
    task.start()
    interests = (Interest(task),)
    while not task.done:
        lifetime.wait(interests, lifetime.left())
    return task.result()


def ends_within(task: Task[T], seconds: float) -> bool:
    """Wait for a task at most so many *seconds*; tell whether it is done."""
    Lifetime(math.inf).wait((Interest(task),), seconds)
    return task.done


def _raise(error: BaseException) -> NoReturn:
    """Raise *error*; a fault as an error of its own, since one that is raised again and again grows a history."""
    raise FaultError(error.fault) if isinstance(error, FaultError) else error
