"""The router, which decides on the model, the endpoints and the protocol of a request."""

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
"""The number of protocol choices that are cached."""


class Route(NamedTuple):
    """A routing decision without a lease: the URL, the body, the subaccount and the protocol."""

    endpoint_url: str
    payload: JSON
    subaccount_name: str
    protocol: ProtocolHandler


class RequestRouter:
    """Decides where a request goes: model by name, endpoint by balancer, protocol by model and client.

    The policy is that of the balancer; a *policy* that is given must be equal to it. *unlisted* returns the subaccounts
    whose deployments have not been listed yet. *successors* returns the models that replace one that is not deployed.
    *sleep* pauses between attempts. *rng* returns random numbers from 0 to 1. Thread-safe without a lock: only
    references change, each in one step.
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
        """The rules that find a deployed model by its name, for the models that are deployed now."""
        deployed = self._balancer.models()
        if deployed != self._names.deployed:
            self._names = self._names.deploying(deployed)
            self._protocol = lru_cache(_REMEMBERED)(self._find_protocol)
        return self._names

    def register_converter(self, pattern: str, protocol: ProtocolHandler) -> None:
        """Use *protocol* for the models that match *pattern*, before any other rule; the last registration wins.

        A pattern is any name of a model, or a text with `*`, `?` or `[…]`, such as `future-model-*`. It is compared
        with the requested name, the deployed name and the name that the deployment reports to run. A protocol for
        embeddings is used for embedding models only, and no other protocol is used for those. Raises `TypeError` or
        `ValueError` if *pattern* or *protocol* is not valid.
        """
        self._registry.register(pattern, protocol)
        self._protocol = lru_cache(_REMEMBERED)(self._find_protocol)

    def protocol(self, model: str, client: str, *, tools_with_reasoning: bool = False) -> ProtocolHandler:
        """Return the protocol for a deployment of *model* and a client; raises `FaultError` if there is none."""
        return self._protocol((model,), model, client, tools_with_reasoning)

    def protocol_at(
        self, endpoint: Endpoint, client: str, *, requested: str = "", tools_with_reasoning: bool = False
    ) -> ProtocolHandler:
        """Return the protocol for an endpoint and a client; raises `FaultError` if there is none.

        *requested* is the name that the client used, or empty if a fallback serves the request.
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
        """Return the attempts at a request; raises `NoEndpointError` if *model* is not deployed.

        *client* is the dialect of the client. *sticky* is the `deployment` or `subaccount/deployment` whose answer the
        request continues. *context* is for the strategy. *lifetime* is the time limit of the request; without it, the
        limit of the model's policy applies from now on.
        """
        resolution = self.names.resolve(model)
        names = (resolution.model,) if resolution.how is How.FALLBACK else (model, resolution.model)

        def protocol(endpoint: Endpoint) -> ProtocolHandler:
            return self._protocol_at(endpoint, names, client, tools_with_reasoning)

        for endpoint in self._balancer.endpoints(resolution.model)[:1]:
            protocol(endpoint)  # raises before a lease if no protocol fits
        attempts = self._environment.policy.retry.max_attempts if retry else 1
        only = self._sticky_endpoints(resolution.model, sticky) if sticky else ()
        lifetime = lifetime or Countdown(self._environment, resolution.model)
        return Attempts(self._environment, resolution, Plan(protocol, context, attempts, only, lifetime))

    def select(self, model: str) -> Endpoint:
        """Select an endpoint without a lease, for callers that send the request themselves.

        A name without a known family has the fallbacks of GPT. Raises `NoEndpointError`. Logs fallbacks and errors.
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
        """Select an endpoint for an OpenAI chat request, and render the body to post; raises `NoEndpointError`."""
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
        """Return the number of retries that it takes to open the circuit of every endpoint of *model*."""
        broken = len(self._balancer.endpoints(model))
        return max(LEAST_RESERVE, self._environment.policy.breaker.failure_threshold * broken)

    def _protocol_at(self, endpoint: Endpoint, names: tuple[str, ...], client: str, both: bool) -> ProtocolHandler:
        """Return the protocol for an endpoint; a registered one does not apply to orchestration deployments."""
        return self._protocol(() if endpoint.orchestration else names, endpoint.backend, client, both)

    def _find_protocol(self, names: tuple[str, ...], runs: str, client: str, both: bool) -> ProtocolHandler:
        """Return the protocol; without *names*, one of orchestration. Callers use the cached `self._protocol`."""
        if not names:
            return protocol_for(runs, client, protocols=ORCHESTRATION)
        own = self._registry.find(names, runs, client, self._names.same)
        return own or protocol_for(runs, client, tools_with_reasoning=both, protocols=self._protocols)

    def _sticky_endpoints(self, model: str, sticky: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of the deployment *sticky*; raises `NoEndpointError` if there are none."""
        endpoints = self._balancer.endpoints(model)
        makers = tuple(e for e in endpoints if sticky in (e.deployment, f"{e.subaccount}/{e.deployment}"))
        if not makers:
            raise NoEndpointError(MAKER_LEFT)
        return makers
