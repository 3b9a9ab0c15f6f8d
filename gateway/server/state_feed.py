"""What a dashboard watches: the state of the router and the last hour, as server-sent events."""

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
"""How many dashboards may watch one process at the same time."""
EVERY: Final = 1.0
"""Seconds between two looks at the state, and between two events with it."""
SIGN_OF_LIFE: Final = 15.0
"""Seconds after which the state is sent although it has not changed."""
SETTLED: Final = 3.0
"""Seconds after the end of a step until all workers have published what happened in it."""
_PAUSE: Final = 0.25
"""Seconds between two looks at whether there is something to send, where no loop does it."""
_MOST_SEEN: Final = 1_000
"""How many decisions are remembered as sent."""
_FULL: Final = Fault(
    FaultKind.UNAVAILABLE, f"{MOST_STREAMS} dashboards watch this process already. Close one of them.", retry_after=5.0
)
_HEADER: Final = b"retry: 1000\n\n"
"""How many milliseconds a browser waits before it connects again."""


class StateFeed:
    """Looks at the state and at the last hour, once for all who watch, and not at all while nobody does.

    *state* and *history* give what is known, of all workers; *is_ending* tells whether everybody has to connect
    elsewhere. *now* is seconds since the epoch. `look` may be called by any thread: what it finds are references, each
    replaced in one step.
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
        """The state as it was when it was different the last time; another object each time."""
        self.latest: JSON = {}
        """The state as it was found last."""
        self.step, self.history = -1, b""
        """The number of the step that has ended last, and the event that says so."""
        self._find_state = state
        self._find_history = history
        self._now = now
        self._looked = -math.inf
        self._streams: set[StateStream] = set()

    def watch(self, lifetime: Lifetime, *, may_change: bool) -> "StateStream":
        """Begin a stream, which must be closed; raises `FaultError` if it is one too many.

        *may_change* is whether its client may change what the router does.
        """
        if len(self._streams) >= MOST_STREAMS:
            raise FaultError(_FULL)
        history, step = _event("history", self._find_history()), self._ended_step()
        self._look_at_state()
        stream = StateStream(self, lifetime, _HEADER + history, step, may_change=may_change)
        self._streams.add(stream)
        return stream

    def leave(self, stream: "StateStream") -> None:
        """Forget a stream that is over."""
        self._streams.discard(stream)

    def look(self) -> None:
        """Look again, if anybody watches and it is time to."""
        if not self._streams or self.clock() < self._looked + EVERY:
            return
        try:
            self._look_at_state()
            if (step := self._ended_step()) != self.step:
                self.history, self.step = _event("history", self._find_history()), step
        except Exception:  # noqa: BLE001 - a dashboard is no reason for anything else to end
            _log.exception("the state cannot be found out for those who watch it")

    def _look_at_state(self) -> None:
        self._looked = self.clock()
        self.latest = self._find_state()
        if _lasting(self.latest) != _lasting(self.state):
            self.state = self.latest

    def _ended_step(self) -> int:
        return int((self._now() - SETTLED) // STEP)


class StateStream:
    """The events of one connection: `history` when a step has ended, `state` when something is different.

    It is a response body, as an iterator that must be closed. Whoever iterates waits for the next event; the stream
    loop calls `check` instead, which never waits. Only the decisions that are new since the last event are in it.
    """

    def __init__(self, feed: StateFeed, lifetime: Lifetime, first: bytes, step: int, *, may_change: bool) -> None:
        self._feed = feed
        self._lifetime = lifetime
        self._first = first
        self._step = step
        self._may_change = may_change
        self._state: JSON | None = None
        """The state that was sent last."""
        self._sent_at = -math.inf
        self._seen: dict[tuple[Any, ...], None] = {}
        self.is_over = False
        """Whether nothing more will be sent: the client has to connect again."""
        self.is_flowing = False
        """Whether the first events were given, so that nothing is left but to call `check`."""
        self.upstream = _Nothing()
        self.due = -math.inf
        """When to call `check`: whenever the stream loop looks at its streams."""

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
        """Give nothing: all that there is to send is given by `check`."""
        return b""

    def check(self) -> bytes:
        """Give the events that are due, or nothing."""
        if self._feed.is_ending():
            self.is_over = True
            return b""
        return self._news()

    def close(self) -> None:
        """Let go of the feed."""
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
        """List the decisions that were not sent yet, the newest first."""
        found = {(each.get("worker"), each["id"], each["at"]): each for each in self._feed.latest.get("decisions", [])}
        fresh = [each for key, each in found.items() if key not in self._seen]
        self._seen |= dict.fromkeys(reversed(found))
        while len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return fresh


class _Nothing:
    """What never becomes readable."""

    def fileno(self) -> int:
        """Give no descriptor."""
        return -1


def _event(name: str, content: JSON) -> bytes:
    return f"event: {name}\ndata: {dumps(content)}\n\n".encode()


def _lasting(state: JSON) -> JSON:
    """Leave out what changes with the time alone."""
    endpoints = [{**each, "latency": None, "seconds": None} for each in state.get("endpoints", [])]
    return {**state, "at": None, "endpoints": endpoints}
