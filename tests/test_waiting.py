"""How tests wait for what other threads and processes do."""

import itertools

import pytest

from tests.support.processes import until


def test_what_comes_late_is_waited_for_and_given() -> None:
    words = iter(["", "", "here"])

    assert until(lambda: next(words)) == "here"


def test_what_never_comes_fails_the_test_whether_or_not_that_is_asserted() -> None:
    looks = itertools.count()

    with pytest.raises(AssertionError, match="it did not come within 0 s: False as the log says"):
        until(lambda: next(looks) > 5, 0.0, amiss=lambda: "as the log says")
    assert next(looks) == 1
