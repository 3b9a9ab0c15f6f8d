"""The members of one model, and what strategies see of them."""

import math
from collections.abc import Sequence

from routing.cooldown import Cooldowns
from routing.endpoint import Candidate
from routing.member import Member


class Pool:
    """The members of one model, those on standby last. The balancer's lock guards it.

    What strategies see of a member is kept until the member changes, or for *refresh* seconds: the latency of one that
    nobody asks fades.
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
        """Those ahead of all on standby that are drained, in cooldown, or have a circuit that is not closed."""
        self._changed: set[Member] = set()

    def changed(self, member: Member) -> None:
        """Have *member* looked at again. Needs no lock."""
        self._changed.add(member)

    def candidates(self, now: float) -> list[Candidate] | None:
        """List what strategies see if all ahead of standby are available to every request; None if one is not."""
        self._look(now)
        if self._impaired:
            return None
        candidates = list(self._candidates.values())
        del candidates[len(self._ahead) :]
        return candidates  # type: ignore[return-value]

    def rows(self, now: float) -> list[tuple[Member, Candidate | None]]:
        """List the members in no cooldown with what strategies see of them: None if the circuit is not closed."""
        self._look(now)
        return [row for row in self._candidates.items() if self._cooldown_until[row[0]] <= now]

    def _look(self, now: float) -> None:
        """Look again at the members that have changed, or may have with time."""
        if self._cooldown_changes != self._cooldowns.changes:
            self._cooldown_changes = self._cooldowns.changes
            self._cooldown_until = {member: self._cooldowns.until(member.endpoint) for member in self.members}
            self._changed.update(self.members)
        if now >= self._refreshed_at + self._refresh:
            self._refreshed_at = now
            self._changed.update(self.members)
        # A circuit changes under no lock of ours: who changes from here on is looked at now, or the next time.
        changed = tuple(self._changed)
        self._changed.difference_update(changed)
        for member in changed:
            candidate = self._candidates[member] = member.candidate(now, self._cooldown_until[member])
            if (candidate is None or not member.endpoint.weight) and member in self._ahead:
                self._impaired.add(member)
            else:
                self._impaired.discard(member)
