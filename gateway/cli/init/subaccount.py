"""The entries of a config file for one service key: their names, and the file that the key lies in."""

import json
import os
import stat
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gateway.cli.config_draft import KEY_FIELDS, SUBACCOUNTS, ConfigDraft
from gateway.cli.connect.files import PRIVATE, kept_mode, replace_file
from gateway.cli.init.service_key import GivenKey
from gateway.cli.messages import CommandError, warn
from gateway.config.service_keys import is_same_tenant
from gateway.config.subaccounts import SubAccount

_MOST: Final = 1000
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file for a service key, and what becomes of it."""

    path: Path
    text: str = ""
    """What is written to it; nothing if it holds the key already."""
    replaces: bool = False
    """Whether another key of the same subaccount is there."""
    moved_from: Path | None = None
    """Where the key lies instead, in the place of the config file."""

    def write(self, like: Path) -> str:
        """Write it for whom the config file *like* is; say what was done, nothing if nothing was.

        One that is there is kept from others, with a warning where that is not permitted.
        """
        try:
            if self.moved_from:
                self.moved_from.replace(self.path)
                said = f"moved {self.moved_from}, which is the service key, to {self.path}"
            elif self.text:
                like = self.path if self.path.exists() else like
                replace_file(self.path, self.text, kept_mode(like), like=like)
                said = f"wrote {self.path} (the service key)"
            else:
                said = ""
        except OSError as error:
            raise CommandError(f"{self.path} cannot be written: {error.strerror}") from None
        was_open = not self.text and keep_from_others(self.path)
        if not said:
            return f"{self.path} can be read by you alone now" if was_open else ""
        return f"{said}; only you can read it" if _is_private(self.path) else said


@dataclass(frozen=True, slots=True)
class Entry:
    """One subaccount of the config file: a key, and a resource group of its tenant."""

    name: str
    group: str
    is_new: bool


def entries(
    given: GivenKey, groups: tuple[str, ...], name: str | None, known: Mapping[str, SubAccount]
) -> tuple[Entry, ...]:
    """Name the subaccounts for resource groups; those that the config file *known* has already keep their names.

    Raises `CommandError` if the *name* that is wanted is that of another subaccount.
    """
    taken, made = set(known), []
    for group in groups:
        same = [
            each.name for each in known.values() if each.resource_group == group and is_same_tenant(each.key, given.key)
        ]
        wanted = name or given.subdomain
        wanted = wanted if len(groups) == 1 else f"{wanted}-{group}"
        kept = next((each for each in (name, wanted) if each in same), None if name else next(iter(same), None))
        if kept is not None:
            made.append(Entry(kept, group, is_new=False))
            continue
        if name and wanted in taken:
            raise CommandError(f"the config file already has another subaccount named {wanted}; give another --name")
        wanted = free_name(wanted, taken)
        taken.add(wanted)
        made.append(Entry(wanted, group, is_new=True))
    return tuple(made)


def keep_from_others(path: Path, chmod: Callable[[Path, int], None] = os.chmod) -> bool:
    """Make a file one that its owner alone may read; whether others might before and may not now."""
    try:
        if sys.platform == "win32" or not path.stat().st_mode & _OTHERS:
            return False
        chmod(path, PRIVATE)
    except OSError as error:
        warn([f"{path} can be read by others, and its mode cannot be changed: {error.strerror}"])
        return False
    return True


def _is_private(path: Path) -> bool:
    """Tell whether nobody else can read a file; of Windows that is not known."""
    if sys.platform == "win32":
        return False
    found = path.stat()
    return not found.st_mode & _OTHERS and found.st_uid == os.geteuid()


def key_file(given: GivenKey, draft: ConfigDraft, name: str, known: Mapping[str, SubAccount]) -> KeyFile | None:
    """Say which file the key lies in, relative to the config file's folder; None if the environment has it."""
    folder = draft.path.parent
    if not given.text:
        return None
    if draft.holds_key:
        if not _same_json(_text(draft.path), given.text):
            what = "is another service key, not a config file: move it away, or give another --config FILE"
            raise CommandError(f"{draft.path} {what}")
        return replace(_free_file(given, folder, name), text="", moved_from=draft.path)
    if given.file is not None and given.file.resolve().parent == folder.resolve():
        return KeyFile(folder / given.file.resolve().name)
    if given.file is not None and given.names_files:
        return KeyFile(given.file.resolve())
    for other, account in known.items():
        if is_same_tenant(account.key, given.key) and (path := _named(draft.subaccounts.get(other, {}), folder)):
            held = _text(path)
            return KeyFile(path) if _same_json(held, given.text) else KeyFile(path, given.text, replaces=bool(held))
    return _free_file(given, folder, name)


def _free_file(given: GivenKey, folder: Path, name: str) -> KeyFile:
    """Find a file for the key that holds nothing else."""
    for number in range(1, _MOST):
        path = folder / f"{name}_key{'' if number == 1 else f'_{number}'}.json"
        held = _text(path)
        if not held:
            return KeyFile(path, given.text)
        if _same_json(held, given.text):
            return KeyFile(path)
    raise CommandError(f"{folder} has too many files named {name}_key_….json; delete some of them")


def put(draft: ConfigDraft, entry: Entry, file: KeyFile | None) -> None:
    """Set what the config file says of one subaccount; what else it says there stays."""
    written = draft.subaccounts.get(entry.name, {})
    before = {name: value for name, value in written.items() if name not in KEY_FIELDS}
    folder = draft.path.parent
    key: dict[str, Any] = {"service_key": "env"} if file is None else {"service_key_json": _shown(file.path, folder)}
    draft.set((SUBACCOUNTS, entry.name), {**before, "resource_group": entry.group, **key})


def _shown(path: Path, folder: Path) -> str:
    return path.name if path.parent == folder else str(path)


def free_name(wanted: str, taken: Container[str]) -> str:
    """Give a name that no other subaccount has: the one that is wanted, with a number if need be."""
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, _MOST))
    return next(name for name in names if name not in taken)


def _named(section: Mapping[str, Any], folder: Path) -> Path | None:
    name = section.get("service_key_json")
    return folder / name if isinstance(name, str) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (NotADirectoryError, PermissionError) as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}; give another --config FILE") from None
    except (OSError, ValueError):
        return "?"


def _same_json(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False
