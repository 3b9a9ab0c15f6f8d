"""Random tokens for ids."""

import os
from typing import Final

_BYTES: Final = 12
"""The random bytes of a token, enough to be unique and impossible to guess."""
_AT_ONCE: Final = 128
"""The number of tokens that are made at a time, because `os.urandom` releases the interpreter's lock each time."""


class RandomTokens:
    """Returns unique random texts of 24 hexadecimal digits. Thread-safe; a forked process needs its own object."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self) -> str:
        """Return the next token."""
        while True:
            try:
                return self._ready.pop()
            except IndexError:
                made = os.urandom(_BYTES * _AT_ONCE).hex()
                self._ready += [made[at : at + 2 * _BYTES] for at in range(0, len(made), 2 * _BYTES)]
