"""Runs calls at the same time, without delaying a command that is stopped."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(call: Callable[[T], R], items: Iterable[T], at_once: int) -> list[R]:
    """Call for each item, *at_once* of them at the same time, and give the results in the order of the items.

    Raises what a call raises, the first in that order. An interrupt ends the wait at once, and nothing waits for the
    calls that have begun, not even the end of the process: they are made in daemon threads.
    """
    results: list[Future[R]] = []
    pending = SimpleQueue[tuple[Future[R], T]]()
    for item in items:
        results.append(Future())
        pending.put((results[-1], item))
    stopped = Event()

    def work() -> None:
        with suppress(Empty):
            while not stopped.is_set():
                result, item = pending.get_nowait()
                try:
                    result.set_result(call(item))
                except BaseException as error:  # noqa: BLE001 - not swallowed: it is raised where the result is asked for
                    result.set_exception(error)

    for _ in range(min(at_once, len(results))):
        Thread(target=work, name="question", daemon=True).start()
    try:
        return [each.result() for each in results]
    finally:
        stopped.set()
