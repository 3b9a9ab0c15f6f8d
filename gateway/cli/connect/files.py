"""Edits the settings files of tools: the rest stays, a copy is kept, and undo restores it."""

import os
import re
import stat
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dialects.core.conversation import JSON
from gateway.cli.connect import json_text, toml_text
from gateway.cli.messages import warn
from gateway.tool_settings.tool import ConnectError, Edits, Format, SettingsFile, merged

COPY: Final = ".before-sap-ai-proxy"
"""What the name of a copy ends in. A copy of nothing means that there was no file."""
UNDONE: Final = ".undone-sap-ai-proxy"
"""What the name of a file ends in that had changed since, and was replaced by its copy."""
PRIVATE: Final = 0o600
"""The mode of what its owner alone may read."""
_GROUP: Final = stat.S_IRGRP | stat.S_IWGRP
Chown = Callable[[Path, int, int], None]
_CHOWN: Final[Chown | None] = getattr(os, "chown", None)
"""Gives a file to a user and a group; Windows has no such thing."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_BY_HAND: Final = "correct it, or make the settings of --print by hand"
_PLAIN: Final = re.compile(r"[\w.:/@+-]*")


def write(files: Sequence[SettingsFile]) -> list[str]:
    """Write all *files*, or none if the content of one could not be kept; return what was done.

    The first copy stays until it is restored, however often is written. Raises `ConnectError`.
    """
    said: list[str] = []
    try:
        edited = [(path, read(path), file) for file in files for path in [file.path.resolve()]]
        written = [(path, before, _applied(before or "", file)) for path, before, file in edited]
        for path, before, after in written:
            if before == after:
                said.append(f"{path} needs no change")
                continue
            copy = path.with_name(path.name + COPY)
            is_ours = not copy.exists() or _is_as_written(path, copy)
            if not copy.exists():
                mode = PRIVATE if before is None else path.stat().st_mode & 0o777
                replace_file(copy, before or "", mode, like=path)
            replace_file(path, after, PRIVATE)
            written_at = path.stat().st_mtime_ns if is_ours else 0
            os.utime(copy, ns=(written_at, written_at))
            said.append(f"wrote {path} (as it was: {copy.name})")
    except OSError as error:
        raise ConnectError(f"{error.filename}: {error.strerror}") from None
    return said


def undo(paths: Sequence[Path]) -> list[str]:
    """Restore the files as they were before the first write; return what was done. Raises `ConnectError`."""
    said: list[str] = []
    try:
        for path in [each.resolve() for each in paths]:
            copy = path.with_name(path.name + COPY)
            if not copy.exists():
                continue
            was_there = copy.stat().st_size > 0
            if path.exists() and not _is_as_written(path, copy):
                path.replace(path.with_name(path.name + UNDONE))
                said.append(f"{path} has changed since then: moved to {path.name + UNDONE}")
            if was_there:
                copy.replace(path)
                said.append(f"restored {path}")
            else:
                path.unlink(missing_ok=True)
                copy.unlink()
                said.append(f"removed {path}, which did not exist before")
    except OSError as error:
        raise ConnectError(f"{error.filename}: {error.strerror}") from None
    if not said:
        names = ", ".join(map(str, paths))
        raise ConnectError(f"there is nothing to undo: {names} was not written, or has already been restored")
    return said


def _applied(text: str, file: SettingsFile) -> str:
    try:
        return apply(text, file)
    except ConnectError as error:
        raise ConnectError(f"{error}; {_BY_HAND}") from None


def apply(text: str, file: SettingsFile) -> str:
    """Give the text with the edits of *file* made and everything else kept, a byte order mark too.

    Raises `ConnectError` if that cannot be.
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    text = text.removeprefix(mark)
    try:
        match file.format:
            case Format.JSON:
                text = text if text.strip() else "{}\n"
                after = json_text.edit(text, file.edits)
                is_kept = json_text.parse_object(after) == merged(json_text.parse_object(text), file.edits)
            case Format.TOML:
                wanted = merged(tomllib.loads(text), file.edits)
                after = toml_text.edit(text, file.edits)
                is_kept = _is_toml_of(after, wanted)
            case Format.ENV:
                return mark + _edit_env(text, file.edits)
    except (ValueError, RecursionError) as error:
        raise ConnectError(f"{file.path} is not written: it cannot be read as {file.format.value} ({error})") from None
    except ConnectError as error:
        raise ConnectError(f"{file.path} is not written: {error}") from None
    if not is_kept:
        raise ConnectError(f"{file.path} is not written: its other content could not be kept")
    return mark + after


def _is_toml_of(text: str, wanted: JSON) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _edit_env(text: str, edits: Edits) -> str:
    for (name,), value in edits.items():
        lines = text.removesuffix("\n").split("\n") if text else []
        kept = [line for line in lines if line.removeprefix("export ").partition("=")[0].strip() != name]
        text = "\n".join([*kept, f"{name}={_quoted(str(value))}", ""])
    return text


def _is_as_written(path: Path, copy: Path) -> bool:
    """Whether nobody has changed a file since it was written here: its copy has its time."""
    return path.exists() and path.stat().st_mtime_ns == copy.stat().st_mtime_ns


def _quoted(value: str) -> str:
    """Write a value so that nothing in it, such as a number sign, means something else."""
    mark = '"' if "'" in value else "'"
    return value if _PLAIN.fullmatch(value) else f"{mark}{value}{mark}"


def read(path: Path) -> str | None:
    """Read a file as it stands; `None` if there is none. Raises `ConnectError` and `OSError`."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConnectError(f"{path} is not written: it is not UTF-8 text") from None


def kept_mode(path: Path) -> int:
    """Give the mode of what replaces *path*: for its owner, and its group if the file was not for everybody."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return PRIVATE
    return PRIVATE if mode & stat.S_IRWXO else PRIVATE | (mode & _GROUP)


def replace_file(
    path: Path, text: str, mode: int = PRIVATE, *, like: Path | None = None, chown: Chown | None = _CHOWN
) -> None:
    """Write a file beside its place and move it there, so that nobody sees half of it; raises `OSError`.

    It belongs to whom the file belonged that it replaces, or *like* does, with a warning where that is not permitted.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        is_kept = _give_away(fresh, like or path, mode, chown)
        fresh.chmod(mode if is_kept else mode & ~stat.S_IRWXG)
        fresh.replace(path)
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()
    if not is_kept:
        warn([f"{path} belonged to another user or group, who may no longer be able to read it: it is yours now"])


def _give_away(fresh: Path, like: Path, mode: int, chown: Chown | None) -> bool:
    """Give a new file to whom *like* belongs, if it is there; whether all who may by *mode* can read it."""
    try:
        wanted = like.stat()
    except FileNotFoundError:
        return True
    now = fresh.stat()
    if chown is None or (wanted.st_uid, wanted.st_gid) == (now.st_uid, now.st_gid):
        return True
    try:
        chown(fresh, wanted.st_uid, wanted.st_gid)
    except OSError:
        return wanted.st_uid == now.st_uid and not mode & stat.S_IRWXG
    return True
