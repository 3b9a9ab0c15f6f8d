"""How properties are tried everywhere: the same examples each time, untimed, as the machine may be busy.

New examples: `make test ARGS="-m hypothesis --hypothesis-profile=searching"`.
"""

import gc
import signal

from hypothesis import settings

settings.register_profile("searching", deadline=None)
settings.register_profile("steady", settings.get_profile("searching"), derandomize=True)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Keep what stays to the end, the vendors' SDKs above all, out of every later collection of garbage."""
    gc.freeze()


# A shell starts what runs in its background with SIGINT ignored, and whatever a test starts would ignore it as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
