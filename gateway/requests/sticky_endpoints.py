"""Sticky endpoints: the deployments that keep items of answers, for requests that refer to these items.

Clients get the ids of items unsigned, so their endpoints are stored in a table of the process that answered.
"""

import threading
from collections import OrderedDict

from routing.endpoint import Endpoint

_MOST = 100_000


class StickyEndpoints:
    """The endpoints that keep the latest items, by caller and id of the item.

    ``_lock`` guards the table. If there are more than *most* entries, the oldest is removed.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._endpoints: OrderedDict[tuple[str, str], Endpoint] = OrderedDict()

    def remember(self, caller: str, item: str, endpoint: Endpoint) -> None:
        """Store that *endpoint* made *item* for *caller*."""
        if not item:
            return
        with self._lock:
            self._endpoints[caller, item] = endpoint
            self._endpoints.move_to_end((caller, item))
            if len(self._endpoints) > self._most:
                self._endpoints.popitem(last=False)

    def find(self, caller: str, item: str) -> Endpoint | None:
        """Return the endpoint that made *item* for *caller*; None if it is unknown."""
        with self._lock:
            return self._endpoints.get((caller, item))
