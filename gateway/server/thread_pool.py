"""A pool of threads that start when there is work, and end when they have been idle for a while."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

_log = logging.getLogger("sap_ai_proxy.server")
_PAUSE: Final = 0.2
"""Seconds until another attempt to start a thread, after one has failed."""

Task = Callable[[], None]


class ThreadPool:
    """Runs each task in a thread of its own while there are fewer than *most* threads. Later tasks are queued.

    The thread that became idle last is used first, so that superfluous ones end after *idle_seconds* without a task. A
    separate thread starts the others, because starting one blocks until it has run first. `submit` therefore never
    blocks. The lock guards the two collections and the count. Nothing is run, started or waited for under it.
    """

    def __init__(self, most: int, idle_seconds: float = 10.0) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Task]] = []
        self._waiting: deque[Task] = deque()
        self._size = 0
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._starter = threading.Thread(target=self._start_wanted, name="starter", daemon=True)
        self._starter.start()

    @property
    def size(self) -> int:
        """The number of threads, busy or idle."""
        return self._size

    def submit(self, task: Task) -> None:
        """Queue *task* to run as soon as possible."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
            if inbox is None:
                self._waiting.append(task)
                is_wanted = self._size < self._most
        if inbox is not None:
            inbox.put(task)
        elif is_wanted:
            self._wanted.put(True)

    def close(self) -> None:
        """Start no more threads."""
        self._wanted.put(False)

    def _start_wanted(self) -> None:
        """Start threads on request. If the system refuses one, try again after a pause."""
        while self._wanted.get():
            with self._lock:
                if not self._waiting or self._size >= self._most:
                    continue
                self._size += 1
            try:
                threading.Thread(target=self._run, name="request", daemon=True).start()
            except RuntimeError as error:
                with self._lock:
                    self._size -= 1
                _log.error("cannot start a thread: %s", error)
                time.sleep(_PAUSE)
                self._wanted.put(True)

    def _run(self) -> None:
        inbox: SimpleQueue[Task] = SimpleQueue()
        while (task := self._next(inbox)) is not None:
            task()

    def _next(self, inbox: "SimpleQueue[Task]") -> Task | None:
        """Wait for a task; return None after so long an idle time that the thread may end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(inbox)
        try:
            return inbox.get(timeout=self._idle_seconds)
        except Empty:
            pass
        with self._lock:
            if inbox in self._idle:
                self._idle.remove(inbox)
                self._size -= 1
                return None
        # `submit` has already taken the inbox, so its task will arrive.
        return inbox.get()
