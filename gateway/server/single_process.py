"""The server where processes cannot be forked, which is Windows: one process, for one person."""

import logging

from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.config.settings import Settings
from gateway.observability import log_writer
from gateway.server.runtime import CreateApplication

_log = logging.getLogger("sap_ai_proxy.server")


class _Handler(WSGIRequestHandler):
    """Keeps connections, limits how long they may be silent, and logs nothing: the application does."""

    protocol_version = "HTTP/1.1"
    server_version = "sap-ai-core-llm-proxy"
    sys_version = ""

    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing."""


def serve_here(settings: Settings, create: CreateApplication) -> int:
    """Serve with a thread for each connection until Ctrl-C; give the exit code."""
    log_writer.set_up(settings.log_level, settings.log_format)
    handler = type("Handler", (_Handler,), {"timeout": settings.server.keep_alive})
    application = create(settings, runtime=None)
    server = make_server(
        settings.host,
        settings.port,
        application,  # type: ignore[arg-type]  # a WSGI application, whatever it is else
        threaded=True,
        request_handler=handler,
    )
    with server:
        server.serve_forever()  # until Ctrl-C
    _log.info("stopped")
    return 0
