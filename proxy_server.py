"""The proxy as a Flask application: the dialect of each path, and the responses to errors."""

import logging
import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, NotFound

import routing
from dialects import anthropic_messages, gemini, openai_chat, openai_responses
from dialects.adapt.token_estimate import estimate_tokens
from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind, http_status, invalid
from dialects.framing.json_text import dumps_bytes, loads
from dialects.registry import CLIENTS, dialect_of_caller, request_id_headers
from gateway.cli import main as command_line
from gateway.cli.demo import KEY as DEMO_KEY
from gateway.config.settings import Settings
from gateway.gateway import Gateway
from gateway.http.application import Application, JSONResponse, ModelName, Verb, current_request, make_private
from gateway.http.auth import headers_in
from gateway.http.bodies import body_limit, declared_length, decoded, read_body
from gateway.http.caller_check import caller_check, prefers_html
from gateway.http.cors import cors_headers
from gateway.http.doubled_parts import without_doubled_parts
from gateway.http.openapi.route import add_openapi
from gateway.http.permissions import require_reader
from gateway.http.router_operations import add_router_operations
from gateway.http.security_headers import OF_FILES
from gateway.observability.gauges import Gauges
from gateway.observability.shared_metrics import CONTENT_TYPE, exposition
from gateway.old_names import handle_claude_request, handle_default_request, handle_gemini_request
from gateway.requests.exchange import DEFECT, Exchange
from gateway.server.client_connection import CONNECTION, ClientConnection
from gateway.server.runtime import Runtime
from gateway.server.stream_loop import HAND_OVER
from gateway.version import VERSION
from gateway.web.files import PAGE, WebFile, load_files
from routing import load_balance_url

__all__ = [
    "create_app",
    "handle_claude_request",
    "handle_default_request",
    "handle_gemini_request",
    "load_balance_url",
    "main",
]

_log = logging.getLogger("sap_ai_proxy")

_FINAL = frozenset({400, 401, 403, 404})
"""The statuses after which sending the same request again is pointless."""
_KEPT_ID = re.compile(r"(?<=/responses/)([^/]{16})[^/]+")
"""The id of a response in a path. Its first group is the part of the id that may be logged."""
_SERVICE = {"service": "sap-ai-core-llm-proxy", "version": VERSION}
_CONNECTIONS = (CONNECTION, "gunicorn.socket", "werkzeug.socket")
"""The WSGI environment keys under which servers provide the connection to the client."""
_GEMINI_VERBS = {"generateContent": False, "streamGenerateContent": True}
_CODEX_VERSION = "client_version"
"""The query parameter by which the proxy recognises Codex, which expects its own form of the list of models."""
_HTTP_KINDS = {
    401: FaultKind.UNAUTHENTICATED,
    404: FaultKind.NOT_FOUND,
    413: FaultKind.TOO_LARGE,
}


def create_app(settings: Settings, gateway: Gateway | None = None, *, runtime: Runtime | None = None) -> Flask:
    """Build the application and start its background threads. `app.extensions["gateway"]` is its `Gateway`.

    *runtime* is the worker process that serves the application, if it runs in one.
    """
    app = Application(__name__)
    app.url_map.converters.update(model=ModelName, verb=Verb)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's own provider has it
    gateway = gateway or Gateway(settings)
    app.extensions["gateway"] = gateway
    routing.configure(gateway.router)
    gateway.start()
    if runtime is not None:
        runtime.add_last_duty(gateway.close_telemetry)
    web_files = load_files(key_is_needed=not gateway.auth.is_open, demo_key=DEMO_KEY if settings.is_demo else "")
    _open_door(app, gateway, web_files, settings, runtime)
    _add_page(app, gateway, web_files)
    _add_conversations(app, gateway)
    _add_compaction(app, gateway)
    _add_kept_responses(app, gateway)
    _add_models(app, gateway)
    _add_operations(app, gateway, runtime)
    app.register_error_handler(FaultError, lambda error: _refuse(gateway, error.fault))
    app.register_error_handler(HTTPException, lambda error: _refuse_http(gateway, error))
    app.register_error_handler(Exception, _say_defect)
    app.wsgi_app = without_doubled_parts(app.wsgi_app)  # type: ignore[assignment,method-assign]  # as Flask documents it
    return app


def _open_door(
    app: Flask, gateway: Gateway, web_files: Collection[str], settings: Settings, runtime: Runtime | None
) -> None:
    """Start the lifetime of each request, and admit only known callers with bodies that are not too large.

    Release the request's place and its memory when its response ends.
    """
    drain = runtime.drain if runtime is not None else None
    check_caller = caller_check(gateway, web_files, settings)

    @app.before_request
    def enter() -> None:
        request = current_request()
        environ = request.environ
        request.fields = headers_in(environ)
        connection = next((environ[name] for name in _CONNECTIONS if name in environ), None)
        request.lifetime = lifetime = gateway.lifetime(connection, drain)
        if isinstance(connection, ClientConnection):
            connection.lifetime = lifetime
        check_caller(request)
        lifetime.memory.caller = request.caller.name
        request.body_limit = body_limit(request.endpoint, settings.server.max_body_bytes)
        declared_length(environ, request.body_limit)

    @app.after_request
    def leave(response: Response) -> Response:
        request = current_request()
        if request.place is not None:
            response.call_on_close(request.place.release)
        if request.lifetime.memory.reserved:
            response.call_on_close(request.lifetime.memory.release)
        make_private(response)
        if origin := request.environ.get("HTTP_ORIGIN"):
            asked = request.fields.get("access-control-request-headers", "")
            methods = response.headers.get("Allow", "")
            response.headers.update(cors_headers(origin, asked, methods, keyless=gateway.auth.is_open))
        if settings.is_demo:
            response.headers["x-proxy-demo"] = "true"  # tells clients that no real model has answered
        return response


def _add_conversations(app: Flask, gateway: Gateway) -> None:
    """Add the paths for chat, responses, messages, token counts, embeddings and Gemini's methods."""

    @app.post("/v1/chat/completions")
    @app.post("/chat/completions")
    @app.post("/openai/v1/chat/completions")
    @app.post("/openai/deployments/<model:model>/chat/completions")
    def chat_completions(model: str = "") -> Response:
        return _chat(gateway, _body(gateway, model))

    @app.post("/v1/responses")
    @app.post("/responses")
    @app.post("/openai/responses")
    @app.post("/openai/v1/responses")
    def responses() -> Response:
        return _converse(gateway, openai_responses.DIALECT, _body(gateway))

    @app.post("/v1/embeddings")
    @app.post("/embeddings")
    @app.post("/openai/v1/embeddings")
    @app.post("/openai/deployments/<model:model>/embeddings")
    def embeddings(model: str = "") -> Response:
        body, request = _body(gateway, model), current_request()
        return _whole(gateway.embeddings(body, request.fields, request.caller.name, request.lifetime))

    @app.post("/v1/messages")
    def messages() -> Response:
        body = _with_betas(_body(gateway))
        anthropic_messages.require_max_tokens(body)
        return _converse(gateway, anthropic_messages.DIALECT, body)

    @app.post("/v1/messages/count_tokens")
    def messages_count_tokens() -> Response:
        conversation = anthropic_messages.parse_request(_with_betas(_body(gateway)))
        gateway.resolve(conversation.model)
        return _json(anthropic_messages.render_token_count(estimate_tokens(conversation)))

    @app.post("/v1beta/models/<model:model>:<verb:verb>")
    @app.post("/v1/models/<model:model>:<verb:verb>")
    def gemini_verb(model: str, verb: str) -> Response:
        if verb == "countTokens":
            body = _body(gateway)
            asked = body.get("generateContentRequest") or body
            if not isinstance(asked, dict):
                raise invalid("generateContentRequest must be an object")
            gateway.resolve(model)
            return _json({"totalTokens": estimate_tokens(gemini.parse_request({**asked, "model": model}))})
        if verb not in _GEMINI_VERBS:
            raise FaultError(Fault(FaultKind.NOT_FOUND, f"{verb} is not supported by this proxy."))
        return _converse(gateway, gemini.DIALECT, {**_body(gateway), "model": model, "stream": _GEMINI_VERBS[verb]})


def _add_compaction(app: Flask, gateway: Gateway) -> None:
    """Add the paths that compact a conversation."""

    @app.post("/v1/responses/compact")
    @app.post("/responses/compact")
    @app.post("/openai/responses/compact")
    @app.post("/openai/v1/responses/compact")
    def compact() -> Response:
        body, request = _body(gateway), current_request()
        return _whole(gateway.compaction(body, request.fields, request.caller.name, request.lifetime))


def _add_kept_responses(app: Flask, gateway: Gateway) -> None:
    """Add the paths that read, delete or cancel a response which its deployment stores."""

    @app.route("/v1/responses/<answer>", methods=["GET", "DELETE"])
    def kept_response(answer: str) -> Response:
        # A HEAD request upstream would have no body to wait for.
        return _kept(gateway, "DELETE" if current_request().method == "DELETE" else "GET", answer)

    @app.get("/v1/responses/<answer>/input_items")
    def input_items(answer: str) -> Response:
        return _kept(gateway, "GET", answer, "/input_items")

    @app.post("/v1/responses/<answer>/cancel")
    def cancel_response(answer: str) -> Response:
        return _kept(gateway, "POST", answer, "/cancel")

    @app.get("/v1/responses")
    def responses_by_websocket() -> Response:
        # Codex tries a WebSocket first. Only this status makes it fall back to HTTP at once.
        return _json(
            {
                "error": {
                    "message": "WebSockets are not supported here: send a POST request instead.",
                    "type": "upgrade",
                }
            },
            426,
        )


def _add_models(app: Flask, gateway: Gateway) -> None:
    """Add the lists of models, in the dialect of the client."""

    @app.get("/v1/models")
    @app.get("/models")
    @app.get("/v1beta/models")
    def models() -> Response:
        listed = gateway.models()
        if _CODEX_VERSION in current_request().args:
            return _json(openai_responses.render_codex_models(listed))
        return _json(CLIENTS[_caller_dialect()].render_models(listed, gateway.started))

    @app.get("/v1/models/<model:name>")
    @app.get("/v1beta/models/<model:name>")
    def model(name: str) -> Response:
        return _json(CLIENTS[_caller_dialect()].render_model(gateway.model(name), gateway.started))


def _add_page(app: Flask, gateway: Gateway, files: Mapping[str, WebFile]) -> None:
    """Add the web page, and the path that the page calls with the visitor's key."""

    @app.get("/")
    def page() -> Response:
        return web_file(PAGE) if prefers_html(current_request()) else _json(_SERVICE)

    @app.get("/web/<path:name>")
    def web_file(name: str) -> Response:
        if name not in files:
            raise NotFound
        file = files[name]
        response = Response(file.body, headers=OF_FILES, content_type=file.content_type)
        response.set_etag(file.etag)
        response.make_conditional(current_request())
        return response

    @app.get("/web/guide")
    def tool_guide() -> Response:
        from gateway.tool_settings.deployed import read_models  # noqa: PLC0415 - only the page needs it
        from gateway.web.tool_guide import guide  # noqa: PLC0415

        models = read_models(openai_chat.render_models(gateway.models(), gateway.started))
        return _json(guide(current_request().args.get("url", ""), models))


def _add_operations(app: Application, gateway: Gateway, runtime: Runtime | None) -> None:
    """Add the paths for health checks, metrics and operators, and auxiliary paths that clients call."""
    if runtime is not None:
        runtime.report_with(gateway.state, partial(_readiness, gateway), gateway.activity.rows)
    add_router_operations(app, gateway, runtime)
    add_openapi(app)

    @app.get("/api/hello")
    def hello() -> Response:
        return _json(_SERVICE)

    @app.get("/health")
    def health() -> Response:
        return _json({"status": "alive"})

    @app.get("/ready")
    def ready() -> Response:
        if runtime is not None:
            status, told = runtime.readiness()
            return _json(told, status)
        is_ready, told = _readiness(gateway)
        return _json(told, 200 if is_ready else 503)

    @app.route("/api/event_logging/batch", methods=["POST", "OPTIONS"])
    def event_logging() -> Response:
        return _json({"status": "success", "message": "The proxy accepts these events and discards them."})

    @app.get("/metrics")
    def metrics() -> Response:
        require_reader(gateway.auth, current_request().caller)
        if runtime is not None:
            return Response(runtime.metrics(gateway.registry), content_type=CONTENT_TYPE)
        return Response(exposition(gateway.registry, Gauges(gateway.whole_state())), content_type=CONTENT_TYPE)


def _readiness(gateway: Gateway) -> tuple[bool, JSON]:
    """Return whether some model can be served, and the body that describes each subaccount."""
    found = gateway.readiness()
    return found.ready, found.body


def _chat(gateway: Gateway, body: JSON) -> Response:
    """Answer a request to a chat path, whose body may also be in the form of Responses or Anthropic messages."""
    if openai_chat.is_responses(body):
        return _converse(gateway, openai_chat.DIALECT, body, asked_in=openai_responses.DIALECT)
    mixed = openai_chat.DIALECT if openai_chat.has_blocks(body) else ""
    return _converse(gateway, openai_chat.DIALECT, openai_chat.with_nested_tools(body), asked_in=mixed)


def _converse(gateway: Gateway, client: str, body: JSON, asked_in: str = "") -> Response:
    """Answer a conversation, as a whole or as a stream."""
    request = current_request()
    exchange = gateway.exchange(client, body, request.fields, request.caller.name, request.lifetime, asked_in=asked_in)
    if not exchange.incoming.request.envelope.conversation.stream:
        return _whole(exchange)
    stream = gateway.stream(exchange)
    try:
        stream.begin()
    except FaultError as error:
        return _say(error.fault, exchange.headers())
    if (hand_over := request.environ.get(HAND_OVER)) is not None:
        hand_over(stream)
    headers = {**exchange.headers(), "X-Accel-Buffering": "no"}
    return Response(stream, mimetype="text/event-stream", headers=headers)


def _whole(exchange: Exchange) -> Response:
    """Answer with the whole response as one JSON body."""
    try:
        answer = exchange.whole()
    except FaultError as error:
        return _say(error.fault, exchange.headers())
    return _json(answer, headers=exchange.headers())


def _kept(gateway: Gateway, method: str, answer: str, action: str = "") -> Response:
    """Take a place among the requests in progress, and read, delete or cancel a response that its deployment stores."""
    request = current_request()
    request.place = gateway.admission.enter(request.caller.name, request.lifetime)
    status, body = gateway.kept(method, answer, request.caller.name, request.lifetime, action)
    return Response(body, status, mimetype="application/json")


def _body(gateway: Gateway, model: str = "") -> JSON:
    """Read and parse the request's body, and take a place among the requests in progress.

    The place is taken after the upload, so that a slow upload holds none. A *model* in the path replaces the one in the
    body. Raises `FaultError` for an invalid body.
    """
    request = current_request()
    encodings, limit, memory = request.fields.get("content-encoding", ""), request.body_limit, request.lifetime.memory
    raw = decoded(read_body(request.environ, limit, memory), encodings, limit, memory)
    request.place = gateway.admission.enter(request.caller.name, request.lifetime)
    memory.take_values(raw)
    try:
        body = loads(raw)
    except ValueError as error:
        raise invalid(f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    if model:
        body["model"] = model
    request.asked = body.get("model")
    return body


def _with_betas(body: JSON) -> JSON:
    """Add the betas from the header of an Anthropic client to the body, where the dialect reads them."""
    betas = current_request().fields.get("anthropic-beta", "")
    named = [beta.strip() for beta in betas.split(",") if beta.strip()]
    given = body.get("anthropic_beta")
    return {**body, "anthropic_beta": [*(given if isinstance(given, list) else []), *named]} if named else body


def _caller_dialect() -> str:
    """Return the dialect of the client, judged by the path and the headers."""
    request = current_request()
    return dialect_of_caller(request.path, request.fields)


def _say(fault: Fault, headers: Mapping[str, str] | None = None) -> Response:
    told = dict(headers or {})
    if fault.retry_after is not None:
        told["Retry-After"] = str(max(1, -int(-fault.retry_after // 1)))
        told["retry-after-ms"] = str(round(fault.retry_after * 1000))
    status = http_status(fault)
    if status in _FINAL:
        # The SDKs of OpenAI and Anthropic obey this header. Without it, Claude Code retries with a wrong key.
        told["x-should-retry"] = "false"
    return _json(CLIENTS[_caller_dialect()].render_fault(fault), status, told)


def _refuse(gateway: Gateway, fault: Fault, headers: Mapping[str, str] | None = None) -> Response:
    """Respond to a request that was refused before its exchange began, and report it to the observers."""
    request = current_request()
    model = (request.view_args or {}).get("model") or request.asked
    asked = model if isinstance(model, str) else _called()
    client = _caller_dialect()
    name = gateway.refused(fault, request.fields, client=client, caller=request.caller.name, asked=asked)
    return _say(fault, {**(headers or {}), **request_id_headers(client, name)})


def _called() -> str:
    """Return the method and the path of the request for the log, with the ids of responses shortened."""
    request = current_request()
    return f"{request.method} {_KEPT_ID.sub(lambda found: f'{found[1]}…', request.path)}"


def _refuse_http(gateway: Gateway, error: HTTPException) -> Response:
    """Respond to an HTTP error of Flask, in the dialect of the client."""
    status = error.code or 500
    kind = _HTTP_KINDS.get(status, FaultKind.INVALID_REQUEST if status < 500 else FaultKind.DEFECT)
    request = current_request()
    message = f"{request.method} {request.path}: {error.name}."
    allowed = error.get_headers() if status == 405 else []
    fault = Fault(kind, message, status, code="unknown_url" if status == 404 else None)
    return _refuse(gateway, fault, {name: value for name, value in allowed if name == "Allow"})


def _say_defect(error: Exception) -> Response:
    """Respond with an error of the proxy itself. The exception goes to the log, not to the caller."""
    _log.error("a defect in the proxy: %s", _called(), exc_info=error)
    return _say(DEFECT)


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(dumps_bytes(body), status, headers or {})


def main() -> None:
    """Run the command `sap-ai-proxy` when this file is run as `python proxy_server.py`."""
    command_line.main(lambda: create_app)


if __name__ == "__main__":
    main()
