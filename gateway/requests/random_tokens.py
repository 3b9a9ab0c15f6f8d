"""Random text that ids are made of."""

import os
from typing import Final

_BYTES: Final = 12
"""As many as nobody guesses, and no two requests share."""
_AT_ONCE: Final = 128
"""How many are made at a time: asking the system for randomness lets go of the interpreter's lock."""


class RandomTokens:
    """Gives random texts of 24 hexadecimal digits, each once. Many threads may ask; a forked process needs its own."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self) -> str:
        """Give the next one."""
        while True:
            try:
                return self._ready.pop()
            except IndexError:
                made = os.urandom(_BYTES * _AT_ONCE).hex()
                self._ready += [made[at : at + 2 * _BYTES] for at in range(0, len(made), 2 * _BYTES)]
