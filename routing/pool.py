"""Pools: the members of one model, and the candidates made from them."""

import math
from collections.abc import Sequence

from routing.cooldown import Cooldowns
from routing.endpoint import Candidate
from routing.member import Member


class Pool:
    """The members of one model, those on standby last. The balancer's lock guards it.

    The candidate for a member is kept until the member changes, for at most *refresh* seconds, because the expected
    latency of a member without requests decays.
    """

    def __init__(self, members: Sequence[Member], cooldowns: Cooldowns, refresh: float) -> None:
        self.members = tuple(sorted(members, key=lambda member: member.endpoint.standby))
        self._ahead = {member for member in members if not member.endpoint.standby} or {*members}
        self._cooldowns = cooldowns
        self._cooldown_changes = -1
        self._refresh = refresh
        self._refreshed_at = -math.inf
        self._cooldown_until: dict[Member, float] = {}
        self._candidates: dict[Member, Candidate | None] = dict.fromkeys(self.members)
        self._impaired: set[Member] = set()
        """Members not on standby that are drained, in cooldown, or have a circuit that is not closed."""
        self._changed: set[Member] = set()

    def changed(self, member: Member) -> None:
        """Schedule a new candidate for *member*. Needs no lock."""
        self._changed.add(member)

    def candidates(self, now: float) -> list[Candidate] | None:
        """Return the candidates of all members not on standby; None if one of these is impaired."""
        self._look(now)
        if self._impaired:
            return None
        candidates = list(self._candidates.values())
        del candidates[len(self._ahead) :]
        return candidates  # type: ignore[return-value]

    def rows(self, now: float) -> list[tuple[Member, Candidate | None]]:
        """Return the members that are not in cooldown with their candidates; None if the circuit is not closed."""
        self._look(now)
        return [row for row in self._candidates.items() if self._cooldown_until[row[0]] <= now]

    def _look(self, now: float) -> None:
        """Update the candidates of the members that have changed, or may have changed with time."""
        if self._cooldown_changes != self._cooldowns.changes:
            self._cooldown_changes = self._cooldowns.changes
            self._cooldown_until = {member: self._cooldowns.until(member.endpoint) for member in self.members}
            self._changed.update(self.members)
        if now >= self._refreshed_at + self._refresh:
            self._refreshed_at = now
            self._changed.update(self.members)
        # Circuits change without this lock: a member that changes from here on is updated now or in the next call.
        changed = tuple(self._changed)
        self._changed.difference_update(changed)
        for member in changed:
            candidate = self._candidates[member] = member.candidate(now, self._cooldown_until[member])
            if (candidate is None or not member.endpoint.weight) and member in self._ahead:
                self._impaired.add(member)
            else:
                self._impaired.discard(member)
