"""Which deployment keeps the items of which answers, for requests that refer to them.

Clients get the ids of items as they are: what is known of them stands in a table of the process that answered.
"""

import threading
from collections import OrderedDict

from routing.endpoint import Endpoint

_MOST = 100_000


class StickyEndpoints:
    """The endpoints of the latest items that backends keep, by caller and by their ids.

    ``_lock`` guards the table; the oldest entry leaves when *most* are there.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._endpoints: OrderedDict[tuple[str, str], Endpoint] = OrderedDict()

    def remember(self, caller: str, item: str, endpoint: Endpoint) -> None:
        """Note that *endpoint* made *item* for *caller*."""
        if not item:
            return
        with self._lock:
            self._endpoints[caller, item] = endpoint
            self._endpoints.move_to_end((caller, item))
            if len(self._endpoints) > self._most:
                self._endpoints.popitem(last=False)

    def find(self, caller: str, item: str) -> Endpoint | None:
        """Say who made *item*, if that is still known."""
        with self._lock:
            return self._endpoints.get((caller, item))
