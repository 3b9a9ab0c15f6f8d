"""Which models orchestration does not stream: by the catalogue, and by its own word."""

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
"""Seconds for which a refusal is remembered: the service's list of models that stream grows."""


class UnstreamedModels:
    """The models that an orchestration deployment answers in one piece only.

    *listed* says of an endpoint whether the catalogue marks its model so; what the catalogue leaves out the service
    says itself, once for each endpoint. Holds no lock: the table is replaced in one step, and of two threads that
    learn at the same moment one may have to learn again.
    """

    def __init__(self, listed: Callable[[Endpoint], bool] = lambda _: False, clock: Clock = time.monotonic) -> None:
        self._listed = listed
        self._clock = clock
        self._until: Mapping[Endpoint, float] = MappingProxyType({})

    def __contains__(self, endpoint: Endpoint) -> bool:
        return self._until.get(endpoint, 0.0) > self._clock() or self._listed(endpoint)

    def learn(self, endpoint: Endpoint, fault: Fault) -> bool:
        """Remember what *fault* says of a stream from *endpoint*; False if it says something else."""
        if fault.status != 400 or not _REFUSED.search(fault.message):
            return False
        now = self._clock()
        known = {each: until for each, until in self._until.items() if until > now}
        self._until = {**known, endpoint: now + _FOR}
        return True
