"""The paths for dashboards and operators: the state of the router, and changes to it."""

from typing import Final

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind, invalid
from dialects.framing.json_text import dumps_bytes, loads
from gateway.gateway import Gateway
from gateway.http.application import Application, EventStream, JSONResponse, Request, current_request
from gateway.http.bodies import read_body
from gateway.http.cors import is_of_own_page
from gateway.http.permissions import may_change, require_changer, require_reader
from gateway.server.runtime import Runtime
from gateway.server.state_feed import StateFeed
from gateway.server.stream_loop import HAND_OVER

_FOREIGN_PAGE: Final = "Only the proxy's own pages and programs may change the routing, not a page of another site."
_NOT_APPLIED: Final = "The change could not be applied. The log of the proxy says why."


def add_router_operations(app: Application, gateway: Gateway, runtime: Runtime | None) -> None:
    """Add the paths that return the router's state, once or as a stream of events, and the one that changes it."""
    if runtime is not None:
        runtime.follow_with(gateway.actions.apply)
        feed = runtime.feed
    else:
        feed = StateFeed(gateway.whole_state, gateway.whole_history)

    def may_change_it(request: Request) -> bool:
        return may_change(gateway.auth, request.caller, request.environ, gateway.trusted_proxies)

    @app.get("/router/state")
    def router_state() -> JSONResponse:
        request = current_request()
        require_reader(gateway.auth, request.caller)
        state = gateway.whole_state() if runtime is None else runtime.router_state()
        return JSONResponse(dumps_bytes({**state, "may_change": may_change_it(request)}), 200, {})

    @app.get("/router/events")
    def router_events() -> EventStream:
        request = current_request()
        require_reader(gateway.auth, request.caller)
        stream = feed.watch(request.lifetime, may_change=may_change_it(request))
        if (hand_over := request.environ.get(HAND_OVER)) is not None:
            hand_over(stream)
        return EventStream(stream)

    @app.post("/router/actions")
    def router_actions() -> JSONResponse:
        request = current_request()
        if not is_of_own_page(request.fields, request.environ.get("HTTP_HOST", "")):
            raise FaultError(Fault(FaultKind.REQUEST_FORBIDDEN, _FOREIGN_PAGE))
        require_changer(gateway.auth, request.caller, request.environ, gateway.trusted_proxies)
        change = gateway.actions.change_for(_asked(request), request.caller.name)
        if runtime is None:
            gateway.actions.apply(change)
        elif not runtime.change(change):
            raise FaultError(Fault(FaultKind.DEFECT, _NOT_APPLIED))
        gateway.actions.log(change)
        return JSONResponse(dumps_bytes({"applied": len(change["endpoints"])}), 200, {})


def _asked(request: Request) -> JSON:
    """Parse the requested change. Raises `FaultError` if the body is not a JSON object."""
    # Browsers let a page of another site send some other types without a CORS check.
    if request.mimetype != "application/json":
        raise invalid("The body must be JSON, with the header `Content-Type: application/json`.")
    try:
        body = loads(read_body(request.environ, request.body_limit, request.lifetime.memory))
    except ValueError as error:
        raise invalid(f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    return body
