"""Which deployment keeps what was made for whom, for requests that go on from it.

What one caller's answers are called is nothing to any other caller.
"""

import threading
from collections import OrderedDict

from routing.endpoint import Endpoint

_MOST = 10_000


class StickyEndpoints:
    """The endpoints of the latest things of one kind that backends keep, by caller and by what each is called.

    ``_lock`` guards the table; the oldest entry leaves when *most* are there.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._endpoints: OrderedDict[tuple[str, str], Endpoint] = OrderedDict()

    def remember(self, caller: str, answer: str, endpoint: Endpoint) -> None:
        """Note that *endpoint* made *answer* for *caller*."""
        if not answer:
            return
        with self._lock:
            self._endpoints[caller, answer] = endpoint
            self._endpoints.move_to_end((caller, answer))
            if len(self._endpoints) > self._most:
                self._endpoints.popitem(last=False)

    def find(self, caller: str, answer: str) -> Endpoint | None:
        """Say who made *answer*, if that is still known."""
        with self._lock:
            return self._endpoints.get((caller, answer))

    def forget(self, caller: str, answer: str) -> None:
        """Note that *answer* is no more."""
        with self._lock:
            self._endpoints.pop((caller, answer), None)
