"""The server for systems without fork, such as Windows: a single process for one person."""

import logging
import os
import threading
import time
from typing import Final

from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.config.settings import Settings
from gateway.observability import log_writer
from gateway.server.http_messages import error_response
from gateway.server.process_table import ProcessTable
from gateway.server.runtime import CreateApplication, Runtime
from gateway.server.start_report import StartReport
from gateway.server.status_board import StatusBoard

_log = logging.getLogger("sap_ai_proxy.server")
_LAST_DUTIES: Final = 5.0
"""The time limit of the last duties, in seconds."""
_EVERY: Final = 1.0
"""Seconds between two attempts to report the start."""


class _Handler(WSGIRequestHandler):
    """A handler that keeps connections open up to a time limit. It logs nothing, because the application logs."""

    protocol_version = "HTTP/1.1"
    server_version = "sap-ai-core-llm-proxy"
    sys_version = ""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the signature of the base
        """Answer a request that is not valid HTTP, in the same form as the server of other systems."""
        self.wfile.write(error_response(code, message or "This is not valid HTTP.", "invalid_request_error"))

    def log(self, type: str, message: str, *args: object) -> None:
        """Log nothing."""


def serve_here(settings: Settings, create: CreateApplication) -> int:
    """Serve with one thread for each connection until Ctrl-C; return the exit code."""
    log_writer.set_up(settings.log_level, settings.log_format)
    handler = type("Handler", (_Handler,), {"timeout": settings.server.keep_alive})
    table = ProcessTable()
    runtime = Runtime(StatusBoard(table, None), table.take_row(os.getpid()))
    application = create(settings, runtime=runtime)
    server = make_server(
        settings.host,
        settings.port,
        application,  # type: ignore[arg-type]  # `create` returns a WSGI application
        threaded=True,
        request_handler=handler,
    )
    with server:
        runtime.row.accepting = True
        runtime.start_publishing()
        ended = threading.Event()
        threading.Thread(target=_report_start, args=(runtime, ended), name="start report", daemon=True).start()
        server.serve_forever()  # until Ctrl-C
        ended.set()
        runtime.close()
        runtime.do_last_duties(_LAST_DUTIES)
    _log.info("stopped")
    return 0


def _report_start(runtime: Runtime, ended: threading.Event) -> None:
    """Log what is served, as soon as it is known."""
    report = StartReport(runtime.router_state)
    while not (report.look(time.monotonic(), serving=True) or ended.wait(_EVERY)):
        pass
