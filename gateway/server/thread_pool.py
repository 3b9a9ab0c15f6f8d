"""Threads that are started when there is work, and end when there has been none for a while."""

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

Task = Callable[[], None]


class ThreadPool:
    """Runs each task in a thread of its own, as long as there are fewer than *most*; later ones take turns.

    The thread that was used last is used next, so that those which are not needed end: after *idle_seconds* without
    a task. The lock guards the two collections and the count; nothing is run or waited for under it.
    """

    def __init__(self, most: int, idle_seconds: float = 10.0) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Task]] = []
        self._waiting: deque[Task] = deque()
        self._size = 0

    @property
    def size(self) -> int:
        """The number of threads there are, busy or idle."""
        return self._size

    def submit(self, task: Task) -> None:
        """Run *task* soon; raises `RuntimeError` if there is no thread and none can be started."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
            start = inbox is None and self._size < self._most
            if start:
                self._size += 1
            elif inbox is None:
                self._waiting.append(task)
        if inbox is not None:
            inbox.put(task)
        elif start:
            self._start(task)

    def _start(self, task: Task) -> None:
        """Start a thread; where the system has no more of them, the task waits for one that exists."""
        try:
            threading.Thread(target=self._run, args=(task,), name="request", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._size -= 1
                others = self._size
                if others:
                    self._waiting.append(task)
            if not others:
                raise

    def _run(self, task: Task) -> None:
        inbox: SimpleQueue[Task] = SimpleQueue()
        following: Task | None = task
        while following is not None:
            following()
            following = self._next(inbox)

    def _next(self, inbox: "SimpleQueue[Task]") -> Task | None:
        """Wait for a task; None when there was none for so long that the thread may end."""
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
        # A task is on its way: its sender has taken the inbox already.
        return inbox.get()
