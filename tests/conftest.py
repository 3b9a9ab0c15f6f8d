"""How properties are tried everywhere: the same examples each time, untimed, as the machine may be busy.

New examples: `make test ARGS="-m hypothesis --hypothesis-profile=searching"`.
"""

from hypothesis import settings

settings.register_profile("searching", deadline=None)
settings.register_profile("steady", settings.get_profile("searching"), derandomize=True)
settings.load_profile("steady")
