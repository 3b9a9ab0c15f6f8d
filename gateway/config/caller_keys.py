"""The keys of callers: whose each one is, what it lets them do, and what of it the config file holds."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.config.mistakes import Findings
from gateway.config.schema import ConfigFile, KeySection
from gateway.config.service_keys import Secret

ANONYMOUS: Final = "anonymous"
"""The name of every caller of a proxy that has no keys."""
_DIGEST_NAME_LENGTH: Final = 8
_DIGEST_NAME: Final = re.compile(rf"[0-9a-f]{{{_DIGEST_NAME_LENGTH}}}")
_UNNAMED: Final = "secret_authentication_tokens"
_HASH_PREFIX: Final = "sha256:"


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


def digest_of(key: str) -> bytes:
    """Compute the SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def unnamed_key(key: str) -> CallerKey:
    """Describe a key that has no name of its own: it is called by the first digits of its digest."""
    digest = digest_of(key)
    return CallerKey(digest.hex()[:_DIGEST_NAME_LENGTH], digest, Secret(key))


def read_caller_keys(config: ConfigFile, findings: Findings) -> tuple[CallerKey, ...]:
    """Read the keys without names, then the named ones; what cannot be used goes to *findings*."""
    unnamed: dict[bytes, tuple[str, CallerKey]] = {}
    for index, text in enumerate(config.secret_authentication_tokens):
        read = unnamed_key(text)
        unnamed.setdefault(read.digest, (f"{_UNNAMED}[{index}]", read))
    named = [
        (f"keys[{index}]", key)
        for index, section in enumerate(config.keys)
        if (key := _named(section, f"keys[{index}]", findings)) is not None
    ]
    keys = (*unnamed.values(), *named)
    _report_clashes(keys, findings)
    return tuple(key for _, key in keys)


def key_for_models(keys: Sequence[CallerKey]) -> Secret | None:
    """Choose the key that a tool asks models with; an admin key only where every key is one."""
    return _first_secret([key for key in keys if not key.is_admin] or keys)


def key_for_operations(keys: Sequence[CallerKey]) -> Secret | None:
    """Choose the key that reads `/router/state` and `/metrics`: an admin key where there is one."""
    return _first_secret([key for key in keys if key.is_admin] or keys)


def _first_secret(keys: Iterable[CallerKey]) -> Secret | None:
    return next((key.secret for key in keys if key.secret is not None), None)


def _named(section: KeySection, where: str, findings: Findings) -> CallerKey | None:
    """Read one named key; None if it cannot be used."""
    name = section.name
    if name == ANONYMOUS or _DIGEST_NAME.fullmatch(name):
        what = f"{name!r} is reserved: callers without a named key are called so; write another name"
        findings.wrong(f"{where}.name", what)
        return None
    if (section.key is None) == (section.hash is None):
        has = "has both a key and a hash; keep one of them" if section.key else "has no key; write its key or its hash"
        findings.wrong(where, f"{has} (the key of {name!r})")
        return None
    if section.key is not None:
        return CallerKey(name, digest_of(section.key), Secret(section.key), section.admin)
    digest = bytes.fromhex((section.hash or "").removeprefix(_HASH_PREFIX))
    return CallerKey(name, digest, None, section.admin)


def _report_clashes(keys: Iterable[tuple[str, CallerKey]], findings: Findings) -> None:
    """Report names that two keys have, and keys that two callers have."""
    by_name: dict[str, str] = {}
    by_digest: dict[bytes, str] = {}
    for where, key in keys:
        if key.name in by_name:
            findings.wrong(f"{where}.name", f"{key.name!r} is the name of {by_name[key.name]} too; write another name")
        elif key.digest in by_digest:
            findings.wrong(where, f"is the same key as {by_digest[key.digest]}; write another key, or leave one out")
        by_name.setdefault(key.name, where)
        by_digest.setdefault(key.digest, where)
