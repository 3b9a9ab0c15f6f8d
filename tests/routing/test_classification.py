"""Whose failure each kind is, and what it makes of the breaker, of what is in cooldown, and of the next attempt."""

import pytest

from dialects.core.faults import Fault, FaultKind, Quota
from routing.classification import CLASSIFICATIONS, Effect, Scope, scope_of


class TestClassifications:
    """One row of the table each: whose it is, what the breaker does, what is in cooldown, whether to retry."""

    ROWS = (
        (FaultKind.INVALID_REQUEST, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.CONTENT_FILTERED, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.TOO_LARGE, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.NOT_FOUND, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.UNAUTHENTICATED, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.CALLER_LEFT, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.RATE_LIMITED, Effect.THROTTLE, Scope.DOMAIN, True),
        (FaultKind.OVERLOADED, Effect.FAILURE, Scope.ENDPOINT, True),
        (FaultKind.SERVER_ERROR, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.TIMEOUT, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.UNREACHABLE, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.STREAM_BROKEN, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.REFUSED_CREDENTIALS, Effect.NEUTRAL, Scope.SUBACCOUNT, True),
        (FaultKind.NO_TOKEN, Effect.NEUTRAL, Scope.SUBACCOUNT, True),
        (FaultKind.DEPLOYMENT_FORBIDDEN, Effect.FAILURE, Scope.NONE, True),
        (FaultKind.REQUEST_FORBIDDEN, Effect.REFUSAL, Scope.NONE, True),
        (FaultKind.RESOURCE_NOT_FOUND, Effect.REFUSAL, Scope.NONE, True),
        (FaultKind.GONE, Effect.EJECT, Scope.NONE, True),
        (FaultKind.UNAVAILABLE, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.DEFECT, Effect.NEUTRAL, Scope.NONE, False),
        (FaultKind.OTHER, Effect.FAILURE, Scope.NONE, True),
    )

    @pytest.mark.parametrize(("kind", "effect", "cooldown", "elsewhere"), ROWS, ids=str)
    def test_a_row(self, kind, effect, cooldown, elsewhere):
        row = CLASSIFICATIONS[kind]

        assert (effect, cooldown, elsewhere) == (row.effect, row.cooldown, row.try_elsewhere)

    def test_every_kind_has_a_row(self):
        assert set(FaultKind) == set(CLASSIFICATIONS) == {row[0] for row in self.ROWS}

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
    def test_what_is_in_cooldown_depends_on_whose_quota_it_was_and_on_a_hint(self, fault, scope):
        assert scope is scope_of(fault)
