"""Deprecated functions that existing code imports from `proxy_server`. Each one names its replacement."""

import warnings

import routing
from dialects.core.conversation import JSON


def _deprecated(name: str, payload: JSON, model: str) -> tuple[str, JSON, str]:
    warnings.warn(f"{name} is deprecated: use routing.route_request", DeprecationWarning, stacklevel=3)
    route = routing.route_request(payload, model)
    return route.endpoint_url, route.payload, route.subaccount_name


def handle_claude_request(payload: JSON, model: str = "anthropic--claude-4.5-sonnet") -> tuple[str, JSON, str]:
    """Return the URL, the body and the subaccount of a request for a Claude model.

    Deprecated: use `routing.route_request`.
    """
    return _deprecated("handle_claude_request", payload, model)


def handle_gemini_request(payload: JSON, model: str = "gemini-3.5-flash") -> tuple[str, JSON, str]:
    """Return the URL, the body and the subaccount of a request for a Gemini model.

    Deprecated: use `routing.route_request`.
    """
    return _deprecated("handle_gemini_request", payload, model)


def handle_default_request(payload: JSON, model: str = "gpt-5.5") -> tuple[str, JSON, str]:
    """Return the URL, the body and the subaccount of a request for another model.

    Deprecated: use `routing.route_request`.
    """
    return _deprecated("handle_default_request", payload, model)
