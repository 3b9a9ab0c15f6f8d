"""Whose failure each kind is, and what it makes of the breaker, of what is in cooldown, and of the next attempt."""

import pytest

from dialects.core.faults import Fault, FaultKind, Quota, http_status
from routing.classification import CLASSIFICATIONS, Effect, Scope, scope_of

CALLERS_OWN = [kind for kind in FaultKind if http_status(Fault(kind, "", 418)) == 418]
"""Kinds that keep the status they came with: the caller sees what it did wrong."""
KINDS = [*FaultKind]


class TestClassifications:
    """Laws of the table: whose fault it is, what the breaker does, what is in cooldown, whether to retry."""

    def test_every_kind_has_a_row(self):
        assert set() == set(KINDS) - CLASSIFICATIONS.keys(), "say in routing/classification.py whose fault these are"
        assert set() == CLASSIFICATIONS.keys() - set(KINDS)

    @pytest.mark.parametrize("kind", CALLERS_OWN)
    def test_a_mistake_of_the_caller_blames_no_endpoint_and_no_quota(self, kind):
        row = CLASSIFICATIONS[kind]

        assert row.effect in {Effect.NEUTRAL, Effect.REFUSAL}
        assert Scope.NONE is row.cooldown

    @pytest.mark.parametrize("kind", CALLERS_OWN)
    def test_a_mistake_of_the_caller_is_tried_elsewhere_only_where_another_may_judge_otherwise(self, kind):
        row = CLASSIFICATIONS[kind]

        assert (row.effect is Effect.REFUSAL) == row.try_elsewhere

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if CLASSIFICATIONS[kind].effect is not Effect.NEUTRAL])
    def test_what_is_held_against_an_endpoint_is_tried_elsewhere(self, kind):
        assert CLASSIFICATIONS[kind].try_elsewhere

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if CLASSIFICATIONS[kind].cooldown is not Scope.NONE])
    def test_what_starts_a_cooldown_is_tried_elsewhere(self, kind):
        assert CLASSIFICATIONS[kind].try_elsewhere

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if CLASSIFICATIONS[kind].effect is Effect.NEUTRAL])
    def test_what_nobody_is_blamed_for_is_tried_elsewhere_only_where_a_cooldown_keeps_it_away(self, kind):
        row = CLASSIFICATIONS[kind]

        assert (row.cooldown is not Scope.NONE) == row.try_elsewhere

    @pytest.mark.parametrize(
        "kind", [FaultKind.UNAUTHENTICATED, FaultKind.CALLER_LEFT, FaultKind.DEFECT, FaultKind.UNAVAILABLE]
    )
    def test_what_no_endpoint_had_a_part_in_changes_nothing(self, kind):
        row = CLASSIFICATIONS[kind]

        assert (row.effect, row.cooldown, row.try_elsewhere) == (Effect.NEUTRAL, Scope.NONE, False)

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if 500 <= http_status(Fault(kind, "")) < 600])
    def test_a_failure_behind_the_proxy_is_tried_elsewhere_unless_there_is_no_elsewhere(self, kind):
        assert (kind not in {FaultKind.DEFECT, FaultKind.UNAVAILABLE}) == CLASSIFICATIONS[kind].try_elsewhere

    def test_each_effect_and_each_scope_has_its_own_reason(self):
        """A quota is nobody's failure, a missing deployment no passing one, a refused token that of a subaccount."""
        by_effect = {effect: {kind for kind in KINDS if CLASSIFICATIONS[kind].effect is effect} for effect in Effect}
        by_scope = {scope: {kind for kind in KINDS if CLASSIFICATIONS[kind].cooldown is scope} for scope in Scope}

        assert {FaultKind.RATE_LIMITED} == by_effect[Effect.THROTTLE] == by_scope[Scope.DOMAIN]
        assert by_effect[Effect.EJECT] == {FaultKind.GONE}
        assert by_effect[Effect.REFUSAL] == {FaultKind.REQUEST_FORBIDDEN, FaultKind.RESOURCE_NOT_FOUND}
        assert by_scope[Scope.SUBACCOUNT] == {FaultKind.REFUSED_CREDENTIALS, FaultKind.NO_TOKEN}
        assert by_scope[Scope.ENDPOINT] == {FaultKind.OVERLOADED}
        assert by_scope[Scope.SUBACCOUNT] <= by_effect[Effect.NEUTRAL]
        assert by_scope[Scope.ENDPOINT] <= by_effect[Effect.FAILURE]

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
