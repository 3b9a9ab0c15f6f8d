"""The models that orchestration does not stream, from the catalogue and from its refusals."""

import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from dialects.core.faults import Fault
from gateway.requests.lifetime import Clock
from routing.endpoint import Endpoint

_REFUSED = re.compile(r"stream(?:ing)? is not supported|does not support stream", re.IGNORECASE)
_FOR: Final = 6 * 3600.0
"""Seconds for which a refusal is remembered, because the service adds models that stream."""


class UnstreamedModels:
    """The endpoints of orchestration that give only whole answers for their model.

    *listed* returns whether the catalogue says so of an endpoint. What the catalogue does not know is learnt from the
    first refusal of each endpoint. Thread-safe without a lock: the table is replaced in one step. If two threads learn
    at once, one entry may be lost and is learnt again.
    """

    def __init__(self, listed: Callable[[Endpoint], bool] = lambda _: False, clock: Clock = time.monotonic) -> None:
        self._listed = listed
        self._clock = clock
        self._until: Mapping[Endpoint, float] = MappingProxyType({})

    def __contains__(self, endpoint: Endpoint) -> bool:
        return self._until.get(endpoint, 0.0) > self._clock() or self._listed(endpoint)

    def learn(self, endpoint: Endpoint, fault: Fault) -> bool:
        """Remember *endpoint* if *fault* is its refusal to stream; return whether it is."""
        if fault.status != 400 or not _REFUSED.search(fault.message):
            return False
        now = self._clock()
        known = {each: until for each, until in self._until.items() if until > now}
        self._until = {**known, endpoint: now + _FOR}
        return True
