"""The feed of a dashboard: the state of the router and the last hour, as server-sent events."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final, Self

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.framing.json_text import dumps
from gateway.observability.history import STEP
from gateway.requests.lifetime import Clock, Lifetime

_log = logging.getLogger("sap_ai_proxy.server")
MOST_STREAMS: Final = 20
"""The maximum number of dashboards that watch one process at the same time."""
EVERY: Final = 1.0
"""The minimum number of seconds between two reads of the state, and between two events with it."""
SIGN_OF_LIFE: Final = 15.0
"""Seconds after which the state is sent again even if it has not changed."""
SETTLED: Final = 3.0
"""Seconds after the end of a step until all workers have published their part of it."""
_PAUSE: Final = 0.25
"""Seconds between two checks for events, if no stream loop makes them."""
_MOST_SEEN: Final = 1_000
"""The number of decisions that a stream remembers as sent."""
_FULL: Final = Fault(
    FaultKind.UNAVAILABLE, f"{MOST_STREAMS} dashboards watch this process already. Close one of them.", retry_after=5.0
)
_HEADER: Final = b"retry: 1000\n\n"
"""The time in milliseconds after which a browser reconnects."""


class StateFeed:
    """Reads the state and the last hour once for all dashboards, and not at all while there are none.

    *state* and *history* return those of all workers. *is_ending* returns whether dashboards must reconnect to another
    process. *now* returns seconds since the epoch. Any thread may call `look`, because its results are references that
    are replaced in one step.
    """

    def __init__(
        self,
        state: Callable[[], JSON],
        history: Callable[[], JSON],
        is_ending: Callable[[], bool] = lambda: False,
        *,
        now: Callable[[], float] = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self.is_ending = is_ending
        self.clock = clock
        self.state: JSON = {}
        """The state at its latest change. Each change is a new object."""
        self.latest: JSON = {}
        """The state at the latest read."""
        self.step, self.history = -1, b""
        """The number of the latest completed step, and the event with the history at its end."""
        self._find_state = state
        self._find_history = history
        self._now = now
        self._looked = -math.inf
        self._streams: set[StateStream] = set()

    def watch(self, lifetime: Lifetime, *, may_change: bool) -> "StateStream":
        """Open a stream, which must be closed. Raises `FaultError` if there are too many.

        *may_change* is whether the client may change the router.
        """
        if len(self._streams) >= MOST_STREAMS:
            raise FaultError(_FULL)
        history, step = _event("history", self._find_history()), self._ended_step()
        self._look_at_state()
        stream = StateStream(self, lifetime, _HEADER + history, step, may_change=may_change)
        self._streams.add(stream)
        return stream

    def leave(self, stream: "StateStream") -> None:
        """Remove a stream that has ended."""
        self._streams.discard(stream)

    def look(self) -> None:
        """Read the state if there are streams and the last read is old enough."""
        if not self._streams or self.clock() < self._looked + EVERY:
            return
        try:
            self._look_at_state()
            if (step := self._ended_step()) != self.step:
                self.history, self.step = _event("history", self._find_history()), step
        except Exception:  # noqa: BLE001 - an error here must not affect anything but dashboards
            _log.exception("the state cannot be found out for those who watch it")

    def _look_at_state(self) -> None:
        self._looked = self.clock()
        self.latest = self._find_state()
        if _lasting(self.latest) != _lasting(self.state):
            self.state = self.latest

    def _ended_step(self) -> int:
        return int((self._now() - SETTLED) // STEP)


class StateStream:
    """The events of one connection: `history` after each step, and `state` after each change.

    It is a response body: an iterator that must be closed. The iterator blocks until the next event. The stream loop
    calls `check` instead, which never blocks. A `state` event contains only the decisions since the previous one.
    """

    def __init__(self, feed: StateFeed, lifetime: Lifetime, first: bytes, step: int, *, may_change: bool) -> None:
        self._feed = feed
        self._lifetime = lifetime
        self._first = first
        self._step = step
        self._may_change = may_change
        self._state: JSON | None = None
        """The latest state that was sent."""
        self._sent_at = -math.inf
        self._seen: dict[tuple[Any, ...], None] = {}
        self.is_over = False
        """Whether the stream has ended, so that the client must reconnect."""
        self.is_flowing = False
        """Whether the first events were returned, so that `check` may be called."""
        self.upstream = _Nothing()
        self.due = -math.inf
        """The time of the next `check`: each round of the stream loop."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if not self.is_flowing:
            self.is_flowing = True
            return self._first + self._news()
        while not self.is_over:
            self._feed.look()
            if piece := self.check():
                return piece
            try:
                self._lifetime.sleep(_PAUSE)
            except FaultError:
                self.is_over = True
        raise StopIteration

    def flow(self) -> bytes:
        """Return nothing, since `check` returns all events."""
        return b""

    def check(self) -> bytes:
        """Return the events that are due, possibly none."""
        if self._feed.is_ending():
            self.is_over = True
            return b""
        return self._news()

    def close(self) -> None:
        """End the stream and remove it from the feed."""
        self.is_over = True
        self._feed.leave(self)

    def _news(self) -> bytes:
        feed, now, out = self._feed, self._feed.clock(), b""
        if feed.step > self._step:
            self._step, out = feed.step, feed.history
        is_fresh = feed.state is not self._state and now >= self._sent_at + EVERY
        if is_fresh or now >= self._sent_at + SIGN_OF_LIFE:
            self._state, self._sent_at = feed.state, now
            out += _event("state", {**feed.latest, "may_change": self._may_change, "decisions": self._new_decisions()})
        return out

    def _new_decisions(self) -> list[JSON]:
        """Return the decisions that were not sent yet, newest first."""
        found = {(each.get("worker"), each["id"], each["at"]): each for each in self._feed.latest.get("decisions", [])}
        fresh = [each for key, each in found.items() if key not in self._seen]
        self._seen |= dict.fromkeys(reversed(found))
        while len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return fresh


class _Nothing:
    """A descriptor that never becomes readable."""

    def fileno(self) -> int:
        """Return a number that is no descriptor."""
        return -1


def _event(name: str, content: JSON) -> bytes:
    return f"event: {name}\ndata: {dumps(content)}\n\n".encode()


def _lasting(state: JSON) -> JSON:
    """Return the state without the values that change merely because time passes."""
    endpoints = [{**each, "latency": None, "seconds": None} for each in state.get("endpoints", [])]
    return {**state, "at": None, "endpoints": endpoints}
