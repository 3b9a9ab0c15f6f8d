"""The descriptors that a loop waits for, each with the step to take when it is ready."""

import select
import selectors
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

Step = Callable[[], None]

READABLE: Final = getattr(select, "EPOLLIN", 1)
WRITABLE: Final = getattr(select, "EPOLLOUT", 4)


class Poll(Protocol):
    """As much of `select.epoll` as is needed."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Wait for a descriptor."""
        ...

    def unregister(self, descriptor: int, /) -> None:
        """Wait for it no more; raises `OSError` if it is closed."""
        ...

    def poll(self, seconds: float | None, /) -> list[tuple[int, int]]:
        """Wait until something is ready, at most so many *seconds*; give descriptors with what happened."""
        ...

    def close(self) -> None:
        """Give back what was taken for it."""
        ...


class SelectorPoll:
    """`select.epoll` where there is none, which is anywhere but on Linux."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, descriptor: int, events: int, /) -> None:
        """Wait for a descriptor."""
        self._selector.register(descriptor, selectors.EVENT_WRITE if events == WRITABLE else selectors.EVENT_READ)

    def unregister(self, descriptor: int, /) -> None:
        """Wait for it no more."""
        self._selector.unregister(descriptor)

    def poll(self, seconds: float | None, /) -> list[tuple[int, int]]:
        """Wait until something is ready, at most so many *seconds*; give descriptors with what happened."""
        return [(key.fd, events) for key, events in self._selector.select(seconds)]

    def close(self) -> None:
        """Give back what was taken for it."""
        self._selector.close()


class Watch:
    """Waits for many descriptors at once; one thread uses it.

    It asks the operating system itself: for the one chunk that mostly arrives at a time, `selectors` costs as much as
    the system.
    """

    def __init__(self, poll: Poll | None = None) -> None:
        self._poll: Poll = poll or getattr(select, "epoll", SelectorPoll)()
        self._steps: dict[int, Step] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, descriptor: int, events: int, step: Step) -> None:
        """Watch a descriptor; raises `ValueError` if it is watched, and `OSError` if it cannot be."""
        if descriptor in self._steps:
            raise ValueError("a descriptor that is watched already")
        self._poll.register(descriptor, events)
        self._steps[descriptor] = step

    def remove(self, descriptor: int) -> None:
        """Watch a descriptor no more; it may be closed already."""
        del self._steps[descriptor]
        with suppress(OSError):
            self._poll.unregister(descriptor)

    def ready(self, seconds: float | None) -> list[Step]:
        """Wait until something is ready, at most so many *seconds*; give the steps to take."""
        steps = self._steps
        return [steps[descriptor] for descriptor, _ in self._poll.poll(seconds) if descriptor in steps]

    def close(self) -> None:
        """Watch nothing any more."""
        self._poll.close()
