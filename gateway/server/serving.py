"""Running the application under granian, and handing settings to its worker processes."""

import importlib
import ipaddress
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from gateway.config.service_keys import home_folder
from gateway.config.settings import Settings, SettingsError, load

_log = logging.getLogger("sap_ai_proxy")
_HANDED_DOWN = "SAP_AI_PROXY_SETTINGS"
_APPLICATION = "proxy_server"
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_CONNECTIONS = 1024
"""How many connections a process holds open at least, whatever number of threads works on their requests."""
_HEAD_TIMEOUT_MS = 30_000
"""Milliseconds that a connection may take over the head of its next request, silence before it included."""


class PortTakenError(OSError):
    """Somebody else listens where the proxy wants to."""


class UnknownHostError(OSError):
    """The name of the host to listen on leads nowhere."""


def hand_down(path: Path | None, overrides: Mapping[str, str | int]) -> None:
    """Tell worker processes which settings to load; no secret leaves the files they stand in."""
    os.environ[_HANDED_DOWN] = json.dumps({"path": str(path) if path else None, "overrides": dict(overrides)})


def handed_down() -> Settings:
    """Load the settings that the parent process has checked, and log as they say."""
    settings = _loaded()
    logging.basicConfig(level=settings.log_level.upper(), format=_FORMAT)
    # What urllib3 says of a connection names its address.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    return settings


def _loaded() -> Settings:
    told = json.loads(os.environ.get(_HANDED_DOWN, '{"path": null, "overrides": {}}'))
    path = Path(told["path"]) if told["path"] else None
    return replace(load(path, os.environ, home_folder()), **told["overrides"])


def end_with_parent(every: float = 1.0) -> None:
    """End this process soon after the one that started it is gone, however that went; looks every few seconds."""
    parent = os.getppid()
    pause = threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            pause.wait(every)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def address_of(host: str) -> str:
    """Look up the address of a host, IPv4 if it has one; raises `UnknownHostError`. The server takes no names."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(f"cannot listen on {host}: {getattr(error, 'strerror', None) or error}") from error
    return str(min(found, key=lambda each: each[0] is not socket.AF_INET)[4][0])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ensure_free(address: str, port: int) -> None:
    """Raise `PortTakenError` if nobody can listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            raise PortTakenError(f"cannot listen on {address}:{port}: {error.strerror or error}") from error


def serve(settings: Settings) -> None:
    """Serve at the address that is the host of *settings*, until told to stop; streams that are open then may end.

    On SIGHUP new worker processes take over, one after the other, with the settings as they are then.
    """
    connections = max(_CONNECTIONS, 2 * settings.threads)
    allow_files(2 * connections)
    server = Granian(
        _APPLICATION,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=settings.workers,
        blocking_threads=settings.threads,
        backpressure=connections,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_TIMEOUT_MS),
        factory=True,
        # It warns of more threads than cores; ours wait for models, and need none.
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    )
    reload = partial(_reload_if_sound, server.signal_handler_reload)
    server.signal_handler_reload = reload  # type: ignore[method-assign]  # workers that cannot load would end it all
    # A worker that is spawned begins as `python -c`, which would look for modules in the current folder first.
    os.environ["PYTHONSAFEPATH"] = "1"
    server.serve(spawn_target=_work, target_loader=_application, wrap_loader=False)


def _application() -> Any:
    """Build the application in a worker: imported by name as here, where granian would look in the current folder."""
    return importlib.import_module(_APPLICATION).app_from_environment()


def allow_files(number: int) -> None:
    """Let this process and its children have *number* files and sockets open, or as many as the system allows."""
    try:
        import resource  # noqa: PLC0415 - Windows has none, and needs none
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _work(*args: Any) -> None:
    """Run one worker process, as granian calls it."""
    take_one_signal()
    Granian._spawn_wsgi_worker(*args)  # noqa: SLF001 - granian takes another one, and has no other name for its own


def take_one_signal() -> None:
    """Pass the first SIGTERM to its handler, and no other signal; call it before there are other threads.

    Ctrl-C in a terminal reaches all processes at once, and the parent then sends every worker a SIGTERM as well:
    granian's handler waits for itself when a second signal interrupts it. Without a handler yet, the process ends.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

    def watch() -> None:
        signal.sigwait({signal.SIGTERM})
        handler = signal.getsignal(signal.SIGTERM)
        if not callable(handler):
            os._exit(0)
        handler(signal.SIGTERM, None)

    threading.Thread(target=watch, name="signal-watch", daemon=True).start()


def _reload_if_sound(reload: Callable[[], None], *_: object) -> None:
    """Reload, unless the settings have a mistake: that is told, and changes nothing."""
    try:
        _loaded()
    except SettingsError as error:
        for line in str(error).splitlines():
            _log.error("the settings stay as they were: %s", line)
    else:
        reload()
