"""The window of the latest outcomes of an endpoint, and the rules that open its circuit."""

from collections import deque
from dataclasses import dataclass

from routing.policy import BreakerPolicy
from routing.rolling_window import RollingWindow


@dataclass(slots=True, eq=False)
class Tally:
    """The counts of one slice of the window, or the answers between two failures."""

    good: int = 0
    bad: int = 0


class OutcomeWindow:
    """Counts the outcomes since a circuit closed, and says when there are too many failures.

    A stream that is cut counts as a failure, and its answer is subtracted again: it does not end a row of failures.
    With overlapping streams, answers begin between any two cuts, so cuts are also counted by themselves until an answer
    is complete. Not thread-safe: the breaker calls it under its own lock.
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._latest = RollingWindow(policy.window, Tally)
        # The first tally has an answer, at which a row of failures ends.
        self._runs = deque([Tally(good=1)], maxlen=policy.failure_threshold)
        """The counts of answers between the latest failures."""
        self._cuts = 0
        """The number of answers that were cut since the last complete one."""
        self._refusals = 0
        """The number of requests since the last answer that were refused here and accepted elsewhere."""

    def answered(self, now: float) -> tuple[Tally, ...]:
        """Count an answer that has begun; return the tallies, to be passed to `failed` if it is cut."""
        self._refusals = 0
        running, run = self._latest.current(now), self._runs[-1]
        running.good += 1
        run.good += 1
        return running, run

    def completed(self) -> None:
        """Count a complete answer."""
        self._cuts = 0

    def failed(self, now: float, counted: tuple[Tally, ...]) -> str:
        """Count a failure; *counted* is the result of `answered`, if any. Return why to open the circuit, or ""."""
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
        """Count a refusal of a request that another endpoint accepted. Return why to open the circuit, or ""."""
        self._refusals += 1
        if self._refusals >= self._policy.failure_threshold:
            return f"{self._refusals} requests in a row were refused that others accept"
        return ""
