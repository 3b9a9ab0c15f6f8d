"""Looks at a running proxy again and again, until somebody has seen enough."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from dialects.core.conversation import JSON
from gateway.cli.keyboard import Wake
from gateway.cli.running_proxy import RunningProxy, RunningProxyError
from gateway.cli.status.screen import render, span
from gateway.cli.status.view import Snapshot, view_of
from gateway.cli.terminal import Drawing, Space

WINDOW: Final = 10.0
"""The seconds that rates are of."""
_PATIENCE: Final = 5.0
"""The seconds within which a proxy has to answer."""


class StatusReader:
    """Reads the state of a running proxy; raises `RunningProxyError`."""

    def __init__(self, proxy: RunningProxy, clock: Callable[[], float] = time.monotonic) -> None:
        self._proxy = proxy
        self._clock = clock

    def __call__(self) -> Snapshot:
        """Read it now."""
        return self._proxy.ask("/router/state", self._snapshot, "how it is", _PATIENCE)

    def _snapshot(self, state: JSON) -> Snapshot:
        found = Snapshot(self._clock(), state)
        view_of(found)  # raises if it is something else
        return found


def watch(
    read: Callable[[], Snapshot],
    show: Callable[[Drawing], None],
    space: Callable[[], Space],
    wait: Callable[[float], Wake],
    first: Snapshot,
    interval: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = datetime.now,
) -> None:
    """Show what is read, beginning with *first*, and read again after each *interval* of seconds, until it is enough.

    A proxy that does not answer is shown as it was, and asked again. *clock* gives seconds that only grow, *now*
    the time of day as it is shown.
    """
    history = deque([first])
    silent_since, why = now(), ""
    read_at = clock() + interval
    with suppress(KeyboardInterrupt):
        while True:
            view = view_of(history[-1], history[0] if len(history) > 1 else None)
            moment = now()
            silence = _silence(why, silent_since, moment) if why else ""
            show(render(view, space(), zone=moment.tzinfo, silence=silence))
            match wait(max(0.0, read_at - clock())):
                case Wake.QUIT:
                    return
                case Wake.REDRAW if clock() < read_at:
                    continue
                case _:
                    pass
            try:
                _remember(history, read())
                why = ""
            except RunningProxyError as error:
                silent_since = silent_since if why else now()
                why = error.brief
            read_at = clock() + interval


def _remember(history: deque[Snapshot], found: Snapshot) -> None:
    """Keep what rates need; nothing of a proxy that has been started again since."""
    if found.state["started"] != history[-1].state["started"]:
        history.clear()
    history.append(found)
    while len(history) > 2 and history[1].at <= found.at - WINDOW:
        history.popleft()


def _silence(why: str, since: datetime, now: datetime) -> str:
    return f"{why} since {since:%H:%M:%S} ({span((now - since).total_seconds())})"
