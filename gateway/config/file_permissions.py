"""Checks of the permissions of files: which other users of this machine can read secrets or change the settings."""

import json
import os
import shlex
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config.service_keys import CertificateFiles, secret_of
from gateway.config.settings import Settings

_READ: Final = "every user of this machine can read this file, which has secrets"
_CHANGE: Final = "other users of this machine can change this file"
_REPLACE: Final = "other users of this machine can replace files in this folder"


def with_judged_files(settings: Settings) -> Settings:
    """Add a warning for each file of *settings* that others can change, and for each with secrets that all can read.

    A group may read a file: in Kubernetes, a process reads its secrets as a member of a group. On Windows, where files
    have other permissions, nothing is checked.
    """
    if sys.platform == "win32":
        return settings
    secrets = tuple(_secrets(settings))
    found = dict.fromkeys(warning for path in _files(settings) for warning in _judged(path, secrets))
    return replace(settings, warnings=(*settings.warnings, *found))


def _files(settings: Settings) -> Iterator[Path]:
    """List the files that the settings consist of."""
    if settings.source is not None:
        yield settings.source
    yield from settings.files
    for account in settings.subaccounts.values():
        if isinstance(proof := account.key.proof, CertificateFiles):
            yield from (proof.certificate, proof.key)
    yield from settings.network.trust.bundles
    yield from (Path(module.__file__) for module in settings.extensions if module.__file__)


def _secrets(settings: Settings) -> Iterator[str]:
    """List the secrets, as JSON and PEM files contain them."""
    proxies = settings.network.proxies
    for secret in (
        *(key.secret.reveal() for key in settings.keys if key.secret is not None),
        *(key.reveal() for key in settings.signing_keys),
        *(secret_of(account.key.proof) for account in settings.subaccounts.values()),
        *(proxy.url.reveal() for proxy in (proxies.https, proxies.http) if proxy and "@" in proxy.url.reveal()),
    ):
        if text := secret.strip():
            yield from (text, json.dumps(text)[1:-1])


def _judged(path: Path, secrets: Iterable[str]) -> Iterator[str]:
    """Write the warnings about one file and the folders around it."""
    try:
        real = path.resolve()
        found, folders = real.stat(), [(each, each.stat()) for each in real.parents]
        text = real.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    is_within_reach = all(each.st_mode & stat.S_IXOTH for _, each in folders)
    if is_within_reach and found.st_mode & stat.S_IROTH and any(secret in text for secret in secrets):
        yield _warning(real, _READ, "o-rwx")
    if _is_changed_by_others(found):
        yield _warning(real, _CHANGE, "go-w")
    for folder, mode in folders:
        # In a folder with the sticky bit, such as /tmp, users replace their own files only.
        if _is_changed_by_others(mode) and not mode.st_mode & stat.S_ISVTX:
            yield _warning(folder, _REPLACE, "go-w")


def _is_changed_by_others(found: os.stat_result) -> bool:
    """Return whether others than the owner may write. A group that has the owner alone does not count."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_group_of_owner(found.st_uid, found.st_gid)


def _is_group_of_owner(user: int, group: int) -> bool:
    """Return whether a group is the one that many Linux systems make for each user, with no other member."""
    import grp  # noqa: PLC0415 - Windows has neither module
    import pwd  # noqa: PLC0415

    try:
        owner, members = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return members.gr_name == owner and not {*members.gr_mem} - {owner}


def _warning(path: Path, what: str, change: str) -> str:
    return f"{path}: {what}; run `chmod {change} {shlex.quote(str(path))}`"
