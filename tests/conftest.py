"""How properties are tried everywhere: the same examples each time, untimed, as the machine may be busy.

New examples are what `make fuzz` looks for.
"""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
