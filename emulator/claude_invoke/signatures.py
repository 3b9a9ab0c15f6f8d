"""Signatures of Claude's thoughts, visible and redacted."""

from emulator import signatures

PREFIX = "EqoBCkgI"
_REDACTED_PREFIX = "EmwKAhgB"


def sign(text: str) -> str:
    """Sign a thought."""
    return PREFIX + signatures.sign("claude", text)


def is_signed(given: object) -> bool:
    """Return whether a thought's signature was made by the emulator."""
    return isinstance(given, str) and signatures.made("claude", given.removeprefix(PREFIX))


def redact(seed: str) -> str:
    """Return the data of a redacted thought."""
    return _REDACTED_PREFIX + signatures.sign("redacted", seed)


def is_redacted(given: object) -> bool:
    """Return whether the data of a redacted thought was made by the emulator."""
    return isinstance(given, str) and signatures.made("redacted", given.removeprefix(_REDACTED_PREFIX))
