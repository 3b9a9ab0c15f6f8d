"""Which deployment made which answer, for requests that go on from one."""

import threading
from collections import OrderedDict

from routing.strategy import Endpoint

_MOST = 10_000


class Pins:
    """The endpoints of the latest answers that backends keep, by the answers' ids.

    ``_lock`` guards the table; the oldest entry leaves when *most* are there.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._endpoints: OrderedDict[str, Endpoint] = OrderedDict()

    def remember(self, answer: str, endpoint: Endpoint) -> None:
        """Note that *endpoint* made *answer*."""
        if not answer:
            return
        with self._lock:
            self._endpoints[answer] = endpoint
            self._endpoints.move_to_end(answer)
            if len(self._endpoints) > self._most:
                self._endpoints.popitem(last=False)

    def find(self, answer: str) -> Endpoint | None:
        """Say who made *answer*, if that is still known."""
        with self._lock:
            return self._endpoints.get(answer)

    def forget(self, answer: str) -> None:
        """Note that *answer* is no more."""
        with self._lock:
            self._endpoints.pop(answer, None)
