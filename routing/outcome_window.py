"""The latest outcomes of an endpoint's requests, and when they are too bad."""

from collections import deque
from dataclasses import dataclass

from routing.policy import BreakerPolicy
from routing.rolling_window import RollingWindow


@dataclass(slots=True, eq=False)
class Tally:
    """Outcomes of one part of the window, or the answers between two failures."""

    good: int = 0
    bad: int = 0


class OutcomeWindow:
    """Counts outcomes since a circuit closed; each failure that is one too many comes with the reason.

    An answer that is cut is taken back, as if it had never been: it does not end a row of failures, and does not
    count for the rate. While streams overlap there is always an answer between two cuts, so cuts are too many as well
    when no answer was complete between them. Nothing guards it: it belongs to a breaker.
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._latest = RollingWindow(policy.window, Tally)
        # What was before ends a row as an answer does.
        self._runs = deque([Tally(good=1)], maxlen=policy.failure_threshold)
        """The answers between the latest failures."""
        self._cuts = 0
        """How many answers were cut since one was complete."""
        self._refusals = 0
        """How many requests were refused since one was answered, and accepted elsewhere."""

    def answered(self, now: float) -> tuple[Tally, ...]:
        """Count an answer that has begun; return where, to be given back if it is cut."""
        self._refusals = 0
        running, run = self._latest.current(now), self._runs[-1]
        running.good += 1
        run.good += 1
        return running, run

    def completed(self) -> None:
        """Count an answer that was complete."""
        self._cuts = 0

    def failed(self, now: float, counted: tuple[Tally, ...]) -> str:
        """Count a failure, of an answer that was *counted* if it had begun; say why it is one too many, if it is."""
        for tally in counted:
            tally.good -= 1
        self._latest.current(now).bad += 1
        self._runs.append(Tally())
        self._cuts += bool(counted)
        streak = next((n for n, run in enumerate(reversed(self._runs)) if run.good), len(self._runs))
        slices = self._latest.slices()
        bad = sum(each.bad for each in slices)
        total = bad + sum(each.good for each in slices)
        policy = self._policy
        if streak >= policy.failure_threshold:
            return f"{streak} failures in a row"
        if self._cuts >= policy.failure_threshold:
            return f"{self._cuts} answers in a row ended early"
        if total >= policy.minimum_outcomes and bad >= policy.failure_rate * total:
            return f"{bad} of {total} failed"
        return ""

    def refused(self) -> str:
        """Count a refusal of what another endpoint accepts; say why it is one too many, if it is."""
        self._refusals += 1
        if self._refusals >= self._policy.failure_threshold:
            return f"{self._refusals} requests in a row were refused that others accept"
        return ""
