"""What the log says once it is known what is served: one line, with the next step where something is amiss."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from dialects.core.conversation import JSON
from gateway.model_families import by_family, enumerated, some
from gateway.readiness import NO_DEPLOYMENT, NO_TOKEN, NO_TOKEN_YET, WELL, without_deployments
from routing.availability import Availability

_log = logging.getLogger("sap_ai_proxy.server")
_SETTLING: Final = 4.0
"""Seconds from the first worker that serves until deployments were listed and workers have said what they know."""
_LONGEST: Final = 15.0
"""Seconds after which what is not known by then is amiss."""
_MOST_NAMED: Final = 2
"""How many models of a family, and deployments that do not run, are named."""
_GONE: Final = Availability.GONE.value


class StartReport:
    """Says in one line of the log what is served, and what of it is amiss, once that is known.

    *state* gives what all workers know, as `gateway.router_state` describes it. Nothing here waits: `look` is called
    now and then.
    """

    def __init__(self, state: Callable[[], JSON]) -> None:
        self._state = state
        self._since: float | None = None

    def look(self, now: float, *, serving: bool) -> bool:
        """See whether it is known by *now*, in seconds that only grow; tell whether it has been said."""
        if self._since is None and serving:
            self._since = now
        if self._since is None or now < self._since + _SETTLING:
            return False
        state = self._state()
        subaccounts = state["subaccounts"]
        if now < self._since + _LONGEST and (not subaccounts or NO_TOKEN_YET in subaccounts.values()):
            return False
        if subaccounts:  # else no worker could tell any other process what it knows
            self._say(subaccounts, state["endpoints"])
        return True

    def _say(self, subaccounts: Mapping[str, str], endpoints: Iterable[Mapping[str, Any]]) -> None:
        known = {(each["subaccount"], each["deployment"], each["model"]): each for each in endpoints}
        shut = {name for name, said in subaccounts.items() if said.startswith(NO_TOKEN)}
        served_by = [each for each in known.values() if each["standing"] != _GONE and each["subaccount"] not in shut]
        models = {each["model"] for each in served_by}
        amiss = [f"{name}: {said.rstrip('.')}" for name, said in subaccounts.items() if said != WELL]
        empty = without_deployments(subaccounts, {each["subaccount"] for each in known.values()})
        amiss += [f"{enumerated(empty)}: {NO_DEPLOYMENT}"] if empty else []
        gone = [
            f"{each['model']} ({each['subaccount']}/{each['deployment']}): {each['why'] or 'it does not run'}"
            for each in known.values()
            if each["standing"] == _GONE
        ]
        amiss += [some(gone, _MOST_NAMED)] if gone else []
        if models:
            many = "1 model is" if len(models) == 1 else f"{len(models)} models are"
            places = enumerated(dict.fromkeys(each["subaccount"] for each in served_by))
            served = f"{many} served from {places} ({'; '.join(by_family(models, _MOST_NAMED))})"
        else:
            served = "no model is served"
        if amiss:
            _log.warning("%s. Problems: %s. Run `sap-ai-proxy check` for advice", served, "; ".join(amiss))
        else:
            _log.info("%s", served)
