"""Routing of requests: selects the model, the endpoint and the protocol. Needs no web framework and no HTTP client.

An application installs its router once, with `configure`. The functions `load_balance_url` and `route_request` use
that router from then on.
"""

from dataclasses import replace

from dialects.capabilities.models import ModelProfile, ThinkingStyle, Vendor
from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind, Overflow, Quota
from dialects.core.upstream_errors import fault_from
from proxy_helpers import Detector
from routing.attempts import Attempt, Attempts, Lifetime
from routing.availability import Availability, EndpointState, NoEndpointError
from routing.endpoint import Candidate, Endpoint, QuotaDomain
from routing.events import (
    Circuit,
    CircuitChanged,
    CooldownEnded,
    CooldownStarted,
    EventPublisher,
    LeaseAbandoned,
    Listener,
    OutcomeRecorded,
    PoolsChanged,
    RoutingEvent,
    StrategyFailed,
    Transition,
)
from routing.health import CircuitBreaker, CircuitState, HealthChecker, Permit, PermitEnd
from routing.lease import Lease
from routing.load_balancer import LoadBalancer
from routing.model_names import FALLBACKS, How, ModelNames, Resolution, Successors, Unlisted
from routing.outcome_window import Tally
from routing.policy import BreakerPolicy, CooldownPolicy, ModelPolicy, Policy, RetryPolicy, Timeouts
from routing.protocols import (
    PROTOCOLS,
    ClaudeConverseProtocol,
    ClaudeInvokeProtocol,
    EmbeddingsProtocol,
    GeminiGenerateProtocol,
    OpenAIChatProtocol,
    OpenAIResponsesProtocol,
    OrchestrationEmbeddingsProtocol,
    OrchestrationProtocol,
    ProtocolHandler,
    RequestConverter,
    ResponseConverter,
    protocol_for,
)
from routing.request_router import RequestRouter, Route
from routing.strategy import (
    NO_CONTEXT,
    STRATEGIES,
    CacheAffinityStrategy,
    LeastConnectionsStrategy,
    LeastLatencyStrategy,
    LoadBalancingStrategy,
    PriorityStrategy,
    RoundRobinStrategy,
    SelectionContext,
    WeightedStrategy,
    register_strategy,
)

# The facade.
__all__ = ["Route", "configure", "load_balance_url", "route_request"]
# Requests: models, attempts and leases.
__all__ += ["FALLBACKS", "Attempt", "Attempts", "How", "Lease", "Lifetime", "ModelNames"]
__all__ += ["RequestRouter", "Resolution", "Successors", "Unlisted"]
# Endpoints and their availability.
__all__ += ["Availability", "Endpoint", "EndpointState", "LoadBalancer", "NoEndpointError", "QuotaDomain"]
# Strategies.
__all__ += ["NO_CONTEXT", "STRATEGIES", "CacheAffinityStrategy", "Candidate", "LeastConnectionsStrategy"]
__all__ += ["LeastLatencyStrategy", "LoadBalancingStrategy", "PriorityStrategy", "RoundRobinStrategy"]
__all__ += ["SelectionContext", "WeightedStrategy", "register_strategy"]
# Health.
__all__ += ["Circuit", "CircuitBreaker", "CircuitState", "HealthChecker", "Permit", "PermitEnd", "Tally"]
__all__ += ["Transition"]
# Routing events.
__all__ += ["CircuitChanged", "CooldownEnded", "CooldownStarted", "EventPublisher", "LeaseAbandoned", "Listener"]
__all__ += ["OutcomeRecorded", "PoolsChanged", "RoutingEvent", "StrategyFailed"]
# Settings.
__all__ += ["BreakerPolicy", "CooldownPolicy", "ModelPolicy", "Policy", "RetryPolicy", "Timeouts"]
# Protocols.
__all__ += ["PROTOCOLS", "ClaudeConverseProtocol", "ClaudeInvokeProtocol", "EmbeddingsProtocol"]
__all__ += ["GeminiGenerateProtocol", "OpenAIChatProtocol", "OpenAIResponsesProtocol", "ProtocolHandler"]
__all__ += ["OrchestrationEmbeddingsProtocol", "OrchestrationProtocol"]
__all__ += ["RequestConverter", "ResponseConverter", "protocol_for"]
# Names of the layers below that callers pass in or get back.
__all__ += ["JSON", "Fault", "FaultError", "FaultKind", "ModelProfile", "Overflow", "Quota", "ThinkingStyle"]
__all__ += ["Vendor", "fault_from"]


class _Installed:
    """The router that the functions below use."""

    router: RequestRouter | None = None


def configure(router: RequestRouter | None) -> None:
    """Install the router that `load_balance_url` and `route_request` use; None removes it."""
    _Installed.router = router


def load_balance_url(model: str) -> tuple[str, str, str, str]:
    """Select a deployment of *model* or of a fallback; return its URL, subaccount, resource group and model.

    Raises `NoEndpointError`, a `ValueError`, if no deployment is available or *model* is no valid name, such as None.
    """
    router = _router()
    try:
        endpoint = router.select(model)
    except NoEndpointError as error:
        if error.fault.kind is FaultKind.INVALID_REQUEST:
            raise
        raise NoEndpointError(replace(error.fault, message=_not_available(router, model)), wait=error.wait) from error
    return endpoint.url, endpoint.subaccount, endpoint.resource_group, endpoint.model


def route_request(payload: JSON, model: str | None = None, stream: bool | None = None) -> Route:
    """Return where and how to post an OpenAI chat request: URL, body, subaccount and protocol.

    *model* and *stream* override the fields of the payload. The payload is not changed.
    """
    return _router().route(payload, model, stream)


def _router() -> RequestRouter:
    if _Installed.router is None:
        raise RuntimeError("no router is installed: call routing.configure(RequestRouter(LoadBalancer(pools))) first")
    return _Installed.router


def _not_available(router: RequestRouter, model: str) -> str:
    """Write the message for a model that has no URL."""
    if Detector.is_claude_model(model):
        whose = "Claude model"
    elif Detector.is_gemini_model(model):
        whose = "Gemini model"
    else:
        whose = "Model"
    names = ", ".join((model, *router.names.fallbacks(model, catch_all=True)))
    return f"{whose} '{model}' and fallbacks not available in any subAccount. No URLs for model {names}"
