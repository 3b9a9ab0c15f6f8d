"""The API keys of callers, with the name of the caller and its permissions."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config.service_keys import Secret

ANONYMOUS: Final = "anonymous"
"""The name of every caller of a proxy that has no keys."""
DIGEST_NAME_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class CallerKey:
    """A key that opens the proxy, and the name of the caller whose key it is.

    Log lines and `/router/state` show the name, and response ids and seals are signed for it. *secret* is the key
    itself, or None where the config file holds only its hash.
    """

    name: str
    digest: bytes
    """The SHA-256 of the key."""
    secret: Secret | None = None
    is_admin: bool = False
    where: str = field(default="", compare=False)
    """The setting or the environment variable that the key stands in."""


def digest_of(key: str) -> bytes:
    """Compute the SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def unnamed_key(key: str, where: str = "") -> CallerKey:
    """Describe a key that has no name of its own: it is called by the first digits of its digest."""
    digest = digest_of(key)
    return CallerKey(digest.hex()[:DIGEST_NAME_LENGTH], digest, Secret(key), where=where)


def fits_header(key: str) -> bool:
    """Tell whether a caller can send *key* in a header: each character is in Latin-1 and can be printed."""
    try:
        key.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return key.isprintable()


def key_for_models(keys: Sequence[CallerKey]) -> Secret | None:
    """Choose the key that a tool asks models with; an admin key only where every key is one."""
    return _first_secret([key for key in keys if not key.is_admin] or keys)


def key_for_operations(keys: Sequence[CallerKey]) -> Secret | None:
    """Choose the key that reads `/router/state` and `/metrics`: an admin key where there is one."""
    return _first_secret([key for key in keys if key.is_admin] or keys)


def _first_secret(keys: Iterable[CallerKey]) -> Secret | None:
    return next((key.secret for key in keys if key.secret is not None), None)
