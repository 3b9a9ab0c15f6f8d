"""Where a request goes: which model, which endpoints, in which protocol."""

import copy
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from dialects.core.conversation import JSON
from dialects.registry import DEFAULT_CLIENT
from routing.attempts import Attempts, Countdown, Environment, Lifetime, Plan, described
from routing.availability import MAKER_LEFT, NoEndpointError
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.model_names import How, ModelNames, Successors, Unlisted, with_resolved_names
from routing.policy import Policy
from routing.protocols import ORCHESTRATION, PROTOCOLS, ProtocolHandler, protocol_for
from routing.protocols.registry import ProtocolRegistry
from routing.retry_budget import LEAST_RESERVE, RetryBudget
from routing.strategy import NO_CONTEXT, SelectionContext

_log = logging.getLogger(__name__)
_REMEMBERED = 1_024
"""How many choices of a protocol are kept."""


class Route(NamedTuple):
    """Where to post what: a decision without a lease, so no request is counted."""

    endpoint_url: str
    payload: JSON
    subaccount_name: str
    protocol: ProtocolHandler


class RequestRouter:
    """Decides where a request goes: model by name, endpoint by balancer, protocol by model and client.

    Policy, aliases and retries are the balancer's; a *policy* that is given all the same must be equal to it.
    *unlisted* names the subaccounts of which it is not known yet what runs there, *successors* the models that take the
    place of one that is not deployed. *sleep* waits between attempts;
    *rng* gives numbers from 0 to 1. Holds no lock: what changes are references, each replaced in one step.
    """

    def __init__(
        self,
        balancer: LoadBalancer,
        *,
        policy: Policy | None = None,
        unlisted: Callable[[], Unlisted] = Unlisted,
        successors: Successors = dict,
        protocols: Sequence[ProtocolHandler] = PROTOCOLS,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        if policy is not None and with_resolved_names(policy) != balancer.policy:
            raise ValueError("policy must be the balancer's: give it to the LoadBalancer alone")
        self._balancer = balancer
        self._names = ModelNames.configured(balancer.policy, unlisted, successors)
        self._protocols = tuple(protocols)
        self._registry = ProtocolRegistry()
        self._protocol = lru_cache(_REMEMBERED)(self._find_protocol)
        budget = RetryBudget(balancer.policy.retry, reserve=self._reserve_of, clock=clock)
        self._environment = Environment(balancer, budget, clock, rng, sleep or threading.Event().wait)

    @property
    def balancer(self) -> LoadBalancer:
        """The balancer that leases the endpoints of a model."""
        return self._balancer

    @property
    def names(self) -> ModelNames:
        """The deployed models by name, as of now."""
        deployed = self._balancer.models()
        if deployed != self._names.deployed:
            self._names = self._names.deploying(deployed)
            self._protocol = lru_cache(_REMEMBERED)(self._find_protocol)
        return self._names

    def register_converter(self, pattern: str, protocol: ProtocolHandler) -> None:
        """Ask the models that *pattern* names in *protocol*, before any other rule; of several, the last counts.

        A pattern is any name of a model, or a text with `*`, `?` or `[…]`, such as `future-model-*`, that the
        requested name matches, the deployed one, or the one of what the deployment says it runs. Models that make
        embeddings are asked in protocols for embeddings only. Raises `TypeError` or `ValueError` for what is no
        pattern or no protocol.
        """
        self._registry.register(pattern, protocol)
        self._protocol = lru_cache(_REMEMBERED)(self._find_protocol)

    def protocol(self, model: str, client: str, *, tools_with_reasoning: bool = False) -> ProtocolHandler:
        """Choose how to ask a deployment of a model alone for a client; raises `FaultError` if it cannot be asked."""
        return self._protocol((model,), model, client, tools_with_reasoning)

    def protocol_at(
        self, endpoint: Endpoint, client: str, *, requested: str = "", tools_with_reasoning: bool = False
    ) -> ProtocolHandler:
        """Choose how to ask an endpoint on behalf of a client, by what it runs; raises `FaultError` if it cannot be.

        *requested* is the name that the client used, unless another model answers for it.
        """
        names = (requested, endpoint.model) if requested else (endpoint.model,)
        return self._protocol_at(endpoint, names, client, tools_with_reasoning)

    def attempts(
        self,
        model: str,
        *,
        client: str = DEFAULT_CLIENT,
        sticky: str | None = None,
        context: SelectionContext = NO_CONTEXT,
        tools_with_reasoning: bool = False,
        retry: bool = True,
        lifetime: Lifetime | None = None,
    ) -> Attempts:
        """Begin to answer a request; raises `NoEndpointError` for a model that is not deployed.

        *sticky* is the deployment, or `subaccount/deployment`, that holds what the request continues;
        *context* is what strategies may know of it. *lifetime* is the request's; without one
        it may take what its model's policy allows, from now on.
        """
        resolution = self.names.resolve(model)
        names = (resolution.model,) if resolution.how is How.FALLBACK else (model, resolution.model)

        def protocol(endpoint: Endpoint) -> ProtocolHandler:
            return self._protocol_at(endpoint, names, client, tools_with_reasoning)

        for endpoint in self._balancer.endpoints(resolution.model)[:1]:
            protocol(endpoint)  # what its model cannot be asked at all is refused before anything is leased
        attempts = self._environment.policy.retry.max_attempts if retry else 1
        only = self._sticky_endpoints(resolution.model, sticky) if sticky else ()
        lifetime = lifetime or Countdown(self._environment, resolution.model)
        return Attempts(self._environment, resolution, Plan(protocol, context, attempts, only, lifetime))

    def select(self, model: str) -> Endpoint:
        """Select an endpoint and hold no lease, for whoever calls it on their own; a GPT answers for any other name.

        Raises `NoEndpointError`. Fallbacks and failures are logged.
        """
        try:
            resolution = self.names.resolve(model, catch_all=True)
            endpoint = self._balancer.select(resolution.model)
        except NoEndpointError as error:
            _log.warning("no endpoint is selected: %s", error)
            raise
        if resolution.how is How.FALLBACK:
            _log.warning("%r is not deployed: requests go to %s instead", model, resolution.model)
        return endpoint

    def route(self, payload: JSON, model: str | None = None, stream: bool | None = None) -> Route:
        """Select where to post an OpenAI chat request, and write the body to post there; raises `NoEndpointError`."""
        asked = copy.deepcopy(payload)
        requested = model or str(asked.get("model") or "")
        resolution = self.names.resolve(requested)
        endpoint = self._balancer.select(resolution.model)
        name = "" if resolution.how is How.FALLBACK else requested
        protocol = self.protocol_at(endpoint, DEFAULT_CLIENT, requested=name)
        asked["model"] = endpoint.backend
        if stream is not None:
            asked["stream"] = stream
        streams = bool(asked.get("stream"))
        body = protocol.get_request_converter()(asked)
        url = protocol.build_endpoint_for(endpoint.url, endpoint.backend, body, stream=streams)
        _log.info("route: %r is %s", requested, described(endpoint, protocol))
        return Route(url, body, endpoint.subaccount, protocol)

    def _reserve_of(self, model: str) -> float:
        """How many retries it takes to open the circuit of every endpoint of *model* once."""
        broken = len(self._balancer.endpoints(model))
        return max(LEAST_RESERVE, self._environment.policy.breaker.failure_threshold * broken)

    def _protocol_at(self, endpoint: Endpoint, names: tuple[str, ...], client: str, both: bool) -> ProtocolHandler:
        """Choose a protocol for an endpoint; one that is registered for a model is for its own deployments."""
        return self._protocol(() if endpoint.orchestration else names, endpoint.backend, client, both)

    def _find_protocol(self, names: tuple[str, ...], runs: str, client: str, both: bool) -> ProtocolHandler:
        """Choose a protocol, and keep it until deployments or registered ones change; no *names* mean orchestration."""
        if not names:
            return protocol_for(runs, client, protocols=ORCHESTRATION)
        own = self._registry.find(names, runs, client, self._names.same)
        return own or protocol_for(runs, client, tools_with_reasoning=both, protocols=self._protocols)

    def _sticky_endpoints(self, model: str, sticky: str) -> tuple[Endpoint, ...]:
        """List the endpoints that can continue what *sticky* began."""
        endpoints = self._balancer.endpoints(model)
        makers = tuple(e for e in endpoints if sticky in (e.deployment, f"{e.subaccount}/{e.deployment}"))
        if not makers:
            raise NoEndpointError(MAKER_LEFT)
        return makers
