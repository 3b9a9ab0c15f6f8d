"""A soak of a few seconds, with everything in it that one of ten minutes has."""

import pytest

from tests.soak.outcomes import Result
from tests.soak.soak import Options, run


@pytest.mark.repeats
def test_a_short_soak_finds_nothing_amiss() -> None:
    verdict = run(Options(seconds=5, rate=20, reload_every=2.5, kills=1, interval=1, rests=False))
    results = {each.result for each in verdict.outcomes}

    assert verdict.amiss == []
    assert results >= {Result.OK, Result.REFUSED, Result.LEFT}
    assert verdict.disturbances.keys() >= {"killed worker", "reload: changed"}
