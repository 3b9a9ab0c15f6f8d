"""Whose failure each kind is, and what it makes of the breaker, of what rests, and of the next attempt."""

import pytest

from dialects.faults import Fault, FaultKind, Quota
from routing.health import VERDICTS, Effect, Outcome, Scope, scope_of


class TestVerdicts:
    """One row of the table each: whose it is, what the breaker does, what rests, and whether to go elsewhere."""

    ROWS = (
        (FaultKind.INVALID_REQUEST, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.CONTENT_FILTERED, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.TOO_LARGE, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.NOT_FOUND, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.UNAUTHENTICATED, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.CALLER_LEFT, Outcome.CALLER, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.RATE_LIMITED, Outcome.RATE_LIMITED, Effect.THROTTLE, Scope.DOMAIN, True),
        (FaultKind.OVERLOADED, Outcome.OVERLOADED, Effect.FAILURE, Scope.ENDPOINT, True),
        (FaultKind.SERVER_ERROR, Outcome.SERVER, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.TIMEOUT, Outcome.SERVER, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.UNREACHABLE, Outcome.SERVER, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.STREAM_BROKEN, Outcome.STREAM, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.REFUSED_CREDENTIALS, Outcome.CREDENTIALS, Effect.NEUTRAL, Scope.SUBACCOUNT, True),
        (FaultKind.NO_TOKEN, Outcome.CREDENTIALS, Effect.NEUTRAL, Scope.SUBACCOUNT, True),
        (FaultKind.DEPLOYMENT_FORBIDDEN, Outcome.FORBIDDEN, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.REQUEST_FORBIDDEN, Outcome.REFUSED, Effect.REFUSAL, Scope.NONE, True),
        (FaultKind.RESOURCE_NOT_FOUND, Outcome.REFUSED, Effect.REFUSAL, Scope.NONE, True),
        (FaultKind.GONE, Outcome.GONE, Effect.TRIP, Scope.NONE, True),
        (FaultKind.UNAVAILABLE, Outcome.UNAVAILABLE, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.DEFECT, Outcome.DEFECT, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.OTHER, Outcome.OTHER, Effect.FAILURE, Scope.NONE, True),
    )

    @pytest.mark.parametrize(("kind", "outcome", "effect", "cooling", "elsewhere"), ROWS, ids=str)
    def test_a_row(self, kind, outcome, effect, cooling, elsewhere):
        row = VERDICTS[kind]

        assert (outcome, effect, cooling, elsewhere) == (row.outcome, row.effect, row.cooling, row.try_elsewhere)

    def test_every_kind_has_a_row(self):
        assert set(FaultKind) == set(VERDICTS) == {row[0] for row in self.ROWS}

    @pytest.mark.parametrize(
        ("fault", "scope"),
        [
            (Fault(FaultKind.RATE_LIMITED, "", quota=Quota.MODEL), Scope.DOMAIN),
            (Fault(FaultKind.RATE_LIMITED, "", quota=Quota.ENDPOINT), Scope.ENDPOINT),
            (Fault(FaultKind.OVERLOADED, ""), Scope.NONE),
            (Fault(FaultKind.OVERLOADED, "", retry_after=0.0), Scope.ENDPOINT),
            (Fault(FaultKind.REFUSED_CREDENTIALS, "", retry_after=1.0), Scope.SUBACCOUNT),
            (Fault(FaultKind.SERVER_ERROR, "", retry_after=1.0), Scope.NONE),
        ],
    )
    def test_what_rests_depends_on_whose_quota_it_was_and_on_a_hint(self, fault, scope):
        assert scope is scope_of(fault)
