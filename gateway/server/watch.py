"""The descriptors that an event loop watches, each with the step to take when it is ready."""

import select
import selectors
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

Step = Callable[[], None]

READABLE: Final = getattr(select, "EPOLLIN", 1)
WRITABLE: Final = getattr(select, "EPOLLOUT", 4)


class Poll(Protocol):
    """The methods of `select.epoll` that are used here."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor."""
        ...

    def unregister(self, descriptor: int, /) -> None:
        """Stop watching a descriptor. Raises `OSError` if it is closed."""
        ...

    def poll(self, seconds: float | None, /) -> list[tuple[int, int]]:
        """Wait up to *seconds* for events; return the ready descriptors, each with its events."""
        ...

    def close(self) -> None:
        """Release the resources."""
        ...


class SelectorPoll:
    """A replacement of `select.epoll` for systems other than Linux."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor."""
        self._selector.register(descriptor, selectors.EVENT_WRITE if events == WRITABLE else selectors.EVENT_READ)

    def unregister(self, descriptor: int, /) -> None:
        """Stop watching a descriptor."""
        self._selector.unregister(descriptor)

    def poll(self, seconds: float | None, /) -> list[tuple[int, int]]:
        """Wait up to *seconds* for events; return the ready descriptors, each with its events."""
        return [(key.fd, events) for key, events in self._selector.select(seconds)]

    def close(self) -> None:
        """Release the resources."""
        self._selector.close()


class Watch:
    """Watches many descriptors at once, for one thread.

    It uses epoll directly, because mostly one chunk arrives at a time, and then `selectors` takes as long as the system
    call.
    """

    def __init__(self, poll: Poll | None = None) -> None:
        self._poll: Poll = poll or getattr(select, "epoll", SelectorPoll)()
        self._steps: dict[int, Step] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, descriptor: int, events: int, step: Step) -> None:
        """Watch a descriptor. Raises `ValueError` if it is watched already, and `OSError` if it cannot be watched."""
        if descriptor in self._steps:
            raise ValueError("a descriptor that is watched already")
        self._poll.register(descriptor, events)
        self._steps[descriptor] = step

    def remove(self, descriptor: int) -> None:
        """Stop watching a descriptor, which may be closed already."""
        del self._steps[descriptor]
        with suppress(OSError):
            self._poll.unregister(descriptor)

    def ready(self, seconds: float | None) -> list[Step]:
        """Wait up to *seconds* for events; return the steps of the ready descriptors."""
        steps = self._steps
        return [steps[descriptor] for descriptor, _ in self._poll.poll(seconds) if descriptor in steps]

    def close(self) -> None:
        """Stop watching all descriptors."""
        self._poll.close()
