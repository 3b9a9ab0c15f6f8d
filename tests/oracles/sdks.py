"""The vendors' SDKs, imported when one is first asked for: that takes seconds, for which few tests must wait."""

import functools
import gc
import importlib
import os
import warnings
from typing import Any

import pytest


def sdk(module: str) -> Any:
    """Import a module of an SDK; where `WITHOUT_SDKS` is set, as in `make test-fast`, the test is skipped instead."""
    if os.environ.get("WITHOUT_SDKS"):
        pytest.skip("a vendor's SDK is asked, which takes seconds to load: `make test` does")
    return _imported(module)


@functools.cache
def _imported(module: str) -> Any:
    with warnings.catch_warnings():
        # Whatever an SDK does that its own dependencies have come to dislike.
        warnings.simplefilter("ignore")
        found = importlib.import_module(module)
    # What is in it stays to the end: it is kept out of all collections of garbage.
    gc.freeze()
    return found
