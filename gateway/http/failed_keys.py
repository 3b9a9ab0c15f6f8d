"""Counts of wrong keys by client address. An address that sends too many must wait."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from gateway.http.client_address import Address

_log = logging.getLogger("sap_ai_proxy")

TOO_MANY: Final = "Too many wrong API keys have come from this address. Wait a minute. A valid key is still accepted."
MOST_FAILURES: Final = 10
"""The maximum number of wrong keys that an address may send within one period."""
SECONDS: Final = 60.0
"""The length of a period in seconds. It starts with the first wrong key."""
_MOST_ADDRESSES: Final = 4096
"""The maximum number of addresses that are remembered. The oldest are forgotten first."""
_PREFIX: Final = 64
"""The number of leading bits that identify a client with an IPv6 address, since one client may use all the others."""


class FailedKeys:
    """Counts the wrong keys of each address, and limits them.

    `_lock` guards the periods. Nothing is logged under it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._periods: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """For each address, the end of its period and the number of wrong keys in it. The latest period is last."""

    def __len__(self) -> int:
        """Return the number of addresses that are remembered."""
        return len(self._periods)

    def record(self, address: Address | None, keys: int = 1) -> float | None:
        """Count *keys* wrong keys of an address; return the seconds that it must wait, or None if it need not."""
        source, now = _source(address), self._clock()
        with self._lock:
            end, failures = self._periods.get(source, (0.0, 0))
            if source not in self._periods or end <= now:
                end, failures = now + SECONDS, 0
                self._periods.pop(source, None)
            self._periods[source] = end, failures + keys
            while len(self._periods) > _MOST_ADDRESSES:
                self._periods.popitem(last=False)
        if failures < MOST_FAILURES <= failures + keys:
            _log.warning("%d wrong keys from %s within %g s: further ones get a 429", MOST_FAILURES, source, SECONDS)
        return end - now if failures >= MOST_FAILURES else None


def _source(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _PREFIX), strict=False))
    return "an unknown address" if address is None else str(address)
