"""Readiness: whether some model can be served, judged by what is known already. A readiness check sends no request."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from dialects.core.conversation import JSON
from dialects.core.faults import FaultError
from gateway.requests.lifetime import Interest, Lifetime
from gateway.upstream.tokens import TokenSource, TokenState
from routing.availability import Availability, EndpointState

_EVERY = 15.0
"""Seconds between two attempts to get a token for a subaccount that has none."""
WELL = "ok"
"""The status of a subaccount without problems."""
NO_TOKEN = "no token"  # noqa: S105 - words, not a password
"""The status of a subaccount for which no token could be obtained."""
NO_TOKEN_YET = f"{NO_TOKEN} yet"
"""The status of a subaccount whose first token request has not been answered yet."""
NO_DEPLOYMENT = "no deployment is known"
"""The status of a subaccount that has a token but no known deployment."""
READY, NOT_READY, DRAINING = "ready", "not ready", "draining"
"""The states of the proxy: it can serve some model, it can serve none, or it is about to stop."""
_UNAVAILABLE = frozenset({Availability.OPEN, Availability.GONE, Availability.DRAINED})


def without_deployments(subaccounts: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Return the *subaccounts* without problems that are not among those with *known* deployments."""
    return [name for name, said in subaccounts.items() if said == WELL and name not in known]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the proxy is ready, and the status of each subaccount. The texts contain no addresses and no secrets."""

    ready: bool
    subaccounts: Mapping[str, str]

    @property
    def body(self) -> JSON:
        """The body of the response to a readiness check."""
        return {"status": READY if self.ready else NOT_READY, "subaccounts": dict(self.subaccounts)}


class ReadinessProbe:
    """Determines whether some model can be served: an endpoint is available, and its subaccount has a token.

    *states* returns the state of every endpoint, and *unlisted* returns the subaccounts whose deployments could not be
    listed yet. A missing token is requested in the background, so that an idle proxy keeps its tokens. `_lock` guards
    the times of the latest requests for tokens.
    """

    def __init__(
        self,
        tokens: Mapping[str, TokenSource],
        states: Callable[[], Collection[EndpointState]],
        unlisted: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._states = states
        self._unlisted = unlisted
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[str, float] = {}

    def await_tokens(self, seconds: float) -> None:
        """Request all tokens, and wait at most *seconds* until the first one is there or all have failed."""
        lifetime = Lifetime(seconds, clock=self._clock)
        pending = []
        for source in self._tokens.values():
            with suppress(FaultError):
                found = source.request()
                if isinstance(found, str):
                    return
                pending.append(Interest(found))
        with suppress(FaultError):
            while pending and not any(source.state.good for source in self._tokens.values()):
                came = lifetime.wait(tuple(pending), seconds)
                pending = [interest for interest in pending if interest not in came]

    def look(self) -> Readiness:
        """Return the readiness as known now."""
        unlisted = self._unlisted()
        served = {each.endpoint.subaccount for each in self._states() if each.availability not in _UNAVAILABLE}
        good, status = set(), {}
        for name, source in self._tokens.items():
            state = self._known(name, source)
            if state.good:
                good.add(name)
            status[name] = _status(state, name in unlisted)
        return Readiness(bool(good & served), status)

    def _known(self, name: str, source: TokenSource) -> TokenState:
        """Return the state of a token, and start to renew it if it is due."""
        state = source.state
        if (state.good and state.fault is None) or self._is_due(name):
            with suppress(FaultError):
                source.request()
        return state

    def _is_due(self, name: str) -> bool:
        now = self._clock()
        with self._lock:
            due = now - self._asked.get(name, -_EVERY) >= _EVERY
            if due:
                self._asked[name] = now
        return due


def _status(state: TokenState, unlisted: bool) -> str:
    """Return the status of a subaccount as a text."""
    if not state.good:
        return f"{NO_TOKEN}: {state.fault.message}" if state.fault else NO_TOKEN_YET
    return "its deployments could not be listed yet" if unlisted else WELL
