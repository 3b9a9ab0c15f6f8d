"""What a listing of deployments says about endpoints, and when it is not believed."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from routing.availability import EndpointState
from routing.endpoint import Endpoint
from routing.policy import Policy

if TYPE_CHECKING:
    from routing.health import CircuitBreaker

log = logging.getLogger(__name__)

_ROUNDS = 3
"""For how many listings an empty one in a row is taken for a mistake, and an answer outweighs what a list says."""
_NOT_RUNNING = frozenset({"PENDING", "COMPLETED", "DEAD", "STOPPING", "STOPPED", "DELETED"})
"""What a list must say of a deployment for it to be known not to run; silence and anything else says nothing."""


def is_known_not_to_run(status: str) -> bool:
    """Whether a deployment's *status*, as listed, is a statement and no gap in the list."""
    return status.upper() in _NOT_RUNNING


def answered_lately(state: EndpointState, policy: Policy) -> bool:
    """Whether an endpoint answered so lately that no gap in a list is believed."""
    return state.answered <= _ROUNDS * policy.discovery_interval


class Watched(Protocol):
    """What watching over endpoints needs of a balancer."""

    def snapshot(self) -> Sequence[EndpointState]:
        """Return the state of every endpoint."""
        ...

    def breaker(self, endpoint: Endpoint) -> "CircuitBreaker":
        """Return the breaker that guards *endpoint*; a `KeyError` if it has left."""
        ...


def breaker_of(balancer: Watched, endpoint: Endpoint) -> "CircuitBreaker | None":
    """Return the breaker that guards *endpoint*; None if it has left meanwhile."""
    try:
        return balancer.breaker(endpoint)
    except KeyError:
        return None


class ListingReview:
    """Lists the deployments of a subaccount: ejects what does not run any more, readmits what runs again.

    Evidence outranks lists: an endpoint that answered lately is not ejected because a list lacks it, and an empty list
    is believed the fourth time in a row. One thread at a time looks at a subaccount.
    """

    def __init__(self, balancer: Watched, list_running: Callable[[str], Mapping[str, str]], policy: Policy) -> None:
        self._balancer = balancer
        self._list_running = list_running
        self._policy = policy
        self._empty: dict[str, int] = {}
        """How many listings of a subaccount were empty, one after another."""

    def look(self, subaccount: str) -> None:
        """List the deployments of a subaccount, and act on it."""
        states = [state for state in self._balancer.snapshot() if state.endpoint.subaccount == subaccount]
        try:
            found = self._list_running(subaccount)
        except Exception as error:  # noqa: BLE001 - whatever a listing raises, it says nothing about deployments
            log.warning("cannot list the deployments of %s: %s", subaccount, type(error).__name__)
            return
        if not self._is_mistaken(subaccount, found):
            for state in states:
                self._compare(state, found.get(state.endpoint.deployment, "not found"))

    def _is_mistaken(self, subaccount: str, found: Mapping[str, str]) -> bool:
        """Whether an empty list is not believed yet; it is only asked of subaccounts that have endpoints."""
        empty = self._empty[subaccount] = 0 if found else self._empty.get(subaccount, 0) + 1
        if 0 < empty <= _ROUNDS:
            log.warning("the list of deployments of %s is empty (%d of %d): not believed", subaccount, empty, _ROUNDS)
        return 0 < empty <= _ROUNDS

    def _compare(self, state: EndpointState, status: str) -> None:
        breaker = breaker_of(self._balancer, state.endpoint)
        if breaker is None:
            return
        if status.upper() == "RUNNING":
            breaker.readmit()
        elif is_known_not_to_run(status):
            breaker.eject(f"the deployment's status is {status}")
        elif not answered_lately(state, self._policy):
            # Until after the next listing, so that callers can be told when to come back.
            breaker.eject(f"the deployment's status is {status}", seconds=2 * self._policy.discovery_interval)
