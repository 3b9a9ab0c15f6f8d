"""How properties are tried everywhere: the same examples each time, untimed, as the machine may be busy.

New examples: `make test ARGS="-m hypothesis --hypothesis-profile=searching"`.
"""

import gc
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

AGAIN = ("hypothesis", "mark.matrix", "mark.repeats")
"""Words by which the Makefile finds the tests that coverage does not watch."""
settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("searching"), derandomize=True)
settings.load_profile("steady")


def pytest_sessionstart() -> None:
    """Keep constants of our code out of steady examples: each new line of it, and each module loaded, changes them."""
    if settings.default.derandomize:
        providers.is_local_module_file = lambda _path: False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests that `make test-cov` would run in neither of its two runs: it finds the second ones by a word."""
    again = {item.path for item in items if any(item.get_closest_marker(word.removeprefix("mark.")) for word in AGAIN)}
    missed = [str(path) for path in again if not any(word in path.read_text("utf-8") for word in AGAIN)]
    if missed:
        raise pytest.UsageError(f"{', '.join(missed)}: say there which of {', '.join(AGAIN)} these tests are")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what stays to the end, the vendors' SDKs above all, out of every collection of garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# A shell starts what runs in its background with SIGINT ignored, and whatever a test starts would ignore it as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
