"""The service key that a config file is made from: in a file, in a text, or where SAP's own tools find it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.cli.messages import CommandError
from gateway.config.mistakes import Mistake, ServiceKeyError, why_no_json
from gateway.config.service_keys import Found, ServiceKey, expand, load_json, parse

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_FALLBACK: Final = "default"
_FILES: Final = ("cert_file_path", "key_file_path")
"""The keys of a service key that name files."""


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A service key and what it was read from."""

    key: ServiceKey
    text: str = field(default="", repr=False)
    """What a file of its own would hold; empty for a key that the environment has."""
    file: Path | None = None
    """The file that it was read from."""
    subdomain: str = _FALLBACK
    """What the subaccount is called, as far as the key says."""
    group: str = ""
    """The resource group that goes with it in the environment."""

    @property
    def names_files(self) -> bool:
        """Whether its certificate is in files, which are found from where it lies."""
        return any(name in self.text for name in _FILES)


def read_key(text: str, env: Mapping[str, str], file: Path | None = None) -> GivenKey:
    """Read a service key from JSON, which may come from a *file*; raises `CommandError`."""
    source = str(file) if file else "the service key"
    try:
        raw = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"{source} is not valid JSON: {why_no_json(error)}; copy all of it from the BTP cockpit"
        ) from None
    return _read(raw, source, env, file)


def read_key_file(path: Path, env: Mapping[str, str]) -> GivenKey:
    """Read a service key file; raises `CommandError`."""
    try:
        raw = load_json(path)
    except ServiceKeyError as error:
        raise CommandError(f"{_said(error.mistakes)}") from None
    return _read(raw, str(path), env, path)


def of_environment(found: Found) -> GivenKey:
    """Describe a service key that SAP's own tools would find."""
    return GivenKey(found.key, subdomain=_subdomain(found.key, ""), group=found.resource_group)


def is_whole(text: str) -> bool:
    """Tell whether a text that is pasted is a whole value of JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def as_name(text: str) -> str:
    """Make a name of a subaccount, which is part of a file's name too."""
    return _NO_NAME.sub("-", text).strip("-.") or _FALLBACK


def _read(raw: Any, source: str, env: Mapping[str, str], file: Path | None) -> GivenKey:
    try:
        key = parse(raw, env=env, base=file.parent if file else Path())
    except ServiceKeyError as error:
        if isinstance(raw, Mapping) and not _is_of_ai_core(raw):
            raise CommandError(
                f"{source} is not a service key of SAP AI Core, because it has no serviceurls.AI_API_URL; "
                "copy that of its instance from the BTP cockpit"
            ) from None
        raise CommandError(f"{source} cannot be used: {_said(error.mistakes)}") from None
    fields = raw if "clientid" in raw else raw["credentials"]
    zone = fields.get("identityzone")
    name = _subdomain(key, expand(zone, env) if isinstance(zone, str) else "")
    return GivenKey(key, json.dumps(raw, indent=2, ensure_ascii=False) + "\n", file, name)


def _is_of_ai_core(raw: Mapping[str, Any]) -> bool:
    fields = raw.get("credentials", raw)
    return (
        isinstance(fields, Mapping)
        and isinstance(fields.get("serviceurls"), Mapping)
        and bool(fields["serviceurls"].get("AI_API_URL"))
    )


def _subdomain(key: ServiceKey, zone: str) -> str:
    """Name the subaccount by its identity zone, which the host of its token service begins with."""
    host = urlsplit(key.token_url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return as_name(zone or host.partition(".")[0])
    return as_name(zone)


def _said(mistakes: tuple[Mistake, ...]) -> str:
    return "; ".join(f"{each.where} {each.what}".strip() for each in mistakes)
