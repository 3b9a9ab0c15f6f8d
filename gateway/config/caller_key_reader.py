"""Reader of the keys of callers, with and without names."""

import re
from collections.abc import Iterable
from typing import Final

from gateway.config.caller_keys import ANONYMOUS, DIGEST_NAME_LENGTH, CallerKey, digest_of, unnamed_key
from gateway.config.mistakes import Findings
from gateway.config.schema import ConfigFile, KeySection
from gateway.config.service_keys import Secret

_DIGEST_NAME: Final = re.compile(rf"[0-9a-f]{{{DIGEST_NAME_LENGTH}}}")
_UNNAMED: Final = "secret_authentication_tokens"
_HASH_PREFIX: Final = "sha256:"


def read_caller_keys(config: ConfigFile, findings: Findings) -> tuple[CallerKey, ...]:
    """Read the keys without names, then the named ones; report unusable keys to *findings*."""
    unnamed: dict[bytes, tuple[str, CallerKey]] = {}
    for index, text in enumerate(config.secret_authentication_tokens):
        where = f"{_UNNAMED}[{index}]"
        read = unnamed_key(text, findings.variable(where) or where)
        unnamed.setdefault(read.digest, (where, read))
    named = [
        (f"keys[{index}]", key)
        for index, section in enumerate(config.keys)
        if (key := _named(section, f"keys[{index}]", findings)) is not None
    ]
    keys = (*unnamed.values(), *named)
    _report_clashes(keys, findings)
    return tuple(key for _, key in keys)


def _named(section: KeySection, where: str, findings: Findings) -> CallerKey | None:
    """Read one named key; report it and return None if it cannot be used."""
    name = section.name
    if name == ANONYMOUS or _DIGEST_NAME.fullmatch(name):
        what = f"{name!r} is reserved: callers without a named key are called so; write another name"
        findings.wrong(f"{where}.name", what)
        return None
    if (section.key is None) == (section.hash is None):
        has = "has both a key and a hash; keep one of them" if section.key else "has no key; write its key or its hash"
        findings.wrong(where, f"{has} (the key of {name!r})")
        return None
    place = findings.variable(where) or where
    if section.key is not None:
        return CallerKey(name, digest_of(section.key), Secret(section.key), section.admin, place)
    digest = bytes.fromhex((section.hash or "").removeprefix(_HASH_PREFIX))
    return CallerKey(name, digest, None, section.admin, place)


def _report_clashes(keys: Iterable[tuple[str, CallerKey]], findings: Findings) -> None:
    """Report names that two keys share, and keys that two callers share."""
    by_name: dict[str, str] = {}
    by_digest: dict[bytes, str] = {}
    for where, key in keys:
        if key.name in by_name:
            findings.wrong(f"{where}.name", f"{key.name!r} is the name of {by_name[key.name]} too; write another name")
        elif key.digest in by_digest:
            findings.wrong(where, f"is the same key as {by_digest[key.digest]}; write another key, or leave one out")
        by_name.setdefault(key.name, where)
        by_digest.setdefault(key.digest, where)
