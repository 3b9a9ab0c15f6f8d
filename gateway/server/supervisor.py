"""The supervising process, which starts and replaces workers, answers operators, and shuts the proxy down."""

import gc
import logging
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Final, cast

from gateway.config.network import is_loopback
from gateway.config.settings import Settings, SettingsError
from gateway.http.auth import Auth
from gateway.http.cors import KeylessAccess
from gateway.observability import log_writer, shared_metrics
from gateway.server import descriptors
from gateway.server.admin import AdminListener, Operations
from gateway.server.change_log import ChangeLog
from gateway.server.child_process import SIGNALS, Child, start_child
from gateway.server.options import ServerOptions
from gateway.server.process_table import ProcessTable, Row
from gateway.server.request_handler import Application
from gateway.server.runtime import CreateApplication, Runtime
from gateway.server.serving import address_of, listen
from gateway.server.start_report import StartReport
from gateway.server.status_board import StatusBoard
from gateway.server.worker import DRAIN, GRACE, RETIRE, Worker

_log = logging.getLogger("sap_ai_proxy.server")

_SOON, _LATER = 0.05, 1.0
"""Seconds between two checks: while something is expected to happen, and otherwise."""
_BOOT_SECONDS: Final = 60.0
_LIVED_WELL: Final = 10.0
"""The lifetime in seconds after which a worker that ends is replaced at once. Others are replaced after a growing
pause."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
TARDY: Final = 3.0
"""Seconds after its time limit until a worker that has not ended is killed."""
_MOST_MISSED: Final = 30
"""The number of seconds without progress, as counted by this process, after which a worker is killed."""
_ALLOCATIONS: Final = 10_000
"""The number of allocations between two garbage collections in a worker. A request makes a few hundred that it frees
itself."""
_INTERRUPTED: Final = 130
"""The exit code of a command that was interrupted and did not finish."""


class Stage(Enum):
    """The stage of the proxy.

    SERVING --SIGTERM--> DELAYING --drain_delay--> ENDING --no worker left--> over
    SERVING --SIGINT--------------------------------^
    """

    SERVING = "serving"
    DELAYING = "delaying"
    """Operators see that the proxy will end, and requests are still accepted."""
    ENDING = "ending"
    """The workers have been told to end."""


class Supervisor:
    """Runs as many workers as the settings require, until a signal ends it.

    SIGTERM and SIGINT start a drain, a second SIGINT exits at once, and SIGHUP replaces the workers by new ones with
    new settings. *load* loads the settings and raises `SettingsError`. One thread does all the work, so no lock is held
    during a fork, and it blocks only in the selector. Raises `OSError` if it cannot listen.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings], create: CreateApplication) -> None:
        self._settings = settings
        self._load = load
        self._create = create
        log_writer.set_up(settings.log_level, settings.log_format)
        self._selector = selectors.DefaultSelector()
        self._listener = listen(settings.host, settings.port)
        self._table = ProcessTable()
        self._board = StatusBoard.create(self._table)
        self._operations = Operations(self._board, _admin_auth(settings), _keyless_access(settings))
        self._admin = self._open_admin(settings.server)
        self._descriptors = descriptors.raise_limit()
        self._signals: deque[int] = deque()
        self._children: list[Child] = []
        self._incoming: list[Child] = []
        """The workers of a reload that are not ready yet."""
        self._to_absorb: list[int] = []
        """The ended processes whose metrics are not merged yet."""
        self._reload_again = False
        self._generation = self._newest = 0
        """The numbers of the settings in use and of the latest ones. Workers with the same number share operators'
        changes."""
        self._stage = Stage.SERVING
        self._stop_at = self._replace_at = self._look_at = 0.0
        self._early_deaths = 0
        self._has_served = False
        self._exit_code: int | None = None
        self._start_report: StartReport | None = StartReport(self._board.router_state)

    def run(self) -> int:
        """Serve until the end; return the exit code."""
        self._listen_to_signals()
        self._affordable(self._settings, say=True)
        # The workers' garbage collectors skip the objects that exist now, so their memory stays shared.
        gc.freeze()
        try:
            self._start_missing()
            while self._exit_code is None:
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._obey()
                self._reap()
                self._advance()
        finally:
            self._close()
        _log.info("stopped")
        return self._exit_code

    def _listen_to_signals(self) -> None:
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda number, _: self._signals.append(number))
        self._selector.register(reader, selectors.EVENT_READ, partial(_empty, reader))

    def _obey(self) -> None:
        while self._signals:
            match self._signals.popleft():
                case signal.SIGTERM if self._stage is Stage.SERVING:
                    self._announce_end(self._settings.server.drain_delay)
                case signal.SIGINT if self._stage is Stage.SERVING:
                    self._announce_end(0.0)
                case signal.SIGINT | signal.SIGQUIT:
                    self._exit_code = _INTERRUPTED
                case signal.SIGHUP if self._stage is Stage.SERVING:
                    self._reload()

    def _patience(self) -> float:
        expects = self._incoming or self._to_absorb or self._stage is not Stage.SERVING or not self._has_served
        if expects or any(child.retiring for child in self._children):
            return _SOON
        return min(_LATER, max(0.0, self._replace_at - time.monotonic())) if self._missing() else _LATER

    def _advance(self) -> None:
        """Do everything that is due."""
        now = time.monotonic()
        self._has_served = self._has_served or any(child.row.accepting for child in self._children)
        if self._incoming and all(child.row.accepting for child in self._incoming):
            self._take_over(now)
        elif self._incoming and now > self._incoming[0].started + _BOOT_SECONDS:
            self._give_up_reload(f"not ready after {_BOOT_SECONDS:.0f} s")
        elif self._reload_again and not self._incoming:
            self._reload()
        if self._stage is Stage.DELAYING and now >= self._stop_at:
            self._end_workers(now)
        if self._stage is Stage.ENDING and not self._children:
            self._exit_code = self._exit_code or 0
        if self._stage is Stage.SERVING and self._missing() and now >= self._replace_at:
            self._start_missing()
        for child in [each for each in self._children if now >= each.kill_at]:
            child.send(signal.SIGKILL)
        if now >= self._look_at:
            self._look_at = now + _LATER
            self._kill_stuck()
            self._report_start(now)
        self._absorb()
        if self._admin is not None:
            self._admin.close_late()

    def _report_start(self, now: float) -> None:
        """Log what is served, once, as soon as it is known."""
        if self._start_report is None or self._stage is not Stage.SERVING:
            return
        if self._start_report.look(now, serving=any(child.row.accepting for child in self._children)):
            self._start_report = None

    # Starting workers

    def _missing(self) -> int:
        return self._settings.server.workers - sum(not child.retiring for child in self._children)

    def _start_missing(self) -> None:
        for _ in range(self._missing()):
            try:
                self._children.append(self._start(self._settings, self._generation))
            except OSError as error:
                _log.error("cannot start a worker process: %s", error.strerror)
                self._pause_replacing()
                return

    def _start(self, settings: Settings, generation: int) -> Child:
        return start_child(self._table, settings, partial(self._work, settings, generation))

    def _work(self, settings: Settings, generation: int, row: Row) -> None:
        """Run a worker in this child process."""
        self._selector.close()
        if self._admin is not None:
            self._admin.close_in_child()
        writer = log_writer.set_up(settings.log_level, settings.log_format)
        writer.begin_background()
        folder = self._board.folder
        try:
            changes = ChangeLog(folder and folder / f"changes-{generation}.jsonl")
            self._serve(settings, Runtime(self._board, row, writer, changes))
        finally:
            writer.end_background()

    def _serve(self, settings: Settings, runtime: Runtime) -> None:
        """Build the application, and serve it until the worker ends."""
        application = cast(Application, self._create(settings, runtime=runtime))
        # A worker keeps the objects that exist now, so garbage collection skips them.
        gc.freeze()
        gc.set_threshold(_ALLOCATIONS)
        worker = Worker(
            application,
            self._listener,
            runtime,
            replace(settings.server, connections=self._affordable(settings)),
            retire_seconds=_longest_request(settings),
            multiprocess=settings.server.workers > 1,
        )
        worker.listen_to_signals()
        worker.serve()
        if os.getppid() != worker.parent:
            # The supervisor is gone, so nobody else deletes the folder.
            self._board.remove()

    def _affordable(self, settings: Settings, *, say: bool = False) -> int:
        wanted = settings.server.connections
        most = descriptors.affordable_connections(wanted, settings.server.requests, self._descriptors)
        if say and most < wanted:
            _log.warning(
                "at most %d connections are accepted, not %d: a process may have %d open files (ulimit -n)",
                most,
                wanted,
                self._descriptors,
            )
        return most

    # Ending workers

    def _reap(self) -> None:
        for child in [*self._children, *self._incoming]:
            code = child.exit_code()
            if code is not None:
                self._bury(child, code)

    def _bury(self, child: Child, code: int) -> None:
        """Remove a worker that has ended, and react to its end."""
        has_served = child.has_served
        child.row.free()
        self._board.forget(child.pid)
        self._to_absorb.append(child.pid)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if child in self._incoming:
            self._incoming.remove(child)
            self._give_up_reload(f"worker {child.pid} ended with {how} before it was ready")
            return
        self._children.remove(child)
        if child.retiring or self._stage is Stage.ENDING:
            _log.debug("worker %d has ended with %s", child.pid, how)
        elif not self._has_served and not has_served:
            _log.critical("the proxy cannot start: worker %d ended with %s before it was ready", child.pid, how)
            self._exit_code = 1
        else:
            self._record_death(child, how)

    def _record_death(self, child: Child, how: str) -> None:
        """Schedule the replacement of a worker that died: at once, or later if workers keep dying early."""
        self._table.worker_restarts += 1
        if time.monotonic() - child.started >= _LIVED_WELL:
            self._early_deaths = 0
            self._replace_at = 0.0
        else:
            self._pause_replacing()
        _log.error("worker %d ended unexpectedly with %s; a new worker replaces it", child.pid, how)

    def _kill_stuck(self) -> None:
        """Kill workers whose loop makes no progress.

        Checks are counted rather than seconds, in case the machine slept.
        """
        for child in [each for each in self._children if each.has_served]:
            child.look_for_beat()
            if child.missed_beats == _MOST_MISSED:
                _log.error("worker %d has not responded for %d s and is killed", child.pid, _MOST_MISSED)
                child.send(signal.SIGKILL)

    def _pause_replacing(self) -> None:
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._early_deaths) if self._early_deaths else 0.0
        self._early_deaths += 1
        self._replace_at = time.monotonic() + pause

    def _absorb(self) -> None:
        """Merge the metrics of ended workers."""
        folder = self._board.folder
        while self._to_absorb:
            try:
                if folder is not None:
                    shared_metrics.absorb(folder, self._to_absorb[0])
            except BlockingIOError:
                return  # another process is reading them
            except OSError as error:
                _log.warning("the metrics of worker %d are lost: %s", self._to_absorb[0], error.strerror)
            self._to_absorb.pop(0)

    # Reloading the settings

    def _reload(self) -> None:
        """Load the settings, and start workers with them beside the old ones."""
        self._reload_again = bool(self._incoming)
        if self._incoming:
            return
        try:
            settings = self._load()
        except SettingsError as error:
            for line in str(error).splitlines():
                _log.error("the settings are unchanged: %s", line)
            return
        except Exception:  # noqa: BLE001 - an error in an extension must not end the proxy
            _log.exception("the settings are unchanged: they cannot be read")
            return
        for warning in settings.warnings:
            _log.warning("%s", warning)
        settings = self._with_fixed(settings)
        self._affordable(settings, say=True)
        self._newest += 1
        try:
            for _ in range(settings.server.workers):
                self._incoming.append(self._start(settings, self._newest))
        except OSError as error:
            self._give_up_reload(f"cannot start a worker process: {error.strerror}")

    def _with_fixed(self, settings: Settings) -> Settings:
        """Keep the settings that cannot change while sockets are open, with a warning."""
        now, then = self._settings, settings
        if (now.host, now.port) != (then.host, then.port):
            _log.warning("host and port stay %s:%d until the proxy is restarted", now.host, now.port)
        kept = replace(then.server, admin_host=now.server.admin_host, admin_port=now.server.admin_port)
        if kept != then.server:
            _log.warning("server.admin_host and server.admin_port stay as they are until the proxy is restarted")
        return replace(settings, host=now.host, port=now.port, server=kept)

    def _take_over(self, now: float) -> None:
        """Make the new workers serve, and tell the old ones to end after their requests."""
        for child in self._children:
            if not child.retiring:
                child.retiring = True
                child.kill_at = now + _longest_request(child.settings) + GRACE + TARDY
                child.send(RETIRE)
        self._settings = self._incoming[0].settings
        self._generation = self._newest
        self._children += self._incoming
        self._incoming = []
        self._early_deaths = 0
        self._start_report = StartReport(self._board.router_state)
        log_writer.set_up(self._settings.log_level, self._settings.log_format)
        self._operations.auth = _admin_auth(self._settings)
        self._operations.keyless = _keyless_access(self._settings)
        _log.info("the settings were reloaded: new workers serve, old ones finish their requests")

    def _give_up_reload(self, why: str) -> None:
        _log.error("the settings are unchanged: %s", why)
        for child in self._incoming:
            child.retiring = True
            child.send(signal.SIGKILL)
        self._children += self._incoming
        self._incoming = []

    # Shutting down

    def _announce_end(self, delay: float) -> None:
        self._table.draining = True
        self._stage = Stage.DELAYING
        self._stop_at = time.monotonic() + delay

    def _end_workers(self, now: float) -> None:
        """Stop accepting connections, and tell the workers to end after their requests."""
        self._stage = Stage.ENDING
        self._children += self._incoming
        self._incoming = []
        seconds = self._settings.server.drain_seconds
        waiting_for = sum(child.row.open_requests for child in self._children)
        if waiting_for:
            what = f"{waiting_for} open request{'s' if waiting_for > 1 else ''}"
            _log.info("waiting up to %g s for %s; press Ctrl-C again to stop at once", seconds, what)
        for child in self._children:
            child.kill_at = now + child.settings.server.drain_seconds + GRACE + TARDY
            child.send(DRAIN)
        self._listener.close()

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        for child in [*self._children, *self._incoming]:
            child.send(signal.SIGKILL)
        self._listener.close()
        if self._admin is not None:
            self._admin.close()
        self._board.remove()

    def _open_admin(self, options: ServerOptions) -> AdminListener | None:
        if options.admin_port is None:
            return None
        listener = listen(address_of(options.admin_host), options.admin_port)
        return AdminListener(listener, self._selector, self._operations)


def _admin_auth(settings: Settings) -> Auth:
    """Return the authentication of the admin port: none if only this machine reaches it, else that of the main port."""
    return Auth(() if is_loopback(settings.server.admin_host) else settings.keys)


def _longest_request(settings: Settings) -> float:
    """Return the maximum duration of a request with any model, in seconds."""
    policy = settings.policy
    return max([policy.timeouts.total, *(own.total for own in policy.models.values() if own.total is not None)])


def _empty(reader: int) -> None:
    with suppress(BlockingIOError):
        os.read(reader, 4096)


def _keyless_access(settings: Settings) -> KeylessAccess:
    """Return which requests the admin port serves if it has no keys."""
    server = settings.server
    return KeylessAccess(server.admin_host, *server.allowed_hosts, any_name=settings.allow_unauthenticated)
