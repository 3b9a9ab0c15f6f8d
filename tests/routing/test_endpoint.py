"""Who an endpoint is, and what it is called."""

import math

import pytest

from routing.endpoint import Endpoint, QuotaDomain
from tests.routing.scenes import EU1, EU2, US1, endpoint


class TestEndpoint:
    @pytest.mark.parametrize(
        ("url", "deployment"),
        [
            ("https://api.ai/v2/inference/deployments/d1a2", "d1a2"),
            ("https://api.ai/v2/inference/deployments/d1a2/", "d1a2"),
            ("https://api.ai/deployments/x/v2/deployments/d9/chat/completions", "d9"),
            ("https://api.ai/models/own/", "own"),
            ("https://api.ai/models/own", "own"),
        ],
    )
    def test_the_deployment_is_named_by_the_url(self, url, deployment):
        assert deployment == Endpoint("eu", url, "m").deployment

    def test_a_quota_belongs_to_a_model_in_a_subaccount(self):
        assert QuotaDomain("eu", "m") == EU1.domain == EU2.domain
        assert EU1.domain != US1.domain

    def test_settings_do_not_make_it_another(self):
        heavier = endpoint("eu", "d1", weight=5, tier=2, resource_group="rg")

        assert heavier == EU1
        assert hash(EU1) == hash(heavier)
        assert endpoint("eu", "d1", "other") != EU1

    def test_the_models_of_one_deployment_are_kept_apart_in_tables(self):
        assert len({hash(endpoint("eu", "orchestration", f"m{number}")) for number in range(50)}) == 50

    @pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan])
    def test_a_weight_below_zero_or_without_end_is_refused(self, weight):
        with pytest.raises(ValueError, match="weight must be at least 0 and finite, not"):
            endpoint(weight=weight)
