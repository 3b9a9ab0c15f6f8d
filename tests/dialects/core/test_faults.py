"""What a caller sees of a failure."""

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind, http_status, invalid


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_has_a_status_that_says_error(kind):
    assert 400 <= http_status(Fault(kind, "x")) < 600


@pytest.mark.parametrize(
    ("kind", "status", "seen"),
    [
        (FaultKind.INVALID_REQUEST, 422, 422),
        (FaultKind.INVALID_REQUEST, 500, 400),
        (FaultKind.NOT_FOUND, None, 404),
        (FaultKind.REFUSED_CREDENTIALS, 401, 502),
        (FaultKind.GONE, 404, 502),
        (FaultKind.RATE_LIMITED, 400, 429),
    ],
)
def test_only_the_callers_own_mistakes_keep_their_status(kind, status, seen):
    assert seen == http_status(Fault(kind, "x", status))


def test_a_wrong_request_names_what_is_wrong():
    error = invalid("n must be 1", "n")

    assert isinstance(error, FaultError)
    assert error.fault == Fault(FaultKind.INVALID_REQUEST, "n must be 1", 400, param="n")
    assert str(error) == "invalid_request: n must be 1"
