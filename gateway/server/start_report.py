"""The log line about the served models after a start. If there are problems, it says what to do next."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from dialects.core.conversation import JSON
from gateway.model_families import by_family, enumerated, some
from gateway.readiness import NO_DEPLOYMENT, NO_TOKEN, NO_TOKEN_YET, WELL, without_deployments
from routing.availability import Availability

_log = logging.getLogger("sap_ai_proxy.server")
_SETTLING: Final = 4.0
"""Seconds after the first worker serves in which deployments are listed and workers publish their states."""
_LONGEST: Final = 15.0
"""Seconds after which a missing token counts as a problem."""
_MOST_NAMED: Final = 2
"""The number of models of a family, and of stopped deployments, that are named."""
_GONE: Final = Availability.GONE.value


class StartReport:
    """Logs one line about the served models and about problems, once they are known.

    *state* returns the state of all workers, as `gateway.router_state` describes it. Nothing here blocks: `look` is
    called at intervals.
    """

    def __init__(self, state: Callable[[], JSON]) -> None:
        self._state = state
        self._since: float | None = None

    def look(self, now: float, *, serving: bool) -> bool:
        """Log the line if the state is known at *now*, in monotonic seconds; return whether it was logged."""
        if self._since is None and serving:
            self._since = now
        if self._since is None or now < self._since + _SETTLING:
            return False
        state = self._state()
        subaccounts = state["subaccounts"]
        if now < self._since + _LONGEST and (not subaccounts or NO_TOKEN_YET in subaccounts.values()):
            return False
        if subaccounts:  # otherwise the workers cannot publish their states
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
