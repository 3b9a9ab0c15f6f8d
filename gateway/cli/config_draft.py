"""A draft of a config file: its content, with the changes that a command makes."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.cli.connect.files import COPY, apply, kept_mode, read, replace_file
from gateway.cli.messages import CommandError
from gateway.config.loader import load, network_of
from gateway.config.mistakes import ServiceKeyError
from gateway.config.network import Network
from gateway.config.schema_file import secret_keys
from gateway.config.service_keys import SECRET_KEYS, home_folder, is_service_key, load_json
from gateway.config.settings import Settings, SettingsError
from gateway.tool_settings.tool import ConnectError, Format, SettingsFile, merged

SUBACCOUNTS: Final = "subAccounts"
KEY_FIELDS: Final = ("service_key", "service_key_json")
"""The keys of a subaccount in the file that hold its service key, or say where it is."""
TOKENS: Final = "secret_authentication_tokens"
MASKED: Final = "…"


class ConfigDraft:
    """The config file at *path*, which may not exist yet; nothing is changed before `write`.

    If a service key is in its place, `holds_key` is true, and the key must be moved away first.
    """

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        self.path = path
        self._env = env
        self._edits: dict[tuple[str, ...], object] = {}
        content = _content(path) if path.exists() else None
        self.holds_key = is_service_key(content)
        self.is_new = content is None or self.holds_key
        self.content = {} if content is None or self.holds_key else content

    @property
    def subaccounts(self) -> Mapping[str, Mapping[str, Any]]:
        """The subaccounts of the file, as they are written there."""
        listed = self.content.get(SUBACCOUNTS)
        return (
            {name: each for name, each in listed.items() if isinstance(each, dict)} if isinstance(listed, dict) else {}
        )

    def settings(self) -> Settings | None:
        """Load what is in the file; None where it has no subaccount yet. Raises `CommandError` if it has mistakes."""
        if not self.content.get(SUBACCOUNTS):
            return None
        with _put_right_first():
            return load(self.path, self._env, home_folder())

    def network(self) -> Network:
        """Read the network settings of file and environment; raises `CommandError`."""
        with _put_right_first():
            return network_of(None if self.is_new else self.path, self._env)

    def set(self, place: tuple[str, ...], value: object) -> None:
        """Set a value where the keys of *place* lead."""
        self._edits[place] = value

    @property
    def changes(self) -> bool:
        """Whether anything would be different."""
        return self.is_new or merged(self.content, self._edits) != self.content

    def masked(self) -> str:
        """Show the whole file as it would be, without secrets."""
        return json.dumps(_masked(merged(self.content, self._edits)), indent=2, ensure_ascii=False)

    def ensure_writable(self) -> None:
        """Raise `CommandError` if the file could not be written."""
        folder = self.path.resolve().parent
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise CommandError(f"{self.path} cannot be written: {folder} is not a folder; give another --config FILE")
        if not os.access(folder, os.W_OK):
            raise CommandError(
                f"{self.path} cannot be written: you may not write to {folder}; give another --config FILE"
            )

    def write(self) -> list[str]:
        """Write the file with its former mode, or for its owner only, and keep a copy; return what was done."""
        path = self.path.resolve()
        try:
            if not self.is_new:
                before = read(path) or ""
                after = apply(before, SettingsFile(self.path, Format.JSON, self._edits))
                copy = path.with_name(path.name + COPY)
                replace_file(copy, before, like=path)
                replace_file(path, after, kept_mode(path))
                return [f"wrote {self.path} (as it was: {copy.name})"]
            text = json.dumps(merged({}, self._edits), indent=2, ensure_ascii=False)
            replace_file(path, f"{text}\n")
        except ConnectError as error:
            raise CommandError(f"{error}; correct that first, or give another --config FILE") from None
        except OSError as error:
            raise CommandError(f"{self.path} cannot be written: {error.strerror}") from None
        return [f"wrote {self.path}"]


@contextmanager
def _put_right_first() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        first, *others = str(error).splitlines()
        more = f" (and {len(others)} more: `sap-ai-proxy check` lists all)" if others else ""
        raise CommandError(f"{first}{more}; correct that first") from None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = load_json(path)
    except ServiceKeyError as error:
        raise CommandError(f"{error}; correct that first, or give another --config FILE") from None
    if not isinstance(content, dict):
        raise CommandError(f"{path} is not a JSON object; correct that first, or give another --config FILE")
    return content


def _masked(value: Any, *, secret: bool = False) -> Any:
    match value:
        case dict():
            secrets = secret_keys() | SECRET_KEYS
            return {key: _masked(each, secret=secret or key in secrets) for key, each in value.items()}
        case list():
            return [_masked(each, secret=secret) for each in value]
        case str() if secret:
            return MASKED
        case _:
            return value
