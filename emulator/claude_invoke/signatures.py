"""Signatures of Claude: of thoughts that are shown, and of redacted ones."""

from emulator import signatures

PREFIX = "EqoBCkgI"
_REDACTED_PREFIX = "EmwKAhgB"


def sign(text: str) -> str:
    """Sign a thought."""
    return PREFIX + signatures.sign("claude", text)


def is_signed(given: object) -> bool:
    """Whether a thought's signature is one of ours."""
    return isinstance(given, str) and signatures.made("claude", given.removeprefix(PREFIX))


def seal(seed: str) -> str:
    """Write the data of a redacted thought."""
    return _REDACTED_PREFIX + signatures.sign("redacted", seed)


def is_sealed(given: object) -> bool:
    """Whether the data of a redacted thought is ours."""
    return isinstance(given, str) and signatures.made("redacted", given.removeprefix(_REDACTED_PREFIX))
