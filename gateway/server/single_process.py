"""The server where processes cannot be forked, which is Windows: one process, for one person."""

import logging
import os
import threading
import time
from typing import Final

from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.config.settings import Settings
from gateway.observability import log_writer
from gateway.server.process_table import ProcessTable
from gateway.server.runtime import CreateApplication, Runtime
from gateway.server.start_report import StartReport
from gateway.server.status_board import StatusBoard

_log = logging.getLogger("sap_ai_proxy.server")
_LAST_DUTIES: Final = 5.0
"""Seconds that the last duties may take."""
_EVERY: Final = 1.0
"""Seconds between two looks at whether it is known what is served."""


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
    table = ProcessTable()
    runtime = Runtime(StatusBoard(table, None), table.take_row(os.getpid()))
    application = create(settings, runtime=runtime)
    server = make_server(
        settings.host,
        settings.port,
        application,  # type: ignore[arg-type]  # a WSGI application, whatever it is else
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
    """Say what is served, once, as soon as that is known."""
    report = StartReport(runtime.router_state)
    while not (report.look(time.monotonic(), serving=True) or ended.wait(_EVERY)):
        pass
