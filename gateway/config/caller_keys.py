"""The API keys of callers, with each caller's name and permissions."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config.service_keys import Secret

ANONYMOUS: Final = "anonymous"
"""The name of every caller if the proxy has no keys."""
DIGEST_NAME_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class CallerKey:
    """A key that clients send to the proxy, and the name of its caller.

    The name appears in log lines and in `/router/state`, and response ids and signatures are signed for it. *secret* is
    the key itself, or None if the config file holds only its hash.
    """

    name: str
    digest: bytes
    """The SHA-256 of the key."""
    secret: Secret | None = None
    is_admin: bool = False
    where: str = field(default="", compare=False)
    """The setting or the environment variable that contains the key."""


def digest_of(key: str) -> bytes:
    """Compute the SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def unnamed_key(key: str, where: str = "") -> CallerKey:
    """Build a key without a name of its own. The first digits of its digest serve as its name."""
    digest = digest_of(key)
    return CallerKey(digest.hex()[:DIGEST_NAME_LENGTH], digest, Secret(key), where=where)


def fits_header(key: str) -> bool:
    """Return whether *key* can be sent in a header: each character is printable and in Latin-1."""
    try:
        key.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return key.isprintable()


def key_for_models(keys: Sequence[CallerKey]) -> Secret | None:
    """Return the key that a tool uses to call models: an admin key only if every key is one.

    Return None if only hashes are known.
    """
    return _first_secret([key for key in keys if not key.is_admin] or keys)


def key_for_operations(keys: Sequence[CallerKey]) -> Secret | None:
    """Return the key for `/router/state` and `/metrics`: an admin key if there is one, or None if all are hashes."""
    return _first_secret([key for key in keys if key.is_admin] or keys)


def _first_secret(keys: Iterable[CallerKey]) -> Secret | None:
    return next((key.secret for key in keys if key.secret is not None), None)
