"""Code that is served with is loaded without a look for garbage."""

import gc
from collections.abc import Iterator

import pytest

from gateway.cli.loading import loading


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as other tests expect it."""
    yield
    gc.enable()


class Loaded:
    """Something that is made while code is loaded."""


def test_the_collector_stands_still_while_code_is_loaded_and_never_looks_at_it() -> None:
    with loading():
        assert not gc.isenabled()
        loaded = Loaded()
        assert any(each is loaded for each in gc.get_objects())

    assert gc.isenabled()
    assert all(each is not loaded for each in gc.get_objects())


def test_the_collector_goes_on_after_code_that_cannot_be_loaded() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()


def test_a_collector_that_stood_still_before_stands_still_afterwards() -> None:
    gc.disable()
    with loading():
        pass

    assert not gc.isenabled()
