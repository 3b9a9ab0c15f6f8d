"""How endpoints stand, and what to tell a caller when none of them can take a request."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dialects.faults import Fault, FaultKind
from routing.cooling import Cooling
from routing.endpoint import Endpoint
from routing.journal import Circuit, EndpointState, Row, Standing
from routing.lease import Key, Member, keys_of

_PROBE_TAKES = 1.0
"""Seconds after which it is worth asking again whether a probe has succeeded."""

MAY_BE_CHOSEN = frozenset({Standing.READY, Standing.PROBE})

MAKER_LEFT = Fault(
    FaultKind.NOT_FOUND,
    "What this request continues was made by a deployment that is not there any more.",
    404,
    param="previous_response_id",
)


class Stand(NamedTuple):
    """Whether an endpoint may be chosen; if not, why, for how many seconds, and what made it rest."""

    standing: Standing
    why: str = ""
    seconds: float = 0.0
    cooled_by: FaultKind | None = None


class NoEndpointError(ValueError):
    """No endpoint can take the request now.

    *fault* is what to tell the caller; *wait* is how many seconds the nearest cooling
    still lasts, None if nothing is to be had by waiting for one.
    """

    def __init__(self, fault: Fault, wait: float | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Survey:
    """A look at members at one moment; whoever takes it holds the ledger's lock."""

    cooling: Cooling
    now: float
    decay: float

    def rest(self, member: Member) -> tuple[float, Key]:
        """How many seconds the endpoint still rests, and what makes it."""
        seconds, key = 0.0, keys_of(member.endpoint)[0]
        for each in keys_of(member.endpoint):
            left = self.cooling.remaining(each)
            if left > seconds:
                seconds, key = left, each
        return seconds, key

    def stand(self, member: Member) -> Stand:
        """Whether the endpoint may be chosen, leaving aside who asks."""
        view = member.breaker.snapshot()
        opened = 0.0 if view.until is None else view.until - self.now
        rests, key = self.rest(member)
        if rests:
            why = self.cooling.why(key) or FaultKind.OTHER
            return Stand(Standing.COOLING, f"{_name(key)}: {why.value}", max(rests, opened), why)
        if view.state is Circuit.CLOSED:
            return Stand(Standing.READY)
        if view.state is Circuit.OPEN:
            return Stand(Standing.GONE if view.gone else Standing.OPEN, view.reason, opened)
        if view.probing:
            return Stand(Standing.PROBING, view.reason, _PROBE_TAKES)
        return Stand(Standing.PROBE, view.reason)

    def row(self, member: Member, *, excluded: bool) -> Row:
        """How one choice sees the endpoint."""
        stand = self.stand(member)
        if excluded and stand.standing in MAY_BE_CHOSEN:
            stand = Stand(Standing.EXCLUDED)
        return Row(
            endpoint=member.endpoint,
            standing=stand.standing,
            why=stand.why,
            seconds=stand.seconds,
            in_flight=member.in_flight,
            weight=member.endpoint.weight * member.breaker.snapshot().share,
            latency=member.latency(self.now, self.decay),
            cooled_by=stand.cooled_by,
        )

    def state(self, member: Member) -> EndpointState:
        """Everything that is known about the endpoint."""
        view, row = member.breaker.snapshot(), self.row(member, excluded=False)
        return EndpointState(
            endpoint=member.endpoint,
            standing=row.standing,
            circuit=view.state,
            why=row.why or view.reason,
            seconds=row.seconds,
            k=view.k,
            in_flight=row.in_flight,
            latency=row.latency,
            weight=row.weight,
            domain=member.endpoint.domain,
            last_error=member.last_error,
            answered=self.now - member.answered,
        )


def _name(key: Key) -> str:
    if isinstance(key, str):
        return "subaccount"
    return "endpoint" if isinstance(key, Endpoint) else "quota"


def nearest(rows: Sequence[Row]) -> float | None:
    """In how many seconds the first of *rows* may be asked; None if nobody can say."""
    seconds = min((row.seconds for row in rows), default=math.inf)
    return seconds if math.isfinite(seconds) else None


def regret(model: str, rows: Sequence[Row]) -> NoEndpointError:
    """Say why none of *rows* was leased, and when it is worth coming back."""
    if any(row.standing is Standing.EXCLUDED or row.standing in MAY_BE_CHOSEN for row in rows):
        return NoEndpointError(Fault(FaultKind.UNAVAILABLE, f"no other deployment of {model!r} is left to try", 503))
    resting = [row for row in rows if row.standing is Standing.COOLING]
    wait = min((row.seconds for row in resting), default=None)
    after = nearest(rows)
    if any(row.cooled_by is FaultKind.RATE_LIMITED for row in resting):
        fault = Fault(FaultKind.RATE_LIMITED, f"the quota of every deployment of {model!r} is used up", 429, after)
    elif all(row.cooled_by is FaultKind.REFUSED_CREDENTIALS for row in rows):
        message = f"SAP AI Core refuses the proxy's credentials for every deployment of {model!r}"
        fault = Fault(FaultKind.REFUSED_CREDENTIALS, message, 502, after)
    else:
        fault = Fault(FaultKind.UNAVAILABLE, f"no deployment of {model!r} can take the request now", 503, after)
    return NoEndpointError(fault, wait)
