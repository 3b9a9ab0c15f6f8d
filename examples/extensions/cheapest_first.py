"""A strategy of one's own: the cheapest subaccount takes all, until it is busy.

Name this module in the config file, and the strategy where you want it:

    "extensions": ["cheapest_first"],
    "routing": {"strategy": "cheapest-first"}
"""

from collections.abc import Sequence

from routing import Candidate, Endpoint, LoadBalancingStrategy, SelectionContext, register_strategy

PRICES = {"eu": 1.0, "us": 1.2}
"""What a subaccount's tokens cost, relative to one another; one that is not named costs most."""
BUSY = 8
"""Requests in flight at which the next dearer subaccount helps out."""


@register_strategy
class CheapestFirstStrategy(LoadBalancingStrategy):
    """Choose the cheapest candidate that is not busy; if all are, the least busy."""

    def select_endpoint(self, candidates: Sequence[Candidate], _context: SelectionContext | None = None) -> Endpoint:
        """Choose one row; it keeps no counter, so nothing can leak. The context would tell conversations apart."""
        free = [row for row in candidates if row.in_flight < BUSY]
        return min(free or candidates, key=self._cost).endpoint

    def get_name(self) -> str:
        """The name that config files use."""
        return "cheapest-first"

    @staticmethod
    def _cost(row: Candidate) -> tuple[float, int]:
        return PRICES.get(row.endpoint.subaccount, float("inf")), row.in_flight
