"""The Flask application of the emulator: tokens, management, inference, and the `/admin` routes."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from flask import Flask, Response, request

from emulator import admin, inference, management
from emulator.catalogue import render_catalogue
from emulator.errors import ErrorResponse, in_band, of_family
from emulator.errors import management as refuse
from emulator.faults import LONGEST, OF_MODELS, Fault, FaultKind, error_response
from emulator.framing import dump
from emulator.models import ORCHESTRATION, Family
from emulator.oauth import authenticate
from emulator.observability import mistake_in
from emulator.protocol import InferenceRequest, ModelCalls, Reply, Streamed, Whole
from emulator.recorder import Exchange
from emulator.response_writer import (
    ClientConnection,
    ClientLeft,
    Destination,
    RecordedBody,
    fail_before_response,
    write_stream,
    write_whole,
)
from emulator.state import Emulator, Settings
from emulator.world import Deployment, Json, Tenant, World, default_world

_T = TypeVar("_T")
_JSON = "application/json"
_SERVER_ERRORS = (FaultKind.ERROR_EVENT, FaultKind.CUT_ERROR)
_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]


def create_app(
    world: World | None = None,
    clock: Callable[[], float] = time.time,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    settings: Settings | None = None,
) -> Flask:
    """Build the application."""
    emulator = Emulator(world or default_world(), clock, new_id, settings)
    app = Flask("emulator", static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # a connection that a fault cuts gets no 500
    app.extensions["emulator"] = emulator
    app.register_blueprint(admin.blueprint(emulator))
    _token_routes(app, emulator)
    _management_routes(app, emulator)
    _creation_routes(app, emulator)
    _inference_routes(app, emulator)

    @app.errorhandler(ErrorResponse)
    def refused(error: ErrorResponse) -> Response:
        return _refused(error)

    @app.errorhandler(404)
    def unknown(_: Exception) -> Response:
        return _refused(refuse(404, "Resource not found", request.path, emulator.new_id()))

    return app


def _token_routes(app: Flask, emulator: Emulator) -> None:
    """Add the routes that issue tokens, with a URL for each tenant."""

    @app.post("/auth/<name>/oauth/token")
    @app.post("/cert/<name>/oauth/token")
    def token(name: str) -> Response:
        tenant = emulator.world.tenant(name)
        form = {**request.args.to_dict(), **request.form.to_dict()}
        shown = {key: value for key, value in form.items() if key != "client_secret"}
        exchange = _begin(emulator, "token", name, None, shown, 0)

        def answer() -> Json:
            if tenant is None:
                raise ErrorResponse(404, "The subdomain does not map to a valid identity zone.")
            certified = request.path.startswith("/cert/")
            authenticate(tenant, request.headers.get("Authorization"), form, certified=certified)
            return emulator.tokens.issue(tenant, emulator.settings.expires_in)

        return _plainly(emulator, exchange, f"token:{name}", answer)


def _management_routes(app: Flask, emulator: Emulator) -> None:
    """Add the routes of the AI API that read."""
    deployments, configurations = "/v2/lm/deployments", "/v2/lm/configurations"

    def listed(tenant: Tenant, group: str) -> Json:
        found = management.selected(emulator, tenant, group, request.args)
        shown = [management.deployment(emulator, one, _base()) for one in _page(emulator, found)]
        return {"count": len(found), "resources": shown}

    def one(tenant: Tenant, group: str, id: str) -> Json:
        return management.deployment(emulator, _find(emulator, tenant, group, id=id), _base())

    def counted(tenant: Tenant, group: str) -> str:
        return str(len(management.selected(emulator, tenant, group, request.args)))

    def configured(tenant: Tenant, group: str) -> Json:
        found = management.selected_configurations(emulator, tenant, group, request.args)
        return {"count": len(found), "resources": [management.configuration(one) for one in _page(emulator, found)]}

    def configuration(tenant: Tenant, group: str, id: str) -> Json:
        found = next((one for one in emulator.configurations(tenant, group) if one.id == id), None)
        if found is None:
            raise refuse(404, "Resource not found", request.path, emulator.new_id())
        return management.configuration(found)

    def catalogue(_: Tenant, __: str) -> Json:
        if not emulator.settings.catalogue:
            raise refuse(404, "Resource not found", request.path, emulator.new_id())
        return render_catalogue()

    route = partial(_managed, app, emulator)
    route("GET", deployments, listed)
    route("GET", f"{deployments}/$count", counted)
    route("GET", f"{deployments}/<id>", one)
    route("GET", configurations, configured)
    route("GET", f"{configurations}/<id>", configuration)
    route("GET", "/v2/lm/scenarios/foundation-models/models", catalogue)
    quota, groups = "/v2/admin/quota/model", "/v2/admin/resourceGroups"
    route("GET", quota, lambda tenant, _: management.quota(emulator.all_deployments(tenant)), grouped=False)
    route("GET", groups, lambda tenant, _: management.groups(tenant), grouped=False)


def _creation_routes(app: Flask, emulator: Emulator) -> None:
    """Add the routes that create configurations and deployments."""

    def configure(tenant: Tenant, group: str) -> Json:
        made = emulator.creations.configure(tenant, group, request.get_json(force=True, silent=True))
        return {"id": made.id, "message": "Configuration created"}

    def deploy(tenant: Tenant, group: str) -> Json:
        body = request.get_json(force=True, silent=True)
        wanted = body.get("configurationId") if isinstance(body, dict) else None
        found = next((one for one in emulator.configurations(tenant, group) if one.id == wanted), None)
        if found is None:
            raise ValueError("configurationId is missing, or there is no such configuration in the resource group")
        return management.created(emulator.deploy(tenant, group, found))

    def checked(make: Callable[[Tenant, str], Json]) -> Callable[[Tenant, str], Json]:
        def answer(tenant: Tenant, group: str) -> Json:
            if group not in tenant.resource_groups:
                raise refuse(400, f"Resource group {group} does not exist", request.path, emulator.new_id())
            try:
                return make(tenant, group)
            except ValueError as error:
                raise refuse(400, str(error), request.path, emulator.new_id()) from None

        return answer

    _managed(app, emulator, "POST", "/v2/lm/configurations", checked(configure), status=201)
    _managed(app, emulator, "POST", "/v2/lm/deployments", checked(deploy), status=202)


def _managed(
    app: Flask,
    emulator: Emulator,
    method: str,
    path: str,
    answer: Callable[..., Any],
    *,
    grouped: bool = True,
    status: int = 200,
) -> None:
    """Add a route of the AI API. It fails if the management of the tenant has a fault."""

    def view(**values: str) -> Response:
        tenant = _tenant(emulator)
        group = _group(emulator) if grouped else tenant.resource_group
        fault = emulator.faults.take(f"management:{tenant.name}")
        _fail(fault, Family.ORCHESTRATION, ClientConnection(request.environ.get("werkzeug.socket")))
        found = answer(tenant, group, **values)
        response = Response(found, mimetype="text/plain") if isinstance(found, str) else _json(found)
        response.status_code = status
        return response

    app.add_url_rule(path, f"{method} {path}", view, methods=[method])


def _inference_routes(app: Flask, emulator: Emulator) -> None:
    """Add the routes that send requests to the model of a deployment."""

    @app.route("/v2/inference/deployments/<id>/<path:path>", methods=_METHODS)
    def infer(id: str, path: str) -> Response:
        raw = request.get_data()
        exchange = _begin(emulator, "inference", None, id, _parsed(raw), len(raw))
        return _infer(emulator, exchange, id, path, raw)


def _infer(emulator: Emulator, exchange: Exchange, id: str, path: str, raw: bytes) -> Response:
    """Answer one inference request, or fail it if its deployment has a fault."""
    request_id = emulator.new_id()
    connection = ClientConnection(request.environ.get("werkzeug.socket"))
    fault: Fault | None = None
    started = time.monotonic()
    try:
        tenant = _tenant(emulator)
        exchange.tenant = tenant.name
        deployment = _running(emulator, tenant, _group(emulator), id)
        _check_observability(request_id)
        fault = emulator.faults.take(id)
        exchange.fault = fault.kind.value if fault else None
        connection.wait(emulator.settings.latency)
        orchestrates = deployment.model is ORCHESTRATION
        calls = ModelCalls(fault, lambda: emulator.faults.take(id))
        if orchestrates and fault is not None and fault.kind in OF_MODELS:
            connection.wait(fault.delay)
        else:
            _fail(fault, deployment.model.family, connection)
        try:
            reply = inference.run(_request(emulator, tenant, deployment, path, raw, request_id, calls))
        finally:
            exchange.model_calls = calls.made if orchestrates else 1
        fault = calls.last
        if isinstance(reply, Whole):
            _slowly(reply, fault, deployment.model.family, connection)
    except ErrorResponse as error:
        response = _refused(error)
        payload = response.get_data()
        response.response = RecordedBody(iter((payload,)), exchange, emulator.recorder, connection, len(payload))
        response.content_length = len(payload)
    except Exception as error:
        emulator.recorder.end(exchange, left=isinstance(error, ClientLeft))
        raise
    else:
        destination = Destination(connection, exchange, fault, emulator.settings.split_seed)
        response = _response(emulator, destination, reply)
    exchange.status = response.status_code
    response.headers["x-request-id"] = response.headers["ai-inference-id"] = request_id
    response.headers["x-upstream-service-time"] = str(int((time.monotonic() - started) * 1000))
    return response


def _slowly(reply: Whole, fault: Fault | None, family: Family, connection: ClientConnection) -> None:
    """Wait as long as a model takes for a whole response; raise the error that a stream would report inside itself."""
    connection.wait(min(reply.delay, LONGEST))
    if fault and fault.kind in _SERVER_ERRORS:
        raise of_family(family, 500, "Internal server error.")


def _request(
    emulator: Emulator,
    tenant: Tenant,
    deployment: Deployment,
    path: str,
    raw: bytes,
    request_id: str,
    calls: ModelCalls,
) -> InferenceRequest:
    """Build the request that a protocol's handler gets."""
    return InferenceRequest(
        deployment.model,
        deployment.id,
        path,
        request.method,
        raw,
        request.args.to_dict(),
        request.headers.get("Accept", ""),
        emulator.caches[tenant.name],
        emulator.stores[deployment.id],
        emulator.clock(),
        request_id.replace("-", ""),
        emulator.settings.converse_sse,
        calls,
        emulator.settings.notice,
    )


def _response(emulator: Emulator, destination: Destination, reply: Reply) -> Response:
    """Build the Flask response for a reply."""
    length: int | None = None
    match reply:
        case Streamed(events, framing, path, delay, broken):
            pieces: Iterator[bytes] = write_stream(destination, events, framing, broken or in_band(path), delay)
            mime = framing.mime
        case Whole(body, ordered, spaced, _):
            payload = json.dumps(body).encode() if spaced else dump(body, ordered=ordered)
            length, pieces = write_whole(destination, payload)
            mime = _JSON
    out = RecordedBody(pieces, destination.exchange, emulator.recorder, destination.connection, length)
    response = Response(out, mimetype=mime, direct_passthrough=True)
    if length is not None:
        response.content_length = length
    return response


def _fail(fault: Fault | None, family: Family, connection: ClientConnection) -> None:
    """Raise the error of a fault that answers instead of the model, after its delay."""
    if fault is None:
        return
    connection.wait(fault.delay)
    said = error_response(fault, family)
    if said is not None:
        raise said
    if fault.kind in (FaultKind.RESET, FaultKind.HANG):
        fail_before_response(connection, fault.kind)


def _plainly(emulator: Emulator, exchange: Exchange, seat: str, answer: Callable[[], Json]) -> Response:
    """Answer a request that is not inference: apply the fault of *seat*, and record how the request ended."""
    fault = emulator.faults.take(seat)
    exchange.fault = fault.kind.value if fault else None
    try:
        _fail(fault, Family.ORCHESTRATION, ClientConnection(request.environ.get("werkzeug.socket")))
        response = _json(answer())
    except ErrorResponse as error:
        response = _refused(error)
    except Exception as error:
        emulator.recorder.end(exchange, left=isinstance(error, ClientLeft))
        raise
    exchange.status = response.status_code
    exchange.bytes_sent = len(response.get_data())
    emulator.recorder.end(exchange, left=False)
    return response


def _begin(emulator: Emulator, kind: str, tenant: str | None, deployment: str | None, body: Any, size: int) -> Exchange:
    """Record the start of a request."""
    known = deployment if deployment in emulator.stores else None
    exchange = Exchange(
        kind,
        tenant,
        known,
        request.method,
        request.path,
        request.query_string.decode("latin-1"),
        dict(request.headers),
        body,
        size,
        emulator.clock(),
    )
    emulator.recorder.begin(exchange)
    return exchange


def _tenant(emulator: Emulator) -> Tenant:
    """Return the tenant of the request's token; raises `ErrorResponse` if there is none."""
    tenant = emulator.world.tenant(emulator.tokens.tenant(request.headers.get("Authorization")))
    if tenant is None:
        raise ErrorResponse(403, "RBAC: access denied")
    return tenant


def _group(emulator: Emulator) -> str:
    """Return the resource group in the request's header; raises `ErrorResponse` if it is missing."""
    group = request.headers.get("AI-Resource-Group")
    if not group:
        raise refuse(400, "Header AI-Resource-Group is missing", request.path, emulator.new_id())
    return group


def _check_observability(request_id: str) -> None:
    """Raise `ErrorResponse` for invalid observability headers."""
    if mistake := mistake_in(request.headers):
        raise refuse(400, mistake, request.path, request_id)


def _running(emulator: Emulator, tenant: Tenant, group: str, id: str) -> Deployment:
    """Return a running deployment; raises `ErrorResponse` if it does not exist or does not run."""
    deployment = _find(emulator, tenant, group, id=id)
    if emulator.status(deployment) != "RUNNING":
        raise refuse(404, "Resource not found", request.path, emulator.new_id())
    return deployment


def _find(emulator: Emulator, tenant: Tenant, group: str, *, id: str) -> Deployment:
    """Return a deployment of the resource group; raises `ErrorResponse` if it does not exist."""
    for one in emulator.deployments(tenant, group):
        if one.id == id:
            return one
    raise refuse(404, "Resource not found", request.path, emulator.new_id())


def _page(emulator: Emulator, found: Sequence[_T]) -> Sequence[_T]:
    """Return the requested page of *found*; raises `ErrorResponse` for invalid paging."""
    try:
        return management.page(found, request.args)
    except ValueError:
        raise refuse(400, "$top and $skip must be integers", request.path, emulator.new_id()) from None


def _parsed(raw: bytes) -> Any:
    """Parse a body for the record. One that is not JSON is kept as text."""
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


def _base() -> str:
    """Return the URL under which the caller reached this server."""
    return request.host_url.rstrip("/")


def _refused(error: ErrorResponse) -> Response:
    """Build the response of a refusal."""
    if isinstance(error.body, str):
        mime = None if "Content-Type" in error.headers else "text/plain"
        return Response(error.body, error.status, error.headers, mimetype=mime)
    return Response(dump(error.body), error.status, error.headers, mimetype=_JSON)


def _json(body: Any) -> Response:
    """Build a JSON response."""
    return Response(dump(body), mimetype=_JSON)
