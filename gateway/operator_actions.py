"""Changes that operators make while the proxy runs: drained endpoints, circuits and strategies."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind, invalid
from gateway.endpoint_pool import EndpointPool
from routing.availability import Availability, EndpointState, NoEndpointError
from routing.cooldown import keys_of
from routing.endpoint import Endpoint
from routing.events import Circuit, CircuitChanged, CooldownEnded, PoolsChanged, RoutingEvent, Transition
from routing.load_balancer import LoadBalancer
from routing.model_names import ModelNames
from routing.strategy import STRATEGIES

_log = logging.getLogger("sap_ai_proxy.operations")

DRAIN, RESTORE, OPEN_CIRCUIT, CLOSE_CIRCUIT, STRATEGY = "drain", "restore", "open-circuit", "close-circuit", "strategy"
ACTIONS: Final = (DRAIN, RESTORE, OPEN_CIRCUIT, CLOSE_CIRCUIT, STRATEGY)
_AT_ONCE: Final = frozenset({OPEN_CIRCUIT, CLOSE_CIRCUIT})
"""The actions that take effect once. A process that starts later does not repeat them."""

_DRAINED: Final = "an operator has drained it"


class OperatorActions:
    """Turns requests of operators into changes, and applies the changes of all processes in this one.

    A change is JSON that every process with the same settings can apply. It has `action`, `by` (the caller), and
    `endpoints`, each with subaccount, URL and model. A change of a strategy also has `model` and `strategy`. A strategy
    for a model that is not known here yet is applied once the model is.
    """

    def __init__(self, balancer: LoadBalancer, pool: EndpointPool) -> None:
        self._balancer = balancer
        self._pool = pool
        self._awaited: dict[str, str] = {}
        """The strategies of models that are not known here yet."""

    def change_for(self, body: JSON, by: str) -> JSON:
        """Parse the *body* of a request of the caller *by*, and return the change.

        Raises `FaultError` for an invalid body, and for an endpoint or a model that is not served.
        """
        action = _text(body, "action")
        if action not in ACTIONS:
            raise invalid(f"`action` must be one of {', '.join(ACTIONS)}, not {action!r}.", "action")
        if action == STRATEGY:
            return self._strategy_for(body, by)
        subaccount, deployment = _text(body, "subaccount"), _text(body, "deployment")
        model = _text(body, "model") if body.get("model") is not None else None
        found = [
            each
            for each in self._endpoints()
            if (each.subaccount, each.deployment) == (subaccount, deployment) and model in (None, each.model)
        ]
        if not found:
            what = f" for the model {model}" if model is not None else ""
            raise _not_served(f"The subaccount {subaccount} serves no deployment {deployment}{what}.")
        if action == RESTORE and not any(each.weight or each in self._pool.drained for each in found):
            message = f"The config file gives {subaccount}/{deployment} the weight 0: only a change there restores it."
            raise invalid(message, "deployment")
        return {"action": action, "by": by, "endpoints": [[each.subaccount, each.url, each.model] for each in found]}

    def apply(self, change: JSON, is_new: bool = True) -> None:
        """Apply a change in this process; *is_new* is whether it was made after this process started."""
        action, by = change["action"], change["by"]
        endpoints = [Endpoint(*each) for each in change["endpoints"]]
        if action == STRATEGY:
            self._awaited[change["model"]] = change["strategy"]
            self._use_awaited()
        elif action not in _AT_ONCE:
            for endpoint in endpoints:
                (self._pool.drain if action == DRAIN else self._pool.restore)(endpoint)
        elif is_new:
            self._set_circuits(endpoints, by, Circuit.OPEN if action == OPEN_CIRCUIT else Circuit.CLOSED)

    def explained(self, states: Iterable[EndpointState]) -> list[EndpointState]:
        """Return *states*, with a reason on the endpoints that an operator has drained."""
        by_operator = self._pool.drained
        return [
            replace(each, why=_DRAINED)
            if each.availability is Availability.DRAINED and each.endpoint in by_operator
            else each
            for each in states
        ]

    def listen(self, event: RoutingEvent) -> None:
        """Apply pending strategies when pools change. Subscribe this method to routing events."""
        if isinstance(event, PoolsChanged):
            self._use_awaited()

    def log(self, change: JSON) -> None:
        """Log one line about a change, in the process that received the request."""
        endpoints = [Endpoint(*each) for each in change["endpoints"]]
        if change["action"] == STRATEGY:
            what = f"the strategy of {change['model']} is {change['strategy']}"
        else:
            what = f"{change['action']} {endpoints[0].subaccount}/{endpoints[0].deployment}"
            what += f" for {', '.join(each.model for each in endpoints)}"
        _log.info("%s has changed the routing: %s", change["by"], what)

    def _strategy_for(self, body: JSON, by: str) -> JSON:
        asked, strategy = _text(body, "model"), _text(body, "strategy")
        if strategy not in STRATEGIES:
            raise invalid(f"`strategy` must be one of {', '.join(STRATEGIES)}, not {strategy!r}.", "strategy")
        names = ModelNames(self._balancer.models(), self._balancer.policy.aliases, fallback=False)
        try:
            model = names.resolve(asked).model
        except NoEndpointError as error:
            raise _not_served(f"No deployment serves the model {asked}.") from error
        endpoints = [[each.subaccount, each.url, each.model] for each in self._balancer.endpoints(model)]
        return {"action": STRATEGY, "by": by, "endpoints": endpoints, "model": model, "strategy": strategy}

    def _use_awaited(self) -> None:
        for model in self._awaited.keys() & {*self._balancer.models()}:
            strategy = self._awaited.pop(model, None)
            if strategy is not None:
                self._balancer.use(strategy, model)

    def _set_circuits(self, endpoints: Iterable[Endpoint], by: str, to: Circuit) -> None:
        """Open circuits for their usual time, or close them and end every cooldown of their endpoints."""
        for endpoint in {*endpoints} & {*self._endpoints()}:
            with suppress(KeyError):  # it has left the pool in the meantime
                self._set_circuit(endpoint, by, to)

    def _set_circuit(self, endpoint: Endpoint, by: str, to: Circuit) -> None:
        now, policy = self._balancer.breaker(endpoint).snapshot(), self._balancer.policy.breaker
        if to is Circuit.OPEN:
            seconds = min(policy.timeout * 2.0**now.k, policy.timeout_cap)
            move = Transition(now.circuit, to, f"opened by {by}", seconds, now.k)
        else:
            move = Transition(now.circuit, to, f"closed by {by}")
            for key in keys_of(endpoint):
                self._balancer.apply(CooldownEnded(endpoint, key))
        self._balancer.apply(CircuitChanged(endpoint, move))

    def _endpoints(self) -> list[Endpoint]:
        return [each for model in self._balancer.models() for each in self._balancer.endpoints(model)]


def _text(body: JSON, name: str) -> str:
    """Return a field that must be a string. Raises `FaultError` if it is missing, empty or something else."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(
            f"`{name}` must be a string of at least one character." if name in body else f"`{name}` is missing.", name
        )
    return value


def _not_served(message: str) -> FaultError:
    return FaultError(Fault(FaultKind.NOT_FOUND, message, 404, code="not_found"))
